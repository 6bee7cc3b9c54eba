"""SFTP: the files of one folder on a server, by lines as they grow or whole when they are complete.

The server is known by its key and by nothing else; it is not trusted further: what it lists and sends is limited, only
regular files of the folder are opened, and their names never become paths of this machine. A file has no inode there,
so its contents tell one that was renamed, copied or compressed (ingest/files.py).
Source: draft-ietf-secsh-filexfer-02 (SFTP version 3, the one that OpenSSH speaks).
"""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase

import msgspec
import paramiko
from paramiko import SFTPClient, SFTPFile

from ingest import files
from ingest.files import HEAD_BYTES, MAX_WHOLE_BYTES, READ_BYTES, Mark, Reading
from ingest.intake import Source
from ingest.parsers import Record
from ingest.pollers import Batch
from ingest.pollers.limit import limited
from ingest.pollers.url import split_url
from wardwatch.errors import ParseError, SettingsError, Unavailable
from wardwatch.text import safe_text

CONNECT_S = 5.0
ANSWER_S = 10.0
LISTING_S = 60.0
READ_S = 900.0
DELETE_AFTER_S = 3600.0
"""How long a file must not have changed before it is deleted: an upload that stalls has not ended."""
MAX_FILES = 10_000
_MAX_GONE = 100
_PIECE_BYTES = 2**20
_CLOCK_S = 2.0
_EXAMPLE = "sftp://his-db:22/var/log/audit/*.log"


class _File(msgspec.Struct):
    """A file as it was when all of it had been read, and how far that is."""

    size: int
    changed: int
    mark: Mark


class _State(msgspec.Struct):
    """The cursor: files by name, and marks of contents that are no longer under their name."""

    files: dict[str, _File] = {}
    gone: list[Mark] = []

    def marks(self) -> list[Mark]:
        return [*(file.mark for file in self.files.values()), *self.gone]

    def drop(self, name: str) -> None:
        """Forget a name; contents that had it are looked for under another."""
        mark = self.files.pop(name).mark
        if mark.fingerprint:
            self.gone = [*self.gone, mark][-_MAX_GONE:]

    def encoded(self) -> str:
        return msgspec.json.encode(self).decode()


class _Differs(Exception):
    """A file is not as long as the server said."""


class _Seen(msgspec.Struct, frozen=True):
    """What was listed of a file, and since when (monotonic seconds)."""

    size: int
    changed: int
    since: float


class SftpFeed:
    """The files that the url's last part, a glob, names; ``refuse`` takes what can't be cut into records."""

    def __init__(self, source: Source, refuse: Callable[[Record, str], None]) -> None:
        settings = source.settings
        self._url = split_url(settings.url, {"sftp": 22}, source.name, _EXAMPLE)
        self._folder, _, self._glob = f"/{self._url.rest}".rpartition("/")
        if not self._glob or any(sign in self._folder for sign in "*?["):
            remedy = f'write url = "{_EXAMPLE}", a glob in its last part only'
            raise SettingsError("url names no files of one folder", step="collector", record=source.name, remedy=remedy)
        if not settings.known_hosts or not settings.known_hosts.is_file():
            remedy = f"ssh-keyscan -p {self._url.port} {self._url.host}, compare with the server's own, set known_hosts"
            raise SettingsError("the server's key is not known", step="collector", record=source.name, remedy=remedy)
        self._known_hosts = settings.known_hosts
        self._source = source
        self._refuse = refuse
        self._listed: dict[str, _Seen] = {}
        self._before = self._began = 0.0

    def batches(self, cursor: str) -> Iterator[Batch]:
        """Yield what is new in every file, and delete those that are done with where the settings say so."""
        state = msgspec.json.decode(cursor, type=_State) if cursor else _State()
        with self._session() as sftp:
            self._before, self._began = self._began, time.monotonic()
            complete = self._look(sftp)
            for name in [name for name in state.files if complete and name not in self._listed]:
                state.drop(name)
            changed = [name for name in sorted(self._listed) if self._may_differ(name, state)]
            for name in changed:  # all of them before any is read: what one of them was may be another now
                self._check_name(sftp, name, state)
            problems = [] if complete else [f"more than {MAX_FILES} files in {self._folder}: the others are not read"]
            for name in changed:
                try:
                    yield from self._read(sftp, name, state)
                except (PermissionError, FileNotFoundError, _Differs) as error:
                    problems.append(f"{safe_text(name)}: {_why(error)}")
            yield Batch((), state.encoded())
            problems += self._delete(sftp, state)
            if problems:
                raise Unavailable(problems[0], step="sftp")

    def close(self) -> None:
        """Return at once: a connection lives as long as a look."""

    def state(self) -> dict[str, int]:
        """Return how many files the glob named at the last look."""
        return {"files": len(self._listed)}

    def probe(self) -> str:
        """Tell how many files the glob names now; raises Unavailable."""
        with self._session() as sftp:
            self._look(sftp)
        return f"{len(self._listed)} files of {self._folder}"

    @contextmanager
    def _session(self) -> Iterator[SFTPClient]:
        settings = self._source.settings
        client = paramiko.SSHClient()  # its policy for a key that is not known is to refuse
        try:
            client.load_host_keys(str(self._known_hosts))
            client.connect(
                self._url.host,
                self._url.port,
                settings.user,
                settings.secret() or None,
                key_filename=str(settings.key) if settings.key else None,
                allow_agent=False,
                look_for_keys=False,
                timeout=CONNECT_S,
                banner_timeout=CONNECT_S,
                auth_timeout=CONNECT_S,
                channel_timeout=CONNECT_S,
            )
            sftp = client.open_sftp()
            channel = sftp.get_channel()
            assert channel  # noqa: S101 it was opened
            channel.settimeout(ANSWER_S)
            yield sftp
        except (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError, ValueError) as error:
            raise Unavailable(f"sftp://{self._url.host}:{self._url.port}: {_why(error)}", step="sftp") from None
        finally:
            client.close()

    def _look(self, sftp: SFTPClient) -> bool:
        """List the folder's regular files that the glob names; False where there are more than the limit."""
        before, self._listed = self._listed, {}
        with limited(LISTING_S, sftp.close):
            for number, entry in enumerate(sftp.listdir_iter(self._folder or "/")):
                if number >= MAX_FILES:
                    return False
                if stat.S_ISREG(entry.st_mode or 0) and entry.st_size and self._is_ours(entry.filename):
                    now = _Seen(entry.st_size, entry.st_mtime or 0, time.monotonic())
                    seen = before.get(entry.filename, now)
                    same = (seen.size, seen.changed) == (now.size, now.changed)
                    self._listed[entry.filename] = seen if same else now
        return True

    def _is_ours(self, name: str) -> bool:
        return "/" not in name and len(name) <= 255 and fnmatchcase(name, self._glob)

    def _may_differ(self, name: str, state: _State) -> bool:
        """Tell whether a file may hold what is not read: times are whole seconds, so one look proves nothing."""
        known, seen = state.files.get(name), self._listed[name]
        return (
            not known
            or not _is_read(known, seen)
            or (known.mark.fingerprint != "" and seen.since >= self._before - _CLOCK_S)
        )

    def _check_name(self, sftp: SFTPClient, name: str, state: _State) -> None:
        """Forget what was read of a name that has other contents now."""
        known = state.files.get(name)
        if known and known.mark.fingerprint:
            with suppress(PermissionError, FileNotFoundError), self._open(sftp, name) as file:
                if not _is_of(known.mark, file, _read(file, HEAD_BYTES)):
                    state.drop(name)

    def _read(self, sftp: SFTPClient, name: str, state: _State) -> Iterator[Batch]:
        seen = self._listed[name]
        with self._open(sftp, name) as file:
            head = _read(file, HEAD_BYTES)
            if not files.is_whole(self._source.parser, head):
                yield from self._tail(file, head, name, state)
            elif seen.since < self._began:  # as it was at the last look
                yield from self._whole(file, name, state)

    def _tail(self, file: SFTPFile, head: bytes, name: str, state: _State) -> Iterator[Batch]:
        if not files.fingerprint(head):
            return
        seen = self._listed[name]
        reading = Reading(self._mark(file, head, name, state), self._source.parser.parts)
        file.seek(reading.offset)
        while lines := files.complete_lines(_read(file, READ_BYTES)):
            yield from self._taken(reading.records(lines), reading, file, name, state)
            file.seek(reading.offset)
        file.stat()  # the end of the connection looks like the end of the file
        if seen.since < self._began:  # as it was at the last look: no more comes of what is open
            yield from self._taken(reading.rest(), reading, file, name, state)
        complete = reading.settle().offset == reading.offset
        state.files[name] = _File(seen.size if complete else 0, seen.changed, reading.mark)

    def _taken(
        self, records: list[Record], reading: Reading, file: SFTPFile, name: str, state: _State
    ) -> Iterator[Batch]:
        """Yield records, and the cursor behind them."""
        yield from self._accepted(iter(records), state.encoded())
        mark = reading.settle()
        before = mark.before()
        file.seek(before.start)
        mark.remember(_read(file, before.stop - before.start))
        state.files[name] = _File(0, 0, mark)
        yield Batch((), state.encoded())

    def _mark(self, file: SFTPFile, head: bytes, name: str, state: _State) -> Mark:
        """Return how far contents are read that have this name, had another, or are new."""
        if name in state.files:
            return state.files[name].mark
        for mark in state.gone:
            if _is_of(mark, file, head):
                state.gone.remove(mark)
                return mark
        begun = [mark for mark in state.gone if mark.name == name and mark.begins(head)]
        return begun[-1].truncated() if begun else Mark(name, files.fingerprint(head))

    def _whole(self, file: SFTPFile, name: str, state: _State) -> Iterator[Batch]:
        seen = self._listed[name]
        file.seek(0)
        data = _read(file, MAX_WHOLE_BYTES + 1)
        size = file.stat().st_size  # raises where the end of the connection looked like the end of the file
        if len(data) <= MAX_WHOLE_BYTES and len(data) != size:
            raise _Differs
        try:
            if len(data) > MAX_WHOLE_BYTES:
                raise ParseError(f"more than {MAX_WHOLE_BYTES} bytes in a file")
            records = files.complete_records(self._source.parser, data, state.marks(), name)
        except ParseError as error:
            place = f"{self._folder}/{name}"
            self._refuse(Record(place.encode(), position=f"{name}:{seen.size}-{seen.changed}"), error.reason)
        else:
            yield from self._accepted(records, state.encoded())
        state.files[name] = _File(seen.size, seen.changed, Mark(name, ""))
        yield Batch((), state.encoded())

    def _accepted(self, records: Iterator[Record], cursor: str) -> Iterator[Batch]:
        for batch in files.batches(records):
            yield Batch(batch, cursor)

    def _delete(self, sftp: SFTPClient, state: _State) -> list[str]:
        """Delete what is read to its end and has not changed for long, where the settings say so; return problems."""
        problems = []
        for name, seen in self._listed.items():
            old = self._source.settings.done == "delete" and self._began - seen.since >= DELETE_AFTER_S
            known = state.files.get(name)
            if old and known and _is_read(known, seen) and known.mark.offset in (seen.size, 0):
                try:
                    sftp.remove(f"{self._folder}/{name}")
                except (PermissionError, FileNotFoundError) as error:
                    problems.append(f"{safe_text(name)} can't be deleted: {_why(error)}")
        return problems

    def _open(self, sftp: SFTPClient, name: str) -> SFTPFile:
        return sftp.open(f"{self._folder}/{name}")


def _is_read(known: _File, seen: _Seen) -> bool:
    return (known.size, known.changed) == (seen.size, seen.changed)


def _is_of(mark: Mark, file: SFTPFile, head: bytes) -> bool:
    if not mark.begins(head):
        return False
    before = mark.before()
    file.seek(before.start)
    return mark.is_of(head, _read(file, before.stop - before.start))


def _read(file: SFTPFile, size: int) -> bytes:
    """Return so many bytes, or what there is to the end of the file: a server may send less at a time."""
    parts: list[bytes] = []
    with limited(READ_S, file.sftp.close):
        while size > 0 and (part := file.read(min(size, _PIECE_BYTES))):
            parts.append(part)
            size -= len(part)
    return b"".join(parts)


def _why(error: Exception) -> str:
    match error:
        case paramiko.BadHostKeyException():
            return "its key is not the one in known_hosts: another server answers"
        case paramiko.AuthenticationException():
            return "it refuses the login"
        case paramiko.ssh_exception.NoValidConnectionsError():
            return "nothing listens there"
        case TimeoutError():
            return "no answer in time"
        case EOFError():
            return "it closed the connection"
        case _Differs():
            return "it is not as long as the server says"
    return safe_text(str(error), limit=200) or type(error).__name__
