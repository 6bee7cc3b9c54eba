"""A match on its way into a correlation: the record on the topic ``matches`` that the correlator takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b

import msgspec

from detections.correlation.group import Firing
from detections.correlation.loading import Intake, Names
from detections.correlation.measures import Entry, number
from detections.correlation.rule import Correlation, Feed
from detections.matches import copied, moment, stored_in
from detections.sigma.view import Cell, View
from wardwatch.errors import DecodeError
from wardwatch.event import Event, event_id

KIND = "fed"
_VALUES = 20  # values of one field that an event lets in
_CHARACTERS = 256


class Fed(msgspec.Struct, frozen=True):
    """One event for one group of one correlation; ``correlation`` and ``fields``, the event's, are JSON."""

    correlation: msgspec.Raw
    tenant: str
    group: tuple[str, ...]
    at_ms: int
    event_id: str
    sources: tuple[int, ...]
    values: tuple[str, ...]
    index: str
    source: str
    fields: msgspec.Raw

    @property
    def entry(self) -> Entry:
        """The match as a window holds it."""
        return Entry(self.at_ms, self.event_id, self.sources, self.values, self.index)

    def key(self, correlation: Correlation) -> str:
        """Return the record's key: all matches of one group are in one partition, in order."""
        digest = blake2b(msgspec.json.encode(self.group), digest_size=8).hexdigest()
        return f"{self.tenant}/{correlation.card.id}/{digest}"

    def headers(self) -> dict[str, str]:
        """Return kind, tenant, source and event id, for routing and dead letters."""
        return {"kind": KIND, "tenant": self.tenant, "source": self.source, "id": self.event_id}


_DECODER = msgspec.json.Decoder(Fed)


def decode(data: bytes) -> Fed:
    """Return the record in ``data``; raises DecodeError."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(f"not a match for a correlation: {error}", step="alerter") from None


@lru_cache(maxsize=4096)
def correlation_of(data: bytes) -> Correlation:
    """Return the correlation in a record; raises DecodeError."""
    try:
        return msgspec.json.decode(data, type=Correlation)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(f"not a correlation: {error}", step="alerter") from None


Place = tuple[str, tuple[str, ...]]
Taken = dict[Place, tuple[Intake, set[int], tuple[str, ...]]]


def taken_in(intakes: Iterable[Intake], view: View) -> Taken:
    """Return by correlation and group what an event brings: the numbers of the rules it met, and its values.

    An event without a field of the group, or of the value, does not take part (specification 2.1).
    """
    found: Taken = {}
    for intake in intakes:
        group, values = _texts(view, intake.group), _values(view, intake)
        if group is None or values is None:
            continue
        place = intake.correlation.card.id, group
        found.setdefault(place, (intake, set(), values))[1].add(intake.source)
    return found


def _cells(view: View, names: Names) -> list[Cell]:
    """Return the values of the first of the names that has any."""
    found = ([cell for cell in view.cells(name) or () if cell.raw is not None][:_VALUES] for name in names)
    return next(filter(None, found), [])


def _texts(view: View, fields: tuple[Names, ...]) -> tuple[str, ...] | None:
    texts = []
    for names in fields:
        cells = _cells(view, names)
        if not cells:
            return None
        texts.append(", ".join(dict.fromkeys(cell.text[:_CHARACTERS] for cell in cells)))
    return tuple(texts)


def _values(view: View, intake: Intake) -> tuple[str, ...] | None:
    fields, kind = intake.values, intake.correlation.kind
    if not fields:
        return ()
    if len(fields) > 1:
        texts = _texts(view, fields)
        return None if texts is None else ("\x1f".join(texts),)
    found = [cell.text[:_CHARACTERS] for cell in _cells(view, fields[0])]
    if kind == "value_count":
        return tuple(dict.fromkeys(found)) or None
    return next(((text,) for text in found if number(text) is not None), None)


def of_firing(firing: Firing, feed: Feed) -> Fed:
    """Return what a firing brings to a correlation above it: one match, whose id is that of the firing's alert."""
    last = firing.last
    name = f"{firing.correlation.card.id}/{firing.opened_ms}/{'/'.join(firing.group)}"
    return Fed(
        correlation=msgspec.Raw(msgspec.json.encode(feed.correlation)),
        tenant=firing.tenant,
        group=tuple(firing.group[place] for place in feed.group),
        at_ms=last.at_ms,
        event_id=event_id(firing.tenant, "correlation", name),
        sources=(feed.source,),
        values=tuple(firing.group[place] for place in feed.values),
        index=last.stored,
        source=firing.source,
        fields=msgspec.Raw(firing.fields),
    )


def of_event(intakes: Iterable[Intake], event: Event, view: View) -> Iterator[tuple[Fed, Correlation]]:
    """Yield what an event brings to the correlations that take in the rules which it met; raises DecodeError.

    Its time is that of the event, or that of its receipt where the event says a later one.
    """
    # a clock ahead, or a forged time, must not make everything that follows late
    at_ms = round(min(moment(event), event.received).timestamp() * 1000)
    for (_, group), (intake, sources, values) in taken_in(intakes, view).items():
        correlation = intake.correlation
        fed = Fed(
            correlation=msgspec.Raw(intake.raw),
            tenant=event.tenant,
            group=group,
            at_ms=at_ms,
            event_id=event.id,
            sources=tuple(sorted(sources)),
            values=values,
            index=stored_in(event),
            source=event.source,
            fields=msgspec.Raw(msgspec.json.encode(copied(event.doc, correlation.named))),
        )
        yield fed, correlation
