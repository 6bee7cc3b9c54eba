"""A stored file of raw records sent through the running collector, as if its source had sent it.

Records have the positions, and so their events the ids, that a file source gives them: doing it again, or replaying a
file that was tailed, gives the events that are there already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ingest import files
from ingest.files import BATCH, HEAD_BYTES, MAX_WHOLE_BYTES, READ_BYTES, Mark, Reading
from ingest.parsers import Parser, Record
from wardwatch.errors import NotFound, ParseError

_BATCH_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Part:
    """Records in the order of the file, and the place behind them, from which a later call goes on."""

    records: Sequence[Record]
    end: int


def parts(path: Path, source: Parser, start: int = 0, name: str = "") -> Iterator[Part]:
    """Yield a file from a place on: a byte offset or, where records are no lines, the number of a record.

    ``name`` is the one under which the file was tailed, its own by default. Raises NotFound where it can't be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if files.is_whole(source, head):
            yield from _whole(path, source, start, name or path.name)
        else:
            first = files.fingerprint(head) or files.fingerprint(head + b"\n")
            mark = Mark(name or path.name, first, start)
            yield from _lines(path, Reading(mark, source.parts))
    except OSError as error:
        raise NotFound(f"{path} can't be read: {error.strerror}", step="replay") from None


def _whole(path: Path, source: Parser, start: int, name: str) -> Iterator[Part]:
    if path.stat().st_size > MAX_WHOLE_BYTES:
        raise NotFound(f"{path} is larger than {MAX_WHOLE_BYTES} bytes", step="replay", remedy="cut it")
    try:
        records = files.complete_records(source, path.read_bytes(), (), name)
    except ParseError as error:
        raise NotFound(f"{path}: {error.reason}", step="replay") from None
    yield from _cut(list(islice(records, start, None)), start)


def _cut(records: Sequence[Record], number: int) -> Iterator[Part]:
    """Yield records in parts that a message carries."""
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and (len(batch) == BATCH or size + len(record.data) > _BATCH_BYTES):
            yield Part(batch, number)
            batch, size = [], 0
        batch.append(record)
        size += len(record.data)
        number += 1
    if batch:
        yield Part(batch, number)


def _lines(path: Path, reading: Reading) -> Iterator[Part]:
    with path.open("rb") as file:
        file.seek(reading.offset)
        while data := file.read(READ_BYTES):
            records = reading.records(files.complete_lines(data) if len(data) == READ_BYTES else data)
            yield Part(records, reading.settle().offset)
            file.seek(reading.offset)
    if rest := reading.rest():
        yield Part(rest, reading.offset)
