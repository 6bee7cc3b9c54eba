"""The spool: a durable journal between parse and bus, so that what was acknowledged survives kill -9.

Records are appended to segment files and read back in order; a checkpoint holds what the bus has acknowledged and the
counters up to there. Segments are named by the position of their first entry. A record is its length and CRC-32C
(RFC 3720, 12.1) as two big-endian 32-bit numbers, then the entry as MessagePack. Opening always starts a new segment:
a torn tail ends its segment and is never written behind.
"""

from __future__ import annotations

import os
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec
from crc32c import crc32c

from wardwatch.errors import SettingsError, SpoolFull

Kind = Literal["forwarded", "filtered", "dead_lettered"]
"""What becomes of an accepted record; also its counter's name."""

KINDS: tuple[Kind, ...] = ("forwarded", "filtered", "dead_lettered")
SEGMENT_BYTES = 16 * 2**20
MAX_RECORD_BYTES = 4 * 2**20
_HEAD = struct.Struct(">II")


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One accepted record on its way, counted under ``source``.

    ``topic`` and ``value`` are empty for one that was filtered on purpose.
    """

    kind: Kind
    source: str
    topic: str = ""
    value: bytes = b""
    key: str = ""
    headers: dict[str, str] = {}


class Checkpoint(msgspec.Struct):
    """What the bus has: all entries before ``position``, counted per source and kind."""

    position: int = 0
    settled: dict[str, dict[str, int]] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


class Spool:
    """Safe for many appending threads and one reading thread. ``limit`` is in bytes on disk.

    ``lost`` counts entries that corruption made unreadable, ``torn_bytes`` the bytes behind the
    last good entry of a segment.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._limit = limit
        self._segment_limit = min(SEGMENT_BYTES, limit // 8)
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._appended = threading.Event()
        self._checkpoint_path = folder / "checkpoint.json"
        self._checkpoint = self._load_checkpoint()
        self._accepted: Counter[str] = Counter()
        self.lost = self.torn_bytes = 0
        self._sizes = {int(path.stem): path.stat().st_size for path in folder.glob("*.segment")}
        first = min(self._sizes, default=self._checkpoint.position)
        self._settled = (max(first, self._checkpoint.position), (first, 0))
        self._next = self._durable = self._recover()
        self._open_segment()
        self._cursor, self._place = self._settled  # next to read: its position, and its segment and byte offset

    def append(self, entries: Sequence[Entry]) -> None:
        """Return when the entries are on disk; raises SpoolFull at the limit or when the disk takes no more."""
        data = b"".join(_frame(entry) for entry in entries)
        with self._lock:
            self._make_room(len(data))
            self._write(data)
            self._next += len(entries)
            self._accepted.update(entry.source for entry in entries)
            ticket = self._next
        self._sync(ticket)
        self._appended.set()

    def read(self, max_entries: int = 500, max_bytes: int = 8 * 2**20) -> list[Entry]:
        """Return the next durable entries behind the last read, [] when there are none."""
        with self._lock:
            durable = self._durable
        batch: list[Entry] = []
        while not batch and self._cursor < durable:
            start, offset = self._place
            for entry, end in scan(self._path(start), offset):
                batch.append(entry)
                self._cursor += 1
                self._place = (start, end)
                if self._cursor == durable or len(batch) == max_entries or end - offset > max_bytes:
                    break
            if not batch:
                self._skip(start)
        return batch

    def ack(self, entries: Sequence[Entry]) -> None:
        """Settle everything read so far, of which ``entries`` say what became of it, and drop segments behind it."""
        with self._lock:
            for entry in entries:
                counts = self._checkpoint.settled.setdefault(entry.source, dict.fromkeys(KINDS, 0))
                counts[entry.kind] += 1
            self._checkpoint.position = self._cursor
            self._settled = (self._cursor, self._place)
            state = msgspec.json.encode(self._checkpoint)
        try:
            write_durably(self._checkpoint_path, state)
        except OSError as error:
            raise SpoolFull(f"the checkpoint can't be written: {error.strerror}", step="spool") from None
        self._drop_settled()

    def rewind(self) -> None:
        """Go back to the first entry that is not settled."""
        self._cursor, self._place = self._settled

    def wait(self, timeout_s: float) -> None:
        """Return when something was appended or the time is over."""
        self._appended.wait(timeout_s)
        self._appended.clear()

    @property
    def waiting(self) -> int:
        """Number of entries that are not settled."""
        return self._next - self._checkpoint.position

    @property
    def size_bytes(self) -> int:
        """Size on disk."""
        with self._lock:
            return sum(self._sizes.values())

    def counters(self) -> dict[str, dict[str, int]]:
        """Return accepted, forwarded, filtered and dead_lettered per source; accepted = the others + waiting."""
        with self._lock:
            settled = self._checkpoint.settled
            return {
                source: {"accepted": self._accepted[source], **settled.get(source, dict.fromkeys(KINDS, 0))}
                for source in sorted(self._accepted)
            }

    def close(self) -> None:
        """Release the segment being written."""
        os.close(self._descriptor)

    def _load_checkpoint(self) -> Checkpoint:
        try:
            return msgspec.json.decode(self._checkpoint_path.read_bytes(), type=Checkpoint)
        except FileNotFoundError:
            return Checkpoint()
        except (OSError, msgspec.MsgspecError) as error:
            remedy = f"move {self._folder} away to start with an empty spool"
            raise SettingsError(f"the checkpoint can't be read: {error}", step="spool", remedy=remedy) from None

    def _recover(self) -> int:
        """Count what is not settled and return the position behind the last entry."""
        position = self._checkpoint.position
        for source, counts in self._checkpoint.settled.items():
            self._accepted[source] += sum(counts.values())
        for start in sorted(self._sizes):
            end, good = start, 0
            for entry, good in scan(self._path(start)):
                end += 1
                if end > self._checkpoint.position:
                    self._accepted[entry.source] += 1
                elif end == self._checkpoint.position:
                    self._settled = (end, (start, good))
            self.torn_bytes += self._sizes[start] - good
            position = max(position, end)
        return position

    def _path(self, start: int) -> Path:
        return self._folder / f"{start:020d}.segment"

    def _open_segment(self) -> None:
        """Begin a segment at the next position; a file of that name holds no good entry and is emptied."""
        path = self._path(self._next)
        self._descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        sync_folder(self._folder)
        self._active = self._next
        self._sizes[self._active] = 0

    def _make_room(self, size: int) -> None:
        if sum(self._sizes.values()) + size > self._limit:
            remedy = "the bus is slow or gone: see wardwatch doctor"
            raise SpoolFull(f"the spool holds its limit of {self._limit} bytes", step="spool", remedy=remedy)
        if self._sizes[self._active] and self._sizes[self._active] + size > self._segment_limit:
            self._roll()

    def _roll(self) -> None:
        old = self._descriptor
        try:
            os.fsync(old)
            self._open_segment()
        except OSError as error:
            raise SpoolFull(f"the disk takes no more: {error.strerror}", step="spool") from None
        os.close(old)
        self._durable = self._next

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            size = self._sizes[self._active]
            os.ftruncate(self._descriptor, size)
            os.lseek(self._descriptor, size, os.SEEK_SET)
            raise SpoolFull(f"the disk takes no more: {error.strerror}", step="spool") from None
        self._sizes[self._active] += len(data)

    def _sync(self, ticket: int) -> None:
        """Wait for the disk once for all callers that wrote before it."""
        with self._sync_lock:
            with self._lock:
                if self._durable >= ticket:
                    return
                target, descriptor = self._next, os.dup(self._descriptor)
            try:
                os.fsync(descriptor)
            except OSError as error:
                raise SpoolFull(f"the disk takes no more: {error.strerror}", step="spool") from None
            finally:
                os.close(descriptor)
            with self._lock:
                self._durable = max(self._durable, target)

    def _skip(self, start: int) -> None:
        """Step to the next segment: this one is read to its end, or can't be read from here on."""
        with self._lock:
            if start == self._active:
                self._roll()
            following = min(other for other in self._sizes if other > start)
        self.lost += following - self._cursor
        self._cursor, self._place = following, (following, 0)

    def _drop_settled(self) -> None:
        with self._lock:
            starts = sorted(self._sizes)
            for start, following in pairwise(starts):
                if following <= self._checkpoint.position and start not in (self._active, self._place[0]):
                    self._path(start).unlink(missing_ok=True)
                    del self._sizes[start]


def _frame(entry: Entry) -> bytes:
    payload = _encoder.encode(entry)
    return _HEAD.pack(len(payload), crc32c(payload)) + payload


def scan(path: Path, offset: int = 0) -> Iterator[tuple[Entry, int]]:
    """Yield the good entries from a byte offset on, each with the offset behind it; end at the first bad one."""
    with path.open("rb") as file:
        file.seek(offset)
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, checksum = _HEAD.unpack(head)
            if size > MAX_RECORD_BYTES or len(payload := file.read(size)) < size or crc32c(payload) != checksum:
                return
            offset += _HEAD.size + size
            yield _decoder.decode(payload), offset


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file at once: after a crash it is the old or the new one, never a part."""
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
