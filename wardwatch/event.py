"""An event: one flat ECS document and the envelope it travels in.

The document is a JSON object whose keys are dotted ECS names and whose values are scalars, lists of scalars or, where
ECS says ``nested``, lists of objects (docs/decisions/0002-flat-events.md). The envelope travels as record headers, so
that routing needs no decoding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import orjson

from wardwatch.errors import DecodeError

Document = dict[str, Any]

ECS_VERSION = "8.17.0"
MAX_BYTES = 900_000  # of one encoded event: below Kafka's default record limit of 1 MiB with room for headers
MAX_DEPTH = 8  # of arrays and objects below the document itself
MAX_INTEGER = 2**63 - 1  # Elasticsearch `long`
LOGSOURCE = ("wardwatch.logsource.product", "wardwatch.logsource.category", "wardwatch.logsource.service")
"""Fields that the store adds to an event, of which only the envelope speaks: none of the same name in a log counts."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """Sigma log source of an event: what kind of product, category and service wrote it; "" where there is none."""

    product: str = ""
    category: str = ""
    service: str = ""

    def archived(self) -> dict[str, str]:
        """Return the fields in which an archived event keeps it."""
        return dict(zip(LOGSOURCE, (self.product, self.category, self.service), strict=True))


@dataclass(slots=True)
class Event:
    """One event of one tenant.

    ``source`` is the stable name of the parser (``hl7v2``); ``position`` is where the record was read, for people and
    for dead letters (``mllp:10.3.1.5``, ``/var/log/mysql/audit.log@8812``); ``received`` is when the collector had it.
    """

    doc: Document
    tenant: str
    source: str
    logsource: LogSource = field(default_factory=LogSource)
    position: str = ""
    received: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def id(self) -> str:
        """The deterministic ``event.id``."""
        return str(self.doc["event.id"])

    def headers(self) -> dict[str, str]:
        """Return the envelope as record headers."""
        return {
            "id": self.id,
            "tenant": self.tenant,
            "source": self.source,
            "product": self.logsource.product,
            "category": self.logsource.category,
            "service": self.logsource.service,
            "position": self.position,
            "received": rfc3339(self.received),
        }


def from_record(value: bytes, headers: dict[str, str], tenant: str) -> Event:
    """Return the event of a record.

    ``tenant`` is the one of the topic, never the one the headers claim. Raises DecodeError.
    """
    return in_envelope(decode(value), headers, tenant)


def in_envelope(doc: Document, headers: dict[str, str], tenant: str) -> Event:
    """Return the event of a decoded document, as ``from_record`` does."""
    for name in ("event.id", "@timestamp"):
        if not isinstance(doc.get(name), str):
            raise DecodeError(f"{name} is missing or not a string", step="decode")
    received = headers.get("received")
    return Event(
        doc=doc,
        tenant=tenant,
        source=headers.get("source", ""),
        logsource=logsource(headers),
        position=headers.get("position", ""),
        received=parse_time(received) if received else datetime.now(UTC),
    )


def logsource(headers: dict[str, str]) -> LogSource:
    """Return the log source that a record's headers name."""
    return _logsource(headers.get("product", ""), headers.get("category", ""), headers.get("service", ""))


_logsource = lru_cache(maxsize=4096)(LogSource)  # few are met, and making one costs more than the memory


def event_id(tenant: str, source: str, *parts: str | bytes) -> str:
    """Return the deterministic id of an event: 32 hexadecimal digits over tenant, source and position or content."""
    digest = blake2b(digest_size=16)
    for part in (tenant, source, *parts):
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def encode(doc: Document, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the document as JSON bytes.

    Raises DecodeError naming the limit: more than ``max_bytes``, deeper than MAX_DEPTH, a number outside the range of
    MAX_INTEGER, NaN or infinity, a lone surrogate, or a value that JSON does not have.
    """
    check(doc)
    try:
        data = orjson.dumps(doc)
    except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
        raise DecodeError(f"not JSON: {error}", step="encode") from None
    if len(data) > max_bytes:
        raise DecodeError(f"{len(data)} bytes, at most {max_bytes} are carried", step="encode")
    return data


def decode(data: bytes, *, max_bytes: int = MAX_BYTES) -> Document:
    """Return the JSON object in ``data``; raises DecodeError naming what was refused (limits as in ``encode``)."""
    if len(data) > max_bytes:
        raise DecodeError(f"{len(data)} bytes, at most {max_bytes} are read", step="decode")
    try:
        doc = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"not JSON: {error}", step="decode") from None
    if not isinstance(doc, dict):
        raise DecodeError(f"a JSON object is expected, not {type(doc).__name__}", step="decode")
    check(doc)
    return doc


_PLAIN: Final = frozenset((str, bool, type(None)))


def check(doc: Document) -> None:
    """Raise DecodeError for what ``decode`` refuses in the values of a document."""
    for name, value in doc.items():
        if value.__class__ in _PLAIN or (value.__class__ is int and -MAX_INTEGER <= value <= MAX_INTEGER):
            continue
        _check_value(name, value, 0)


def _check_value(name: str, value: object, depth: int) -> None:
    if isinstance(value, float):
        # orjson reads an integer of more than 64 bits as a float: the range check finds it
        if not math.isfinite(value) or abs(value) > MAX_INTEGER:
            raise DecodeError(f"{name[:80]!r}: a number outside ±2^63", step="decode")
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise DecodeError(f"{name[:80]!r}: a number outside ±2^63", step="decode")
    elif isinstance(value, list | dict):
        if depth >= MAX_DEPTH:
            raise DecodeError(f"{name[:80]!r}: nested deeper than {MAX_DEPTH}", step="decode")
        for item in value.values() if isinstance(value, dict) else value:
            if item.__class__ not in _PLAIN:
                _check_value(name, item, depth + 1)


def rfc3339(moment: datetime) -> str:
    """Return the moment in UTC with milliseconds, ``2026-03-01T02:11:09.000Z`` (RFC 3339); refuses naive times."""
    if moment.tzinfo is None:
        raise ValueError("a time without zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_time(text: str) -> datetime:
    """Return the moment of an RFC 3339 text with zone; raises DecodeError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DecodeError(f"not a time: {text[:40]!r}", step="decode") from None
    if moment.tzinfo is None:
        raise DecodeError(f"a time without zone: {text[:40]!r}", step="decode")
    return moment
