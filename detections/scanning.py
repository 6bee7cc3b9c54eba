"""Files scanned by rules without a server: what ``wardwatch detect`` counts and finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from detections import logsource
from detections.sigma import Match, Ruleset
from enrich.context import Context
from wardwatch.alert import Severity
from wardwatch.errors import DecodeError
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


@dataclass(frozen=True, slots=True)
class Found:
    """One match: the record it is in, the event and the rule."""

    record: int
    event: Event
    match: Match

    def row(self, file: str) -> Document:
        """Return the match as it is printed."""
        return {
            "file": file,
            "record": self.record,
            "rule_id": self.match.rule.id,
            "rule_title": self.match.rule.title,
            "level": self.match.rule.severity.value,
            "event_id": self.event.id,
            "@timestamp": self.event.doc.get("@timestamp"),
            "matched": self.match.matched,
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

    def record(self, record: ReadRecord) -> Iterator[Found | Refused]:
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
                yield from self._found(record.number, event)

    def _found(self, number: int, event: Event) -> Iterator[Found]:
        for match in self.rules.match(event, self.zone):
            if match.rule.severity in self.levels:
                self.matches[match.rule.severity, match.rule.title] += 1
                yield Found(number, event, match)

    def _refused(self, number: int, reason: str) -> Refused:
        self.refused += 1
        return Refused(number, reason)
