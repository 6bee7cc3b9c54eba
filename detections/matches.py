"""A match on its way from the matcher to the alerter: the record on the topic ``matches``."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec

from detections.sigma.rule import PLACEHOLDER, Match, RuleCard
from detections.sigma.view import Cell, Scalar, View
from wardwatch.errors import DecodeError
from wardwatch.event import Document, Event, parse_time, rfc3339
from wardwatch.store.reading import event_day
from wardwatch.text import safe_text

FIELDS_BYTES = 4096
FIRST_YEAR, LAST_YEAR = 2000, 9999
FUTURE_DAYS = 2
_VALUE_CHARACTERS = 256
_VALUES = 5
_MATCHED_FIELDS = 20
_ENTITIES = (
    *("event", "host", "user", "source", "destination", "process", "hospital", "file", "url", "client", "server"),
    *("observer", "network", "dicom", "hl7", "db", "dns", "registry"),
)
_PRIVATE = frozenset({"event.original", "event.id"})


class MatchRecord(msgspec.Struct, frozen=True):
    """One rule met by one event.

    ``timestamp`` is RFC 3339: the event's own, or that of its receipt where no clock can have written it. ``index``
    holds the archived event; ``group`` are the values that tell the rule's alerts apart; ``fields`` is a copy of the
    event's entities of at most FIELDS_BYTES; ``sentence`` says why, per language.
    ``opened`` is the start of the alert's window where the match itself does not tell it: of correlations.
    """

    tenant: str
    rule: RuleCard
    group: dict[str, str]
    event_id: str
    timestamp: str
    index: str
    source: str
    matched: dict[str, list[str]]
    fields: Document
    sentence: dict[str, str]
    opened: str = ""

    @property
    def group_key(self) -> str:
        """A short word for the group's values: 16 hexadecimal digits."""
        return blake2b(msgspec.json.encode(sorted(self.group.items())), digest_size=8).hexdigest()

    @property
    def key(self) -> str:
        """The record's key: all matches of one group are in one partition, in order."""
        return f"{self.tenant}/{self.rule.id}/{self.group_key}"

    def headers(self) -> dict[str, str]:
        """Return tenant, source and event id, for routing and dead letters."""
        return {"tenant": self.tenant, "source": self.source, "id": self.event_id}


_DECODER = msgspec.json.Decoder(MatchRecord)


def encode(record: MatchRecord) -> bytes:
    """Return the record as JSON."""
    return msgspec.json.encode(record)


def decode(data: bytes) -> MatchRecord:
    """Return the record in ``data``; raises DecodeError."""
    try:
        record = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(f"not a match: {error}", step="alerter") from None
    if not FIRST_YEAR <= parse_time(record.timestamp).year < LAST_YEAR:
        raise DecodeError(f"a time out of range: {record.timestamp[:40]!r}", step="alerter")
    return record


def of_event(match: Match, event: Event, view: View) -> MatchRecord:
    """Return the record of a match; raises DecodeError when the event's time can't be read."""
    matched = _bounded(match.matched)
    return MatchRecord(
        tenant=event.tenant,
        rule=match.rule.card,
        group={name: _text(view, name) for name in match.rule.presentation.group_by},
        event_id=event.id,
        timestamp=rfc3339(moment(event)),
        index=stored_in(event),
        source=event.source,
        matched=matched,
        fields=copied(event.doc, match.rule.fields),
        sentence=_sentence(match, matched, view),
    )


def stored_in(event: Event) -> str:
    """Return the index that holds the archived event."""
    return f"logs-wardwatch.event-{event.tenant}-{event_day(event):%Y.%m.%d}"


def moment(event: Event) -> datetime:
    """Return the event's time, or that of its receipt where no clock can have written it; raises DecodeError."""
    # alerts are in monthly indices: hostile times must not open any number of them
    own = parse_time(event.doc["@timestamp"])
    believable = own.year >= FIRST_YEAR and own - event.received <= timedelta(days=FUTURE_DAYS)
    return own if believable else event.received


def _bounded(matched: dict[str, list[Scalar]]) -> dict[str, list[str]]:
    first = list(matched.items())[:_MATCHED_FIELDS]
    return {
        name[:_VALUE_CHARACTERS]: [Cell(name, value).text[:_VALUE_CHARACTERS] for value in values[:_VALUES]]
        for name, values in first
    }


def _cut(value: Scalar) -> Scalar:
    return value[:_VALUE_CHARACTERS] if isinstance(value, str) else value


def copied(doc: Document, names: frozenset[str]) -> Document:
    """Return the fields of these names and the event's entities, at most FIELDS_BYTES of them."""
    fields: Document = {}
    room = FIELDS_BYTES
    named = [name for name in doc if name in names]
    entities = [name for name in doc if name.partition(".")[0] in _ENTITIES and name not in _PRIVATE]
    for name in dict.fromkeys(named + entities):
        value = _short(doc[name])
        room -= len(name) + len(msgspec.json.encode(value)) + 4
        if room >= 0 and value is not None:
            fields[name] = value
    return fields


def _short(value: object) -> Scalar | list[Scalar]:
    if isinstance(value, list):
        return [_cut(item) for item in value[:_VALUES] if isinstance(item, str | int | float)]
    return _cut(value) if isinstance(value, str | int | float) else None


def _text(view: View, name: str) -> str:
    cells = view.cells(name) or ()
    return ", ".join(dict.fromkeys(cell.text[:_VALUE_CHARACTERS] for cell in cells[:_VALUES]))


def _sentence(match: Match, matched: dict[str, list[str]], view: View) -> dict[str, str]:
    reason, card = match.rule.presentation.reason, match.rule.card
    evidence = "; ".join(f"{name} = {', '.join(values)}" for name, values in matched.items())
    plain = {language: f"{title}: {evidence}" if evidence else title for language, title in card.title.items()}
    templates = {"en": reason.en, "zh": reason.zh}
    return {
        language: safe_text(_fill(template, view) if template else plain[language], limit=1000)
        for language, template in templates.items()
    }


def _fill(template: str, view: View) -> str:
    return PLACEHOLDER.sub(lambda found: _text(view, found[1]) or "–", template)
