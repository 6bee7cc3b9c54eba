"""Files read as the collector reads them, record by record, without sending anything (``wardwatch.sources.Reader``).

Events are scrubbed as those that leave a hospital: rules meet the fields they meet on the stream, and no patient's name
reaches a terminal or a report. Who needs the original finds it by the record's number.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import BinaryIO

from ingest import parsers
from ingest.files import MAX_WHOLE_BYTES
from ingest.parsers import Parsed, Parser, Record, Site
from ingest.parsers.evtx_file import MAGIC, evtx_parts
from ingest.parsers.json_objects import json_objects, last_end
from ingest.recognising import ECS, recognise
from ingest.scrub import Tokens, scrub
from ingest.vault import HmacTokens
from wardwatch.errors import ParseError, RecordError
from wardwatch.event import Event, LogSource, decode, event_id
from wardwatch.sources import ReadRecord

__all__ = ["SOURCES", "read", "recognise"]

SOURCES = (*parsers.PARSERS, ECS)
BLOCK_BYTES = 4 * 2**20
_TENANT = "local"


def read(
    file: BinaryIO,
    source: str,
    *,
    name: str,
    zone: tzinfo,
    charset: str = "utf-8",
    tokens: Tokens | None = None,
) -> Iterator[ReadRecord]:
    """Yield every record of a file in bounded memory; raises RecordError where the file as a whole can't be read.

    Without ``tokens`` those in the events are of this call alone.
    """
    one = _Source(_parser(source), Site(zone, charset), tokens or HmacTokens(secrets.token_bytes(32)))
    number = 0
    for start, block in blocks(file, one.parser):
        for found, raw in located(one.parser.split(block), block):
            number += 1
            offset = None if found is None else start + found
            yield one.read(Record(raw, position=f"{name}#{number}@{offset or 0}"), number, offset)


@dataclass(frozen=True, slots=True)
class _Source:
    """Everything that turns records of one source into events."""

    parser: Parser
    site: Site
    tokens: Tokens

    def read(self, record: Record, number: int, offset: int | None) -> ReadRecord:
        try:
            found = [
                self._event(record, index, each) for index, each in enumerate(self.parser.parse(record, self.site))
            ]
        except RecordError as error:
            return ReadRecord(number, offset, problem=error.reason)
        return ReadRecord(number, offset, found)

    def _event(self, record: Record, index: int, parsed: Parsed) -> Event:
        doc = scrub(parsed.doc, self.parser.policy, self.tokens) if self.parser.name != ECS else parsed.doc
        doc.setdefault("event.id", event_id(_TENANT, self.parser.name, record.position, str(index)))
        return Event(doc, _TENANT, self.parser.name, parsed.logsource, record.position, record.received)


def _parser(source: str) -> Parser:
    return _ECS if source == ECS else parsers.parser(source)


def _parse_ecs(record: Record, _site: Site) -> list[Parsed]:
    try:
        return [Parsed(decode(record.data), LogSource())]
    except RecordError as error:
        raise ParseError(error.reason, step=ECS) from None


_ECS = Parser(ECS, json_objects, _parse_ecs, {}, "Events as ECS", "ECS documents as JSON", ())


def located(records: Iterator[bytes], block: bytes) -> Iterator[tuple[int | None, bytes]]:
    """Yield each record with its place in the block; None for those of EVTX, which are not in it as they are read."""
    offset = found = 0
    for raw in records:
        found = block.find(raw, offset) if found >= 0 else found
        yield (found if found >= 0 else None), raw
        offset = found + len(raw)


def blocks(file: BinaryIO, source: Parser) -> Iterator[tuple[int, bytes]]:
    """Yield a file in parts that end with a record, each with its offset; raises RecordError for one too large.

    Parts are about BLOCK_BYTES long, those of EVTX about 64 MiB; files whose records are neither lines nor JSON objects
    come whole.
    """
    block = file.read(BLOCK_BYTES)
    if block.startswith(MAGIC):
        return ((0, part) for part in evtx_parts(block, file))
    return iter([(0, _whole(block, file, source.name))]) if source.is_whole(block) else _cut(block, file)


def _whole(block: bytes, file: BinaryIO, source: str) -> bytes:
    block += file.read(MAX_WHOLE_BYTES)
    if len(block) > MAX_WHOLE_BYTES:
        raise ParseError(f"more than {MAX_WHOLE_BYTES} bytes in a file of {source}", step="read")
    return block


def _cut(block: bytes, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    start, is_json = 0, block.lstrip(b"\xef\xbb\xbf \t\r\n[")[:1] == b"{"
    while more := file.read(BLOCK_BYTES):
        end = _end(block, is_json=is_json) or (len(block) if len(block) > MAX_WHOLE_BYTES else 0)
        if end:
            yield start, block[:end]
        start, block = start + end, block[end:] + more
    yield start, block


def _end(block: bytes, *, is_json: bool) -> int:
    """Return where the last complete record of the block ends; 0 where none does."""
    if not is_json:
        return block.rfind(b"\n") + 1
    return block.rfind(b"\n{") + 1 or last_end(block)
