"""File tail: logs that grow, are rotated by renaming or copied and truncated, and files dropped whole in a folder.

A position is ``<name>:<fingerprint>@<offset>``: the fingerprint is a hash of the first line, so that a renamed file
keeps its identity and a reused inode or name does not inherit one. Positions are written only after the records are in
the spool, and never pass a line of an event of several lines that is not complete; reading again after a crash yields
the same event ids.
"""

from __future__ import annotations

import glob
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from ingest.framing import MAX_FRAME_BYTES
from ingest.intake import Intake, Source
from ingest.joining import Joined, Joiner, Parts
from ingest.listeners import accept_patiently
from ingest.parsers import Record
from ingest.spool import write_durably
from wardwatch.errors import RecordError, SettingsError

POLL_S = 0.25
MAX_WHOLE_BYTES = 256 * 2**20
_READ_BYTES = 2 * MAX_FRAME_BYTES
_BATCH = 500
_HEAD_BYTES = 1024


class Mark(msgspec.Struct):
    """How far a file is read: everything before ``offset`` is in the spool; ``turn`` counts its truncations."""

    name: str
    fingerprint: str
    offset: int = 0
    turn: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was looked at last time, to tell a file that still grows from one that is complete."""

    size: int
    changed_ns: int


class _Reading:
    """Where a file is being read, ahead of its mark while events of several lines are open."""

    def __init__(self, mark: Mark, parts: Parts | None) -> None:
        self.mark = mark
        self.offset = mark.offset
        self._joiner = Joiner(parts)

    def records(self, data: bytes) -> list[Record]:
        """Return the records that whole lines complete; they begin at the offset, which moves behind them."""
        found: list[Record] = []
        now = time.monotonic()
        for line in data.splitlines(keepends=True):
            begin, self.offset = self.offset, self.offset + len(line)
            if line.strip():
                found += self._records(self._joiner.feed(line.rstrip(b"\r\n"), now, begin=begin, end=self.offset))
        return found

    def expired(self) -> list[Record]:
        """Return what is open for too long."""
        return self._records(self._joiner.expire(time.monotonic()))

    def rest(self) -> list[Record]:
        """Return what is open."""
        return self._records(self._joiner.flush())

    def settled(self) -> int:
        """Return the offset from which the file has to be read again."""
        return self._joiner.settled(self.offset)

    def _records(self, events: Sequence[Joined]) -> list[Record]:
        mark = f"{self.mark.name}:{self.mark.fingerprint}"
        return [Record(one.data, position=f"{mark}@{one.begin}") for one in events]


class FileListener:
    """Tails every file that the source's glob names; ``folder`` holds the positions."""

    problem = ""

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
        self._readings: dict[str, _Reading] = {}
        self._seen: dict[Path, _Seen] = {}
        self._missing: set[str] = set()
        self._failed = 0

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
                files = self._files()
                self._forget(files)
            except OSError:  # renamed or removed between two steps
                self._failed += 1
                continue
            for path in files:
                try:
                    self._read(path)
                except OSError:
                    self._failed += 1

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

    def _forget(self, files: Sequence[Path]) -> None:
        """Drop what is known of files that are gone at two looks: one may be renamed during the first.

        Should a file come back, its events have the ids they had.
        """
        inodes = {str(path.stat().st_ino) for path in files}
        missing = {key for key in self._marks if _inode(key) not in inodes}
        gone, self._missing = missing & self._missing, missing
        self._let_go(gone)
        for key in gone:
            del self._marks[key]
        if gone:
            self._write_marks()
        self._seen = {path: seen for path, seen in self._seen.items() if path in files}

    def _read(self, path: Path) -> None:
        if not self._is_whole(path):
            self._tail(path)
        elif self._is_complete(path):
            self._read_whole(path)

    def _is_whole(self, path: Path) -> bool:
        """Tell whether records are no lines, so that the file can be read only when it is complete."""
        with path.open("rb") as file:
            return self._source.parser.is_whole(file.read(_HEAD_BYTES))

    def _tail(self, path: Path) -> None:
        with path.open("rb") as file:
            inode = path.stat().st_ino
            fingerprint = _fingerprint(file.read(_HEAD_BYTES))
            if not fingerprint:
                return
            key = f"{inode}:{fingerprint}"
            mark = self._marks.setdefault(key, Mark(path.name, fingerprint))
            reading = self._reading(key, mark)
            size = path.stat().st_size
            if size < reading.offset:
                self._let_go([key])
                reading = self._reading(key, mark)
                reading.offset = mark.offset = 0  # copied and truncated, and the same first line again
                mark.turn += 1
                mark.fingerprint = f"{fingerprint}.{mark.turn}"
            file.seek(reading.offset)
            while not self._closing.is_set() and (data := file.read(_READ_BYTES)):
                cut = _last_line_end(data)
                if not cut or not self._take(reading.records(data[:cut]), mark, reading.settled):
                    break
                file.seek(reading.offset)
            if expired := reading.expired():
                self._take(expired, mark, reading.settled)

    def _reading(self, key: str, mark: Mark) -> _Reading:
        """Return where a file is being read; another file of its inode is over, so are the events open of it."""
        if key not in self._readings:
            self._let_go([other for other in self._readings if _inode(other) == _inode(key)])
            self._readings[key] = _Reading(mark, self._source.parser.parts)
        return self._readings[key]

    def _let_go(self, keys: Iterable[str]) -> None:
        """Take the events that are open of files of which no more can come."""
        for key in keys:
            reading = self._readings.pop(key, None)
            if reading and (rest := reading.rest()):
                self._take(rest, reading.mark, reading.settled)

    def _is_complete(self, path: Path) -> bool:
        status = path.stat()
        now = _Seen(status.st_size, status.st_mtime_ns)
        before, self._seen[path] = self._seen.get(path), now
        return before == now and now.size > 0

    def _read_whole(self, path: Path) -> None:
        status = path.stat()
        key = f"{status.st_ino}:{status.st_size}-{status.st_mtime_ns}"
        if key in self._marks:
            return
        if status.st_size > MAX_WHOLE_BYTES:
            self._intake.refuse(
                self._source, Record(str(path).encode()), f"more than {MAX_WHOLE_BYTES} bytes in a file"
            )
            self._save(key, Mark(path.name, "", status.st_size))
            return
        data = path.read_bytes()
        mark = Mark(path.name, blake2b(data, digest_size=8).hexdigest())
        batch: list[Record] = []
        for record in self._whole_records(data, mark):
            batch.append(record)
            if len(batch) == _BATCH:
                if accept_patiently(self._intake, self._source, batch, self._closing) is None or self._closing.is_set():
                    return  # the next process reads the file again: its events have the ids they had
                batch = []
        if self._take(batch, mark, lambda: len(data)):
            self._save(key, mark)

    def _whole_records(self, data: bytes, mark: Mark) -> Iterator[Record]:
        """Cut the file with its parser; what can't be cut is one record, for the parser to refuse."""
        try:
            for number, item in enumerate(self._source.parser.split(data)):
                yield Record(item, position=f"{mark.name}:{mark.fingerprint}@{number}")
        except RecordError:
            yield Record(data[:MAX_FRAME_BYTES], position=f"{mark.name}:{mark.fingerprint}@rest")

    def _take(self, batch: Sequence[Record], mark: Mark, offset: Callable[[], int]) -> bool:
        """Take records, then move the mark to where ``offset`` says that all before is taken."""
        for start in range(0, len(batch), _BATCH):
            if accept_patiently(self._intake, self._source, batch[start : start + _BATCH], self._closing) is None:
                return False
        mark.offset = offset()
        self._write_marks()
        return True

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


def _inode(key: str) -> str:
    return key.partition(":")[0]


def _fingerprint(head: bytes) -> str:
    """Return a hash of the first line or, where it is longer, of the first KiB; "" while neither is there."""
    end = head.find(b"\n")
    if end < 0 and len(head) < _HEAD_BYTES:
        return ""
    return blake2b(head[:end] if end >= 0 else head, digest_size=8).hexdigest()


def _last_line_end(data: bytes) -> int:
    """Return where the last complete line ends; a line without end counts as complete once it is beyond the limit."""
    end = data.rfind(b"\n") + 1
    return end or (len(data) if len(data) > MAX_FRAME_BYTES else 0)
