"""The matcher: enriches every event, applies the rules, and writes one record per match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import prometheus_client

from detections import matches
from detections.control.live import InForce, Live, of_files
from detections.control.state import State
from detections.correlation import records as records_of
from detections.sigma.prefilter import Candidates
from detections.sigma.program import Program
from detections.sigma.rule import Match, Rule
from detections.sigma.view import View
from detections.tenants import Tenants
from enrich.context import Context
from wardwatch import topics
from wardwatch.bus import Producer, Record, open_bus
from wardwatch.errors import RecordError
from wardwatch.event import Document, Event, decode, in_envelope, logsource
from wardwatch.settings import Settings
from wardwatch.stage import EVENTS, Runtime
from wardwatch.tables import Tables
from wardwatch.worker import Rejects, prepare, work

MATCHES = prometheus_client.Counter("wardwatch_matches", "Matches by tenant and level", ["tenant", "severity"])
MUTED = prometheus_client.Counter("wardwatch_matches_muted", "Matches dropped by a mute", ["tenant", "rule"])


@dataclass
class Batch:
    """What holds for all records of one batch, and what is counted when its matches are durable."""

    state: State
    now: datetime
    processed: Counter[tuple[str, str]] = field(default_factory=Counter)
    matched: Counter[tuple[str, str]] = field(default_factory=Counter)
    muted: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self) -> None:
        """Add the batch to the metrics."""
        for (tenant, source), count in self.processed.items():
            EVENTS.labels("matcher", tenant, source, "processed").inc(count)
        for metric, counts in ((MATCHES, self.matched), (MUTED, self.muted)):
            for labels, count in counts.items():
                metric.labels(*labels).inc(count)


@dataclass
class Matcher:
    """Turns events into matches; ``enrich`` adds to an event in place.

    An event whose bytes show that it meets no rule is not decoded; another is, as far as the rules of its log source
    and enrichment read it, and whole where it meets a rule. Whether an event that is skipped can be read at all the
    archiver finds.
    """

    live: InForce
    producer: Producer
    enrich: Callable[[Event], None]
    tenants: Tenants
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def __call__(self, records: Sequence[Record], rejects: Rejects) -> None:
        """Match one batch: returns when its matches are durable. The tenant is the topic's, never the content's."""
        batch = Batch(self.live.state, self.now())
        for record in records:
            try:
                self._match(record, batch)
            except RecordError as error:
                rejects.add(record, error)
        self.producer.flush()
        batch.count()

    def _match(self, record: Record, batch: Batch) -> None:
        raw, tenant = record.value or b"", topics.tenant_of(record.topic)
        program = batch.state.ruleset.program(logsource(record.headers))
        candidates = program.candidates(raw)
        if candidates.places != () or not _is_object(raw):
            self._ask(program, candidates, record, batch)
        batch.processed[tenant, record.headers.get("source", "")] += 1

    def _ask(self, program: Program, candidates: Candidates, record: Record, batch: Batch) -> None:
        """Report the rules that the event meets; raises RecordError."""
        raw, tenant = record.value or b"", topics.tenant_of(record.topic)
        doc = program.decode(raw, candidates)
        event, read = in_envelope(doc, record.headers, tenant), doc.copy()
        self.enrich(event)
        zone = self.tenants.zone(tenant)
        if met := program.match(doc, zone, candidates):
            event.doc = doc if candidates.whole else decode(raw) | _written(read, doc)
            self._report(met, event, View(event.doc, zone), batch)

    def _report(self, met: Sequence[Rule], event: Event, view: View, batch: Batch) -> None:
        correlated, reported = batch.state.ruleset.correlated, list(self._in_force(met, event.tenant, batch))
        for rule in reported:
            batch.matched[event.tenant, rule.severity.value] += 1
            if rule.id not in correlated.silent:
                found = matches.of_event(Match(rule, rule.matched(view)), event, view)
                self.producer.send(topics.MATCHES.name, matches.encode(found), key=found.key, headers=found.headers())
        if intakes := correlated.of([rule.id for rule in reported], event.tenant):
            for fed, above in records_of.of_event(intakes, event, view):
                key = fed.key(above)
                self.producer.send(topics.MATCHES.name, msgspec.json.encode(fed), key=key, headers=fed.headers())

    def _in_force(self, met: Sequence[Rule], tenant: str, batch: Batch) -> Iterator[Rule]:
        """Yield the rules that the tenant has and nobody has muted."""
        for rule in met:
            if batch.state.holds(rule, tenant):
                if batch.state.muted(rule.id, tenant, batch.now):
                    batch.muted[tenant, rule.id] += 1
                else:
                    yield rule


def _written(before: Document, after: Document) -> Document:
    return {name: value for name, value in after.items() if before.get(name, before) is not value}


def _is_object(raw: bytes) -> bool:
    return raw.startswith(b"{") and raw.endswith(b"}")


def run(settings: Settings, runtime: Runtime) -> None:
    """Match until told to stop."""
    files = of_files(settings.matcher)
    bus = open_bus(settings.bus_url, settings.bus_access)
    prepare(runtime, bus=bus, need=topics.shared())
    if not runtime.stopping.is_set():
        tables = Tables(bus)
        tables.catch_up()
        tenants = Tenants(lambda: tables.rows("tenants", ""))
        producer = bus.producer()
        consumer = bus.consumer("matcher", prefix=topics.EVENTS_PREFIX)
        with Live(files, tables, bus, runtime) as live:
            work(runtime, bus, consumer, Matcher(live, producer, Context(tables).enrich, tenants))
        producer.close()
        tables.close()
    bus.close()
