"""Reading single records in tests."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ingest.parsers import Parsed, Record, Site, parser
from wardwatch.event import Document, encode

SITE = Site(ZoneInfo("Asia/Shanghai"))
RECEIVED = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)


def one(source: str, record: str | bytes) -> Parsed:
    """Return the one event of a record, after checking that it can travel."""
    data = record if isinstance(record, bytes) else record.encode()
    (parsed,) = parser(source).parse(Record(data, received=RECEIVED), SITE)
    encode(parsed.doc)
    return parsed


def sample(source: str) -> list[Document]:
    """Return the documents of a source's sample, in order."""
    found = parser(source)
    records = found.split(found.sample())
    return [one.doc for record in records for one in found.parse(Record(record, received=RECEIVED), SITE)]


def part(doc: Document, *names: str) -> tuple[object, ...]:
    """Return the values of some fields, None for those that are missing."""
    return tuple(doc.get(name) for name in names)
