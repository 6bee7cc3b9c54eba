"""File tail: logs that grow, are rotated by renaming or copied and truncated, and files dropped whole in a folder.

A renamed file keeps its identity, and a reused inode or name does not inherit one (ingest/files.py). Positions are
written only after the records are in the spool, and never pass a line of an event of several lines that is not
complete; reading again after a crash yields the same event ids.
"""

from __future__ import annotations

import glob
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

from ingest import files
from ingest.files import HEAD_BYTES, MAX_WHOLE_BYTES, READ_BYTES, Mark, Reading
from ingest.intake import Intake, Source
from ingest.listeners import accept_patiently
from ingest.parsers import Record
from ingest.spool import write_durably
from wardwatch.errors import ParseError, SettingsError, Unavailable

POLL_S = 0.25
DELETE_AFTER_S = 3600
"""How long a file must not have changed before it is deleted: an upload that stalls has not ended."""
SETTLE_S = 1.0
"""How long a file must not have changed before it is read whole."""
_FORGET_LOOKS = 16
"""How many looks a file may be missing: renamed during one, or compressed, which is read when it is complete."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """How a file looked, and since when (monotonic seconds), to tell one that still grows from one that is complete."""

    size: int
    changed_ns: int
    since: float


class FileListener:
    """Tails every file that the source's glob names; ``folder`` holds the positions."""

    def __init__(self, source: Source, intake: Intake, folder: Path) -> None:
        if not source.settings.path:
            remedy = 'set path = "/var/log/…/*.log"'
            raise SettingsError("a file source has no path", step="collector", record=source.name, remedy=remedy)
        self._source = source
        self._intake = intake
        self._closing = threading.Event()
        self.address = source.settings.path
        self.name = f"listener file {self.address}"
        digest = blake2b(self.address.encode(), digest_size=6).hexdigest()
        self._marks_path = folder / f"positions-{source.name}-{digest}.json"
        self._marks = self._load()
        self._readings: dict[str, Reading] = {}
        self._seen: dict[Path, _Seen] = {}
        self._missing: dict[str, int] = {}
        self._failed = 0
        self.problem = ""

    def start(self) -> None:
        """Begin to look for files."""
        self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand."""
        self._closing.set()
        self._thread.join()

    def state(self) -> dict[str, int]:
        """Return the number of files known, and of looks at a file that failed."""
        return {"files": len(self._marks), "failed": self._failed}

    def _serve(self) -> None:
        while not self._closing.wait(POLL_S):
            try:
                named = self._files()
                self._forget(named)
            except OSError:  # renamed or removed between two steps
                self._failed += 1
                continue
            problem = ""
            for path in named:
                try:
                    self._read(path)
                    problem = self._delete(path) or problem
                except (OSError, Unavailable):
                    self._failed += 1
            self.problem = problem

    def _files(self) -> list[Path]:
        """Return the files of the glob, after those that it named before and that were renamed since."""
        named = [Path(name) for name in sorted(glob.glob(self.address, recursive=True))]  # noqa: PTH207 absolute globs
        folders = {path.parent for path in named} | {Path(self.address).parent}
        inodes = {_inode(key) for key in self._marks}
        renamed = [
            path
            for folder in sorted(folders)
            if folder.is_dir()
            for path in sorted(folder.iterdir())
            if path not in named and path.is_file() and str(path.stat().st_ino) in inodes
        ]
        return [path for path in (*renamed, *named) if path.is_file()]

    def _forget(self, named: Sequence[Path]) -> None:
        """Drop what is known of files that are gone for some looks. Should one come back, its events have their ids."""
        inodes = {str(path.stat().st_ino) for path in named}
        self._missing = {key: self._missing.get(key, 0) + 1 for key in self._marks if _inode(key) not in inodes}
        gone = [key for key, looks in self._missing.items() if looks == _FORGET_LOOKS]
        self._let_go(gone)
        for key in gone:
            del self._marks[key]
        if gone:
            self._write_marks()
        self._seen = {path: seen for path, seen in self._seen.items() if path in named}

    def _read(self, path: Path) -> None:
        if not self._is_whole(path):
            self._tail(path)
        elif self._is_complete(path):
            self._read_whole(path)

    def _is_whole(self, path: Path) -> bool:
        """Tell whether records are no lines, so that the file can be read only when it is complete."""
        with path.open("rb") as file:
            return files.is_whole(self._source.parser, file.read(HEAD_BYTES))

    def _tail(self, path: Path) -> None:
        with path.open("rb") as file:
            inode = path.stat().st_ino
            fingerprint = files.fingerprint(file.read(HEAD_BYTES))
            if not fingerprint:
                return
            key = f"{inode}:{fingerprint}"
            mark = self._marks.setdefault(key, Mark(path.name, fingerprint))
            reading = self._reading(key, mark)
            size = path.stat().st_size
            if size < reading.offset:
                self._let_go([key])
                mark = self._marks[key] = mark.truncated()  # by copying; and the same first line again
                reading = self._reading(key, mark)
            file.seek(reading.offset)
            while not self._closing.is_set() and (data := file.read(READ_BYTES)):
                if not _begins_with(file, fingerprint):
                    return  # copied and truncated since: what was read is of both
                lines = files.complete_lines(data)
                if not lines or not self._take(reading.records(lines), reading, file):
                    break
                file.seek(reading.offset)
            if expired := reading.expired():
                self._take(expired, reading, file)

    def _reading(self, key: str, mark: Mark) -> Reading:
        """Return where a file is being read; another file of its inode is over, so are the events open of it."""
        if key not in self._readings:
            self._let_go([other for other in self._readings if _inode(other) == _inode(key)])
            self._readings[key] = Reading(mark, self._source.parser.parts)
        return self._readings[key]

    def _let_go(self, keys: Iterable[str]) -> None:
        """Take the events that are open of files of which no more can come."""
        for key in keys:
            reading = self._readings.pop(key, None)
            if reading and (rest := reading.rest()):
                self._take(rest, reading)

    def _is_complete(self, path: Path) -> bool:
        status = path.stat()
        now = time.monotonic()
        before = self._seen.get(path)
        if before is None or (before.size, before.changed_ns) != (status.st_size, status.st_mtime_ns):
            self._seen[path] = _Seen(status.st_size, status.st_mtime_ns, now)
            return False
        return status.st_size > 0 and now - before.since >= SETTLE_S

    def _read_whole(self, path: Path) -> None:
        key = _whole_key(path)
        if key in self._marks:
            return
        try:
            if path.stat().st_size > MAX_WHOLE_BYTES:
                raise ParseError(f"more than {MAX_WHOLE_BYTES} bytes in a file")
            found = files.complete_records(self._source.parser, path.read_bytes(), self._marks.values(), path.name)
        except ParseError as error:
            found = iter(())
            self._intake.refuse(self._source, Record(str(path).encode(), position=f"{path.name}:{key}"), error.reason)
        if self._accepted(found):  # else the next process reads the file again: its events have the ids they had
            self._save(key, Mark(path.name, "", path.stat().st_size))

    def _accepted(self, records: Iterable[Record]) -> bool:
        for batch in files.batches(records):
            if self._closing.is_set() or accept_patiently(self._intake, self._source, batch, self._closing) is None:
                return False
        return True

    def _take(self, records: Sequence[Record], reading: Reading, file: BinaryIO | None = None) -> bool:
        """Take records, then move the mark to where all before is taken."""
        if not self._accepted(records):
            return False
        mark = reading.settle()
        if file:
            file.seek(mark.before().start)
            mark.remember(file.read(mark.before().stop - mark.before().start))
        self._write_marks()
        return True

    def _delete(self, path: Path) -> str:
        """Delete a file that is read, where the settings say so and it is old; return what went wrong."""
        if self._source.settings.done != "delete" or time.time() - path.stat().st_mtime < DELETE_AFTER_S:
            return ""
        if not (_whole_key(path) in self._marks if self._is_whole(path) else self._take_rest(path)):
            return ""
        try:
            path.unlink()
        except OSError as error:
            return f"{path} is read and can't be deleted: {error.strerror}"
        return ""

    def _take_rest(self, path: Path) -> bool:
        """Take a last line that has no end, and what is open; False while there are other lines before it."""
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            fingerprint = files.fingerprint(head) or files.digest(head)
            key = f"{path.stat().st_ino}:{fingerprint}"
            reading = self._reading(key, self._marks.setdefault(key, Mark(path.name, fingerprint)))
            file.seek(reading.offset)
            rest = file.read(READ_BYTES)
        return b"\n" not in rest and self._take([*reading.records(rest), *reading.rest()], reading)

    def _save(self, key: str, mark: Mark) -> None:
        self._marks[key] = mark
        self._write_marks()

    def _write_marks(self) -> None:
        write_durably(self._marks_path, msgspec.json.encode(self._marks))

    def _load(self) -> dict[str, Mark]:
        try:
            return msgspec.json.decode(self._marks_path.read_bytes(), type=dict[str, Mark])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            remedy = "move it away to read the files from their beginnings again"
            reason = f"{self._marks_path} can't be read: {error}"
            raise SettingsError(reason, step="collector", record=self._source.name, remedy=remedy) from None


def _begins_with(file: BinaryIO, fingerprint: str) -> bool:
    file.seek(0)
    return files.fingerprint(file.read(HEAD_BYTES)) == fingerprint


def _inode(key: str) -> str:
    return key.partition(":")[0]


def _whole_key(path: Path) -> str:
    status = path.stat()
    return f"{status.st_ino}:{status.st_size}-{status.st_mtime_ns}"
