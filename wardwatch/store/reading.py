"""What both adapters read in documents: checks, sort keys, searched words and the partition that holds an event."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from wardwatch.alert import WORKFLOW, AlertDocument, Severity, parse_alert_id
from wardwatch.errors import NotFound, RecordError, RejectedByStore
from wardwatch.event import MAX_BYTES, Document, Event, encode, parse_time
from wardwatch.store import AlertWrite, Scope

TITLES = (
    "message",
    "event.reason",
    "rule.name",
    "wardwatch.alert.title.en",
    "wardwatch.alert.title.zh",
    "wardwatch.alert.sentence.en",
    "wardwatch.alert.sentence.zh",
)
"""Fields of an alert that a text search reads, beside its entities."""

ENTITIES = ("host.name", "user.id", "wardwatch.alert.patient_token")
"""Fields of an alert that name an entity, beside ``related.*``."""

MAX_ID_BYTES = 512  # Elasticsearch's limit of `_id`
_ENVELOPE_BYTES = 1000  # what the log source may add to the largest event
PAST_DAYS = 31
FUTURE_DAYS = 2


@dataclass(frozen=True, slots=True)
class AlertKeys:
    """What lists of alerts sort and filter by."""

    created_ms: int
    priority: float
    severity: int
    rule: str
    criticality: str
    entities: frozenset[str]
    text: str


def alert_keys(write: AlertWrite) -> AlertKeys:
    """Check detection's document and return its keys; raises RecordError naming the field that is wrong."""
    doc = write.doc
    _check_frame(write)
    priority = dig(doc, "wardwatch.alert.priority") or 0
    severity = dig(doc, "event.severity")
    if isinstance(priority, bool) or not isinstance(priority, int | float):
        raise RejectedByStore("wardwatch.alert.priority is not a number", step="store", record=write.id)
    if isinstance(severity, bool) or not isinstance(severity, int):
        raise RejectedByStore("event.severity is not a whole number", step="store", record=write.id)
    related = doc.get("related")
    entities = {text for value in (related, *(dig(doc, name) for name in ENTITIES)) for text in texts(value)}
    titles = (text for name in TITLES for text in texts(dig(doc, name)))
    return AlertKeys(
        created_ms=_moment_ms(dig(doc, "event.created"), "event.created"),
        priority=float(priority),
        severity=severity,
        rule="".join(texts(dig(doc, "rule.id"))),
        criticality="".join(texts(dig(doc, "wardwatch.alert.asset_criticality"))),
        entities=frozenset(entities),
        text="\n".join([*titles, *sorted(entities)]),
    )


def _check_frame(write: AlertWrite) -> None:
    try:
        parse_alert_id(write.id)
    except NotFound:
        raise RejectedByStore(f"{write.id[:80]!r} is no alert id", step="store") from None
    if dig(write.doc, "event.id") != write.id:
        raise RejectedByStore("event.id is not the alert's id", step="store", record=write.id)
    if not isinstance(dig(write.doc, "wardwatch.alert"), dict):
        raise RejectedByStore("wardwatch.alert is not an object", step="store", record=write.id)


def detection_part(doc: AlertDocument) -> AlertDocument:
    """Return a checked document without the fields that people own."""
    own = doc["wardwatch"]
    return {**doc, "wardwatch": {**own, "alert": {k: v for k, v in own["alert"].items() if k not in WORKFLOW}}}


def check_workflow(changes: Mapping[str, Any]) -> None:
    """Raise RejectedByStore for a change of a field that detection owns."""
    foreign = sorted(set(changes) - WORKFLOW)
    if foreign:
        raise RejectedByStore(f"no workflow field: {', '.join(foreign)[:200]}", step="store")


def severity_numbers(severities: frozenset[Severity]) -> set[int]:
    """Return the values of ``event.severity`` for these levels; informational and low share one number."""
    return {severity.number for severity in severities}


def severity_name(number: int) -> str:
    """Return the level of a number in ``event.severity``; 21 is ``low``."""
    names = {severity.number: severity.value for severity in Severity}
    return names.get(number, str(number))


def read_event(event: Event) -> tuple[int, bytes]:
    """Check an event and return its time in Unix milliseconds and its JSON with its log source; raises RecordError."""
    _check_length(event.doc.get("event.id"), "event.id")
    archived = encode(event.doc | event.logsource.archived(), max_bytes=MAX_BYTES + _ENVELOPE_BYTES)
    return _moment_ms(event.doc.get("@timestamp"), "@timestamp"), archived


def event_day(event: Event) -> date:
    """Return the UTC day whose partition holds the event.

    It is the day of ``@timestamp``, or of reception for times more than PAST_DAYS old or FUTURE_DAYS ahead: a hostile
    clock must not open any number of partitions.
    """
    moment = parse_time(event.doc["@timestamp"])
    near = -timedelta(days=PAST_DAYS) <= moment - event.received <= timedelta(days=FUTURE_DAYS)
    return (moment if near else event.received).astimezone(UTC).date()


def read_document(identifier: str, doc: Document) -> tuple[int, bytes]:
    """Check a document of a collection and return its ``at`` in Unix milliseconds and its JSON; raises RecordError."""
    _check_length(identifier, "the id")
    return _moment_ms(doc.get("at"), "at"), encode(doc)


def _check_length(identifier: object, name: str) -> None:
    if not isinstance(identifier, str) or not 0 < len(identifier.encode("utf-8", "replace")) <= MAX_ID_BYTES:
        raise RejectedByStore(f"{name} is not a text of 1 to {MAX_ID_BYTES} bytes", step="store")


def _moment_ms(value: object, name: str) -> int:
    if not isinstance(value, str):
        raise RejectedByStore(f"{name} is not a time", step="store")
    try:
        return unix_ms(parse_time(value))
    except (RecordError, OverflowError):
        raise RejectedByStore(f"{name} is not a time: {value[:40]!r}", step="store") from None


def unix_ms(moment: datetime) -> int:
    """Return a moment as whole milliseconds of Unix time."""
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def dig(doc: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path of a nested document of JSON, or None."""
    value: Any = doc
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def texts(value: object) -> Iterator[str]:
    """Yield every scalar in the value as the text by which it is found."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif value is not None:
        yield str(value)


def terms(text: str) -> list[str]:
    """Return the blank-separated terms of a search that hold at least one letter or digit.

    Each is searched as a phrase and all must be found. A text of signs alone has no terms and finds nothing.
    """
    readable = re.sub(r"[\0\ud800-\udfff]", " ", text)
    return [term for term in readable.split() if re.search(r"[^\W_]", term)]


def visible(scope: Scope, wanted: frozenset[str]) -> frozenset[str] | None:
    """Return the tenants that a search reads: those wanted (none: any) within the scope; None is every tenant."""
    if scope.tenants is None:
        return wanted or None
    return scope.tenants & wanted if wanted else scope.tenants
