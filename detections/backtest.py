"""Back-test: what rules would have found in archived events, per day and tenant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo

from detections import fold, matches
from detections.archive import Archive, Part, Span
from detections.correlation import alerts, records
from detections.correlation.group import Firing
from detections.correlation.replay import Replay
from detections.correlation.written import Written
from detections.matches import MatchRecord
from detections.sigma import Rule, Ruleset
from detections.sigma.view import View
from wardwatch.event import Event, parse_time


@dataclass(frozen=True, slots=True)
class Sample:
    """One event that a rule met."""

    tenant: str
    event_id: str
    timestamp: str
    sentence: dict[str, str]
    matched: dict[str, list[str]]


@dataclass
class Found:
    """What one rule found: matches and alerts by tenant and local day, and the first events of each tenant.

    A match of a correlation is an event that one of its alerts counts. ``alerting`` is False where a rule makes no
    alert of its own, since correlations alone ask for its matches.
    """

    rule: Rule | Written
    alerting: bool
    window_s: int
    samples_each: int
    matches: Counter[tuple[str, date]] = field(default_factory=Counter)
    alerts: Counter[tuple[str, date]] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    _open: dict[str, tuple[str, set[str]]] = field(default_factory=dict, repr=False)

    @property
    def total(self) -> int:
        """All matches."""
        return self.matches.total()

    def add(self, record: MatchRecord, zone: tzinfo) -> None:
        """Count one match of a plain rule; those of a tenant arrive in order of time."""
        place = record.tenant, _day(record.timestamp, zone)
        self.matches[place] += 1
        self.alerts[place] += self.alerting and self._opens(record)
        self._sample(record)

    def fire(self, firing: Firing, zone: tzinfo) -> None:
        """Count one firing of a correlation: the events that its alert has not had yet."""
        *_, last = (each.match for each in alerts.arrivals(firing, 0))
        for entry in firing.evidence:
            self.matches[firing.tenant, _day(alerts.time_of(entry.at_ms), zone)] += 1
        if firing.first:
            self.alerts[firing.tenant, _day(last.timestamp, zone)] += self.alerting
            self._sample(last)

    def _sample(self, record: MatchRecord) -> None:
        if sum(sample.tenant == record.tenant for sample in self.samples) < self.samples_each:
            named = record.event_id, record.timestamp, record.sentence, record.matched
            self.samples.append(Sample(record.tenant, *named))

    def _opens(self, record: MatchRecord) -> bool:
        # only the groups of the latest window are kept: events are in order, so no earlier one comes back
        window = fold.window_start(record, self.window_s).isoformat()
        if self._open.get(record.tenant, ("",))[0] != window:
            self._open[record.tenant] = window, set()
        groups = self._open[record.tenant][1]
        new = record.group_key not in groups
        groups.add(record.group_key)
        return new


@dataclass
class Backtest:
    """A back-test under way: ``rules`` are those of the set that are tried, ``window_s`` is the alerter's setting.

    Where a tenant has its own rule of the same id, that one is tried on its events. Correlations are evaluated when a
    part is read; until then the matches that they take in are held.
    """

    archive: Archive
    ruleset: Ruleset
    rules: Sequence[Rule | Written]
    window_s: int
    samples: int = 5
    events_read: int = 0
    found: dict[str, Found] = field(init=False)
    _needed: set[str] = field(init=False, repr=False)
    _own: frozenset[tuple[str, str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.found = {rule.id: self._nothing_yet(rule) for rule in self.rules}
        self._needed = self.ruleset.correlated.beneath(self.found)
        self._own = frozenset((rule.tenant, rule.id) for rule in self.ruleset.rules if rule.tenant)

    def parts(self, tenants: Iterable[str], span: Span) -> list[Part]:
        """Return what has to be read of each tenant."""
        read = [rule for rule in self.ruleset.rules if rule.id in self._needed]
        return [
            self.archive.part(tenant, span, lambda source: any(rule.concerns(source) for rule in read))
            for tenant in tenants
        ]

    def run(self, part: Part) -> Iterator[Event]:
        """Read a part and count what the rules find; yields each event when it is done."""
        zone, replay = self.archive.tenants.zone(part.tenant), Replay()
        try:
            for event in self.archive.read(part):
                self._match(event, zone, replay)
                self.events_read += 1
                yield event
        finally:  # an interrupted test counts what it has seen
            self._correlate(replay, zone)

    def _nothing_yet(self, rule: Rule | Written) -> Found:
        is_silent = rule.id in self.ruleset.correlated.silent if isinstance(rule, Rule) else not rule.correlation.alerts
        return Found(rule, not is_silent, self.window_s, self.samples)

    def _match(self, event: Event, zone: tzinfo, replay: Replay) -> None:
        met = [each for each in self.ruleset.match(event, zone) if self._is_tried(each.rule, event.tenant)]
        if not met:
            return
        view = View(event.doc, zone)
        for match in met:
            if found := self.found.get(match.rule.id):
                found.add(matches.of_event(match, event, view), zone)
        intakes = self.ruleset.correlated.of((each.rule.id for each in met), event.tenant)
        for fed, correlation in records.of_event(intakes, event, view):
            if correlation.card.id in self._needed:
                replay.take(fed, correlation)

    def _is_tried(self, rule: Rule, tenant: str) -> bool:
        replaced = not rule.tenant and (tenant, rule.id) in self._own
        return rule.id in self._needed and not replaced

    def _correlate(self, replay: Replay, zone: tzinfo) -> None:
        for firing in sorted(replay.firings(), key=lambda each: each.last[:2]):
            if found := self.found.get(firing.correlation.card.id):
                found.fire(firing, zone)


def _day(timestamp: str, zone: tzinfo) -> date:
    return parse_time(timestamp).astimezone(zone).date()
