"""The matcher: enriches every event, applies the rules, and writes one record per match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import prometheus_client
import structlog

from detections import matches
from detections.sigma import PACK, Ruleset
from detections.sigma.view import View
from detections.tenants import Tenants
from enrich.context import Context
from wardwatch import topics
from wardwatch.bus import Producer, Record, open_bus
from wardwatch.errors import RecordError, SettingsError
from wardwatch.event import Event, from_record
from wardwatch.settings import MatcherSettings, Settings
from wardwatch.stage import EVENTS, Runtime
from wardwatch.tables import Tables
from wardwatch.worker import Rejects, prepare, work

log = structlog.get_logger()

RULES = prometheus_client.Gauge("wardwatch_rules", "Rules by what became of them", ["outcome"])
MATCHES = prometheus_client.Counter("wardwatch_matches", "Matches by tenant and level", ["tenant", "severity"])


@dataclass
class Matcher:
    """Turns events into matches; ``enrich`` adds to an event in place, ``zone`` is the zone of a tenant."""

    rules: Ruleset
    producer: Producer
    enrich: Callable[[Event], None]
    tenants: Tenants

    def __call__(self, records: Sequence[Record], rejects: Rejects) -> None:
        """Match one batch: returns when its matches are durable. The tenant is the topic's, never the content's."""
        for record in records:
            try:
                event = from_record(record.value or b"", record.headers, topics.tenant_of(record.topic))
                self._match(event)
            except RecordError as error:
                rejects.add(record, error)
            else:
                EVENTS.labels("matcher", event.tenant, event.source, "processed").inc()
        self.producer.flush()

    def _match(self, event: Event) -> None:
        self.enrich(event)
        zone = self.tenants.zone(event.tenant)
        for match in self.rules.match(event, zone):
            found = matches.of_event(match, event, View(event.doc, zone))
            self.producer.send(topics.MATCHES.name, matches.encode(found), key=found.key, headers=found.headers())
            MATCHES.labels(event.tenant, match.rule.severity.value).inc()


def rule_paths(settings: MatcherSettings) -> list[Path]:
    """Return the shipped rules and the operator's own; raises SettingsError for a folder that is not there."""
    for path in settings.rules:
        if not path.exists():
            raise SettingsError(f"matcher.rules: {path} does not exist", step="matcher")
    return [*([PACK] if settings.shipped_rules else []), *settings.rules]


def load_rules(settings: MatcherSettings) -> Ruleset:
    """Load the rules in force; each rejected one is logged and counted."""
    ruleset = Ruleset.load(rule_paths(settings))
    for rejected in ruleset.rejected:
        log.error("rule_rejected", file=str(rejected.file), line=rejected.line, reason=rejected.reason)
    RULES.labels("loaded").set(len(ruleset.rules))
    RULES.labels("rejected").set(len(ruleset.rejected))
    return ruleset


def run(settings: Settings, runtime: Runtime) -> None:
    """Match until told to stop."""
    rules = load_rules(settings.matcher)
    runtime.report("rules", ok=True, message=f"{len(rules.rules)} loaded, {len(rules.rejected)} rejected")
    bus = open_bus(settings.bus_url)
    prepare(runtime, bus=bus, need=topics.shared())
    if not runtime.stopping.is_set():
        tables = Tables(bus)
        tables.catch_up()
        tenants = Tenants(lambda: tables.rows("tenants", ""))
        producer = bus.producer()
        consumer = bus.consumer("matcher", prefix=topics.EVENTS_PREFIX)
        work(runtime, bus, consumer, Matcher(rules, producer, Context(tables).enrich, tenants))
        producer.close()
        tables.close()
    bus.close()
