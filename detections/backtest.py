"""Back-test: what rules would have found in archived events, per day and tenant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo

from detections import fold, matches
from detections.archive import Archive, Part, Span
from detections.matches import MatchRecord
from detections.sigma import Match, Rule, Ruleset
from detections.sigma.view import View
from wardwatch.event import Event, LogSource, parse_time


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
    """What one rule found: matches and alerts by tenant and local day, and the first events of each tenant."""

    rule: Rule
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

    def add(self, record: MatchRecord, day: date) -> None:
        """Count one match; those of a tenant arrive in order of time."""
        self.matches[record.tenant, day] += 1
        self.alerts[record.tenant, day] += self._opens(record)
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

    Where a tenant has its own rule of the same id, that one is tried on its events.
    """

    archive: Archive
    ruleset: Ruleset
    rules: Sequence[Rule]
    window_s: int
    samples: int = 5
    events_read: int = 0
    found: dict[str, Found] = field(init=False)
    _own: frozenset[tuple[str, str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.found = {rule.id: Found(rule, self.window_s, self.samples) for rule in self.rules}
        self._own = frozenset((rule.tenant, rule.id) for rule in self.ruleset.rules if rule.tenant)

    def parts(self, tenants: Iterable[str], span: Span) -> list[Part]:
        """Return what has to be read of each tenant."""
        return [self.archive.part(tenant, span, self._concerns) for tenant in tenants]

    def run(self, part: Part) -> Iterator[Event]:
        """Read a part and count what the rules find; yields each event when it is done."""
        zone = self.archive.tenants.zone(part.tenant)
        for event in self.archive.read(part):
            for match in self.ruleset.match(event, zone):
                self._count(match, event, zone)
            self.events_read += 1
            yield event

    def _concerns(self, source: LogSource) -> bool:
        return any(rule.concerns(source) for rule in self.rules)

    def _count(self, match: Match, event: Event, zone: tzinfo) -> None:
        found = self.found.get(match.rule.id)
        replaced = not match.rule.tenant and (event.tenant, match.rule.id) in self._own
        if found is not None and not replaced:
            record = matches.of_event(match, event, View(event.doc, zone))
            found.add(record, parse_time(record.timestamp).astimezone(zone).date())
