"""Archived events as the matcher saw them: with their log source, and with what the tables know of them today."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from detections import logsource
from detections.tenants import Tenants
from wardwatch.event import LOGSOURCE, Document, Event, LogSource, parse_time
from wardwatch.store import Events, Kinds, Scope, Values

_SCOPE = Scope("rules")
_UNKNOWN = (None, None, None)  # of an event that was archived before the store kept log sources
_STRETCHES = 24  # of a sample: one hour of a day each
_MOST_KINDS = 140  # with seven fields each at most, below the least limit of clauses in one query (1024)


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` until before ``end``; a naive time is meant in each tenant's own zone."""

    start: datetime
    end: datetime

    def of(self, tenants: Tenants, tenant: str) -> Span:
        """Return the span of one tenant, with zones."""
        zone = tenants.zone(tenant)
        start, end = (moment if moment.tzinfo else moment.replace(tzinfo=zone) for moment in (self.start, self.end))
        return Span(start, end)


@dataclass(frozen=True, slots=True)
class Part:
    """What has to be read of one tenant: ``events`` of ``of_all`` in the span; ``kinds`` None reads all of them."""

    tenant: str
    span: Span
    kinds: Kinds | None
    events: int
    of_all: int


@dataclass(frozen=True, slots=True)
class Archive:
    """The archived events; ``enrich`` adds to an event in place what the matcher adds."""

    events: Events
    enrich: Callable[[Event], None]
    tenants: Tenants

    def sources(self, tenant: str, span: Span) -> dict[LogSource, int]:
        """Return how many of a tenant's events each log source wrote in a span with zones."""
        counts: dict[LogSource, int] = {}
        fields, tally = self._tally(tenant, span)
        for values, count in tally.items():
            source = _source(dict(zip(fields, values, strict=True)))
            counts[source] = counts.get(source, 0) + count
        return counts

    def part(self, tenant: str, span: Span, concerns: Callable[[LogSource], bool]) -> Part:
        """Return what has to be read of a tenant to see every event of the log sources that are of concern."""
        own = span.of(self.tenants, tenant)
        fields, tally = self._tally(tenant, own)
        chosen = {
            values: count
            for values, count in tally.items()
            if concerns(_source(dict(zip(fields, values, strict=True))))
        }
        of_all = sum(tally.values())
        if len(chosen) == len(tally) or len(chosen) > _MOST_KINDS:
            return Part(tenant, own, None, of_all, of_all)
        return Part(tenant, own, Kinds(fields, frozenset(chosen)), sum(chosen.values()), of_all)

    def read(self, part: Part) -> Iterator[Event]:
        """Yield the events of a part, oldest first, as the matcher gives them to its rules."""
        if part.kinds is not None and not part.kinds.values:
            return
        span = part.span
        for doc in self.events.scan(_SCOPE, part.tenant, start=span.start, end=span.end, kinds=part.kinds):
            yield self.event(part.tenant, doc)

    def sample(self, tenant: str, span: Span, most: int) -> Iterator[Event]:
        """Yield up to ``most`` of a tenant's events: all of them, or the first ones of equal stretches of the span."""
        whole = self.part(tenant, span, lambda _: True)
        stretches = 1 if whole.events <= most else max(1, min(_STRETCHES, most))
        step = (whole.span.end - whole.span.start) / stretches
        for number in range(stretches):
            start = whole.span.start + number * step
            part = replace(whole, span=Span(start, start + step))
            for event in islice(self.read(part), most // (stretches - number)):
                most -= 1
                yield event

    def get(self, tenant: str, ids: Sequence[str]) -> list[Event]:
        """Return the events of these ids that are archived still, oldest first."""
        return [self.event(tenant, doc) for doc in self.events.get(_SCOPE, tenant, ids)]

    def event(self, tenant: str, doc: Document) -> Event:
        """Return an archived document as an event with its context."""
        event = event_of(tenant, doc)
        self.enrich(event)
        return event

    def _tally(self, tenant: str, span: Span) -> tuple[tuple[str, ...], Mapping[Values, int]]:
        tally = self.events.tally(_SCOPE, tenant, LOGSOURCE, start=span.start, end=span.end)
        if _UNKNOWN not in tally:
            return LOGSOURCE, tally
        fields = (*LOGSOURCE, *logsource.FIELDS)
        return fields, self.events.tally(_SCOPE, tenant, fields, start=span.start, end=span.end)


def event_of(tenant: str, doc: Document) -> Event:
    """Return an archived document as the event that the collector sent."""
    own = {name: value for name, value in doc.items() if name not in LOGSOURCE}
    # when the collector had it is not archived: its own time stands for it
    return Event(own, tenant, "", _source(doc), received=parse_time(doc["@timestamp"]))


def _source(doc: Mapping[str, Any]) -> LogSource:
    kept = [str(doc[name]) for name in LOGSOURCE if doc.get(name) is not None]
    if len(kept) == len(LOGSOURCE):
        return LogSource(*kept)
    held = {name: value for name in logsource.FIELDS if (value := doc.get(name)) is not None}
    event_id = str(held.get("winlog.event_id", ""))  # a tally tells it as a text
    return logsource.of_document(held | ({"winlog.event_id": int(event_id)} if event_id.isdecimal() else {}))
