"""Files cut into records: lines that grow, and files that are read whole when complete, plain or as gzip (RFC 1952).

A record's position is ``<name>:<fingerprint>@<offset>``, or ``@<number>`` in a file read whole. The fingerprint is a
hash of the first line, so that a renamed file keeps its identity and a reused name does not inherit one, or of the
contents.
"""

from __future__ import annotations

import gzip
import io
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from ingest.framing import MAX_FRAME_BYTES
from ingest.joining import Joined, Joiner, Parts
from ingest.parsers import Parser, Record
from wardwatch.errors import ParseError, RecordError

MAX_WHOLE_BYTES = 256 * 2**20
HEAD_BYTES = 1024
READ_BYTES = 2 * MAX_FRAME_BYTES
BATCH = 500
_GZIP = b"\x1f\x8b"


class Mark(msgspec.Struct):
    """How far a file is read: everything before ``offset`` is in the spool.

    ``last`` is a hash of the line before it, by which the same contents are known elsewhere; ``turn`` counts
    truncations.
    """

    name: str
    fingerprint: str
    offset: int = 0
    turn: int = 0
    last: str = ""

    def remember(self, before: bytes) -> None:
        """Take note of the KiB before the offset."""
        self.last = _last_line(before)

    def truncated(self) -> Mark:
        """Return the mark of a file that began anew with the same first line."""
        first = self.fingerprint.partition(".")[0]
        return Mark(self.name, f"{first}.{self.turn + 1}", turn=self.turn + 1)

    def begins(self, head: bytes) -> bool:
        """Tell whether a file that starts so has the same first line."""
        return fingerprint(head) == self.fingerprint.partition(".")[0]

    def is_of(self, head: bytes, before: bytes) -> bool:
        """Tell whether contents are those it was read from: their first KiB, and the KiB before the offset."""
        whole = 0 < min(self.offset, HEAD_BYTES) == len(before)
        return whole and self.begins(head) and _last_line(before) == self.last

    def before(self) -> slice:
        """Return where the KiB before the offset is."""
        return slice(max(0, self.offset - HEAD_BYTES), self.offset)


class Reading:
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

    def settle(self) -> Mark:
        """Move the mark to where the file has to be read again, and return it."""
        self.mark.offset = self._joiner.settled(self.offset)
        return self.mark

    def _records(self, events: Sequence[Joined]) -> list[Record]:
        mark = f"{self.mark.name}:{self.mark.fingerprint}"
        return [Record(one.data, position=f"{mark}@{one.begin}") for one in events]


def _last_line(data: bytes) -> str:
    """Return a hash of the last line or, where it is longer, of its last KiB."""
    end = data[-HEAD_BYTES:]
    return digest(end[end.rfind(b"\n", 0, -1) + 1 :])


def digest(data: bytes) -> str:
    """Return a short hash."""
    return blake2b(data, digest_size=8).hexdigest()


def fingerprint(head: bytes) -> str:
    """Return a hash of the first line or, where it is longer, of the first KiB; "" while neither is there."""
    end = head.find(b"\n")
    if end < 0 and len(head) < HEAD_BYTES:
        return ""
    return digest(head[:end] if end >= 0 else head)


def is_whole(parser: Parser, head: bytes) -> bool:
    """Tell whether a file that starts so can be read only when it is complete: gzip, or records that are no lines."""
    return is_gzip(head) or parser.is_whole(head)


def is_gzip(head: bytes) -> bool:
    """Tell whether a file that starts so is compressed."""
    return head.startswith(_GZIP)


def unpack(data: bytes) -> bytes:
    """Return the contents of gzip (one member or several), other data as it is.

    Raises ParseError where it is damaged, cut short or more than MAX_WHOLE_BYTES.
    """
    if not is_gzip(data):
        return data
    try:
        contents = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MAX_WHOLE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ParseError(f"gzip that can't be unpacked: {type(error).__name__}", step="file") from None
    if len(contents) > MAX_WHOLE_BYTES:
        raise ParseError(f"more than {MAX_WHOLE_BYTES} bytes in a gzip file", step="file")
    return contents


def whole_records(parser: Parser, data: bytes, place: str) -> Iterator[Record]:
    """Cut contents with their parser; what can't be cut is one record, for the parser to refuse."""
    try:
        for number, item in enumerate(parser.split(data)):
            yield Record(item, position=f"{place}@{number}")
    except RecordError:
        yield Record(data[:MAX_FRAME_BYTES], position=f"{place}@rest")


def complete_records(parser: Parser, data: bytes, marks: Iterable[Mark], name: str) -> Iterator[Record]:
    """Cut a complete file, plain or gzip; raises ParseError where it can't be unpacked.

    Of lines only those that no mark says are read: a log that was read and then compressed gives its records once, and
    the rest of it their true positions.
    """
    contents = unpack(data)
    if parser.is_whole(contents[:HEAD_BYTES]):
        return whole_records(parser, contents, f"{name}:{digest(contents)}")
    read = (mark for mark in marks if mark.is_of(contents[:HEAD_BYTES], contents[mark.before()]))
    mark = max(read, key=lambda mark: mark.offset, default=None) or Mark(name, digest(contents))
    return _unread(contents, Reading(replace(mark), parser.parts))


def _unread(contents: bytes, reading: Reading) -> Iterator[Record]:
    while lines := complete_lines(contents[reading.offset : reading.offset + READ_BYTES]):
        yield from reading.records(lines)
    yield from reading.records(contents[reading.offset :])
    yield from reading.rest()


def complete_lines(data: bytes) -> bytes:
    """Return the lines that have an end; one without counts as complete once it is beyond the limit of a record."""
    return data[: data.rfind(b"\n") + 1] or (data if len(data) > MAX_FRAME_BYTES else b"")


def batches(records: Iterable[Record]) -> Iterator[Sequence[Record]]:
    """Yield the records in parts of at most BATCH."""
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
