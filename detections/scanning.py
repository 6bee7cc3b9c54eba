"""Files scanned by rules without a server: what ``wardwatch detect`` counts and finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from detections import logsource
from detections.correlation import alerts, records
from detections.correlation.correlator import chained
from detections.correlation.group import Firing
from detections.correlation.replay import Replay
from detections.sigma import Match, Ruleset
from detections.sigma.view import View
from enrich.context import Context
from wardwatch.alert import Severity
from wardwatch.errors import DecodeError, RecordError
from wardwatch.event import Document, Event, LogSource
from wardwatch.sources import ReadRecord


@dataclass(frozen=True, slots=True)
class Hospital:
    """What the tables tell a matcher (``enrich.lookups.Rows``), told by the person who scans."""

    zone: str
    assets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def rows(self, table: str, tenant: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the inventory, or the tenant's row with its zone."""
        return self.assets if table == "assets" else {tenant or "local": {"zone": self.zone}}

    def version(self, _table: str) -> int:
        """Return 1: nothing changes during a scan."""
        return 1


def complete(event: Event, context: Context) -> None:
    """Add the log source and the context that a matcher would; raises DecodeError for a time it can't read."""
    if event.logsource == LogSource():
        event.logsource = logsource.of_document(event.doc)
    if isinstance(event.doc.get("@timestamp"), str):
        context.enrich(event)


def is_complete(event: Event, context: Context) -> bool:
    """Complete an event and tell whether that could be done."""
    try:
        complete(event, context)
    except RecordError:
        return False
    return True


Origin = tuple[str, int, str]
"""(file, number of the record, event id)."""


@dataclass(frozen=True, slots=True)
class Found:
    """One match: the record it is in, the event and the rule."""

    file: str
    record: int
    event: Event
    match: Match

    def row(self) -> Document:
        """Return the match as it is printed."""
        return {
            "file": self.file,
            "record": self.record,
            "rule_id": self.match.rule.id,
            "rule_title": self.match.rule.title,
            "level": self.match.rule.severity.value,
            "event_id": self.event.id,
            "@timestamp": self.event.doc.get("@timestamp"),
            "matched": self.match.matched,
        }


@dataclass(frozen=True, slots=True)
class Raised:
    """One alert of a correlation: its latest firing, and the record of the event at which it fired."""

    file: str
    record: int
    event_id: str
    firing: Firing

    def row(self) -> Document:
        """Return the alert as it is printed."""
        card = self.firing.correlation.card
        return {
            "file": self.file,
            "record": self.record,
            "rule_id": card.id,
            "rule_title": card.name,
            "level": card.severity.value,
            "event_id": self.event_id,
            "@timestamp": alerts.time_of(self.firing.last.at_ms),
            "matched": alerts.matched(self.firing),
        }


@dataclass(frozen=True, slots=True)
class Refused:
    """One record, or one event in it, that can't be read, and why."""

    record: int
    reason: str


@dataclass
class Scan:
    """Matches records with the rules of some levels, and counts."""

    rules: Ruleset
    context: Context
    zone: tzinfo
    levels: frozenset[Severity]
    records: int = 0
    events: int = 0
    refused: int = 0
    matches: Counter[tuple[Severity, str]] = field(default_factory=Counter)
    _replay: Replay = field(default_factory=Replay)
    _origins: dict[str, Origin] = field(default_factory=dict)

    def record(self, file: str, record: ReadRecord) -> Iterator[Found | Refused]:
        """Yield the matches in a record, or what is wrong with it."""
        self.records += 1
        if record.problem:
            yield self._refused(record.number, record.problem)
        for event in record.events:
            self.events += 1
            try:
                complete(event, self.context)
            except DecodeError as error:
                yield self._refused(record.number, error.reason)
            else:
                yield from self._found(file, record.number, event)

    def correlated(self) -> Iterator[Raised]:
        """Yield the alerts of correlations over all records, in order of event time."""
        latest: dict[tuple[str, str, tuple[str, ...], int], Firing] = {}
        for firing in self._replay.firings():
            origin = self._origins[firing.last.event_id]
            self._origins.update((fed.event_id, origin) for fed, _ in chained(firing))
            if firing.correlation.alerts and firing.correlation.card.severity in self.levels:
                latest[firing.correlation.card.id, firing.tenant, firing.group, firing.opened_ms] = firing
        for firing in sorted(latest.values(), key=lambda each: each.last[:2]):
            card = firing.correlation.card
            self.matches[card.severity, card.name] += 1
            yield Raised(*self._origins[firing.last.event_id], firing)

    def _found(self, file: str, number: int, event: Event) -> Iterator[Found]:
        met = self.rules.match(event, self.zone)
        self._feed((file, number, event.id), event, [match.rule.id for match in met])
        for match in met:
            if match.rule.severity in self.levels and match.rule.id not in self.rules.correlated.silent:
                self.matches[match.rule.severity, match.rule.title] += 1
                yield Found(file, number, event, match)

    def _feed(self, origin: Origin, event: Event, met: list[str]) -> None:
        intakes = self.rules.correlated.of(met, event.tenant)
        if intakes and isinstance(event.doc.get("@timestamp"), str):  # without a time it has no place in a window
            for fed, correlation in records.of_event(intakes, event, View(event.doc, self.zone)):
                self._replay.take(fed, correlation)
                self._origins.setdefault(fed.event_id, origin)

    def _refused(self, number: int, reason: str) -> Refused:
        self.refused += 1
        return Refused(number, reason)
