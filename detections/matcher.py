"""The matcher: enriches every event, applies the rules, and writes one record per match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import prometheus_client

from detections import matches
from detections.control.live import InForce, Live, of_files, rule_paths, vocabulary
from detections.control.state import State
from detections.correlation import records as records_of
from detections.sigma.view import View
from detections.tenants import Tenants
from enrich.context import Context
from wardwatch import topics
from wardwatch.bus import Producer, Record, open_bus
from wardwatch.errors import RecordError
from wardwatch.event import Event, from_record
from wardwatch.settings import Settings
from wardwatch.stage import EVENTS, Runtime
from wardwatch.tables import Tables
from wardwatch.worker import Rejects, prepare, work

MATCHES = prometheus_client.Counter("wardwatch_matches", "Matches by tenant and level", ["tenant", "severity"])
MUTED = prometheus_client.Counter("wardwatch_matches_muted", "Matches dropped by a mute", ["tenant", "rule"])


@dataclass
class Matcher:
    """Turns events into matches; ``enrich`` adds to an event in place."""

    live: InForce
    producer: Producer
    enrich: Callable[[Event], None]
    tenants: Tenants
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def __call__(self, records: Sequence[Record], rejects: Rejects) -> None:
        """Match one batch: returns when its matches are durable. The tenant is the topic's, never the content's."""
        state, now = self.live.state, self.now()
        for record in records:
            try:
                event = from_record(record.value or b"", record.headers, topics.tenant_of(record.topic))
                self._match(event, state, now)
            except RecordError as error:
                rejects.add(record, error)
            else:
                EVENTS.labels("matcher", event.tenant, event.source, "processed").inc()
        self.producer.flush()

    def _match(self, event: Event, state: State, now: datetime) -> None:
        self.enrich(event)
        zone = self.tenants.zone(event.tenant)
        met: list[str] = []
        for match in state.ruleset.match(event, zone):
            if not state.holds(match.rule, event.tenant):
                continue
            if state.muted(match.rule.id, event.tenant, now):
                MUTED.labels(event.tenant, match.rule.id).inc()
                continue
            met.append(match.rule.id)
            MATCHES.labels(event.tenant, match.rule.severity.value).inc()
            if match.rule.id not in state.ruleset.correlated.silent:
                found = matches.of_event(match, event, View(event.doc, zone))
                self.producer.send(topics.MATCHES.name, matches.encode(found), key=found.key, headers=found.headers())
        if intakes := state.ruleset.correlated.of(met, event.tenant):
            for fed, above in records_of.of_event(intakes, event, View(event.doc, zone)):
                key = fed.key(above)
                self.producer.send(topics.MATCHES.name, msgspec.json.encode(fed), key=key, headers=fed.headers())


def run(settings: Settings, runtime: Runtime) -> None:
    """Match until told to stop."""
    files = of_files(rule_paths(settings.matcher), vocabulary(settings.matcher))
    bus = open_bus(settings.bus_url)
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
