"""The alerter: folds matches into alerts, one document per tenant, rule, group and window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import prometheus_client

from detections import matches, suppression
from detections.control.live import InForce, Live, of_files
from detections.correlation import alerts
from detections.correlation import records as records_of
from detections.correlation.correlator import Correlator, chained
from detections.fold import Alerting, Arrival, earlier, fold, identifier
from detections.tenants import Tenants
from wardwatch import service_levels, topics
from wardwatch.alert import OPEN, AlertDocument, new_workflow, news
from wardwatch.bus import Bus, Producer, Record, open_bus
from wardwatch.errors import RecordError, RejectedByStore, StoreUnavailable
from wardwatch.event import parse_time
from wardwatch.service_levels import DEFAULT, Clock, Policy, policy_of
from wardwatch.settings import AlerterSettings, Settings
from wardwatch.stage import EVENTS, Runtime
from wardwatch.store import AlertWrite, Outcome, Scope, Store, open_store
from wardwatch.tables import Tables
from wardwatch.worker import Rejects, prepare, work

ALERTS = prometheus_client.Counter("wardwatch_alerts", "Alerts written, by tenant and kind", ["tenant", "kind"])

_SCOPE = Scope("alerter")
_ATTEMPTS = 20  # a person or a second alerter wins a race now and then, not twenty times

Arrivals = dict[str, list[tuple[Record, Arrival]]]


@dataclass
class Alerter:
    """Folds batches of matches; ``now`` is the wall clock."""

    store: Store
    producer: Producer
    tenants: Tenants
    settings: AlerterSettings
    live: InForce
    correlator: Correlator
    policy: Callable[[str], Policy] = field(default=lambda _: DEFAULT)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def __call__(self, records: Sequence[Record], rejects: Rejects) -> None:
        """Fold one batch, one write per alert: returns when every alert is stored and announced."""
        arrivals = self._decode(records, rejects)
        self._correlate(arrivals)
        pending = list(arrivals)
        for _ in range(_ATTEMPTS):
            pending = self._write(pending, arrivals, rejects)
            if not pending:
                break
        else:
            raise StoreUnavailable(f"{len(pending)} alerts keep changing", step="alerter")
        self.producer.flush()
        self.correlator.fired.clear()
        for group in arrivals.values():
            for _, arrival in group:
                EVENTS.labels("alerter", arrival.match.tenant, arrival.match.source, "processed").inc()

    def _decode(self, records: Sequence[Record], rejects: Rejects) -> Arrivals:
        arrivals: Arrivals = {}
        for record in records:
            try:
                if record.headers.get("kind") == records_of.KIND:
                    self.correlator.take(record)
                else:
                    self._arrive(arrivals, record, _arrival(record))
            except RecordError as error:
                rejects.add(record, error)
        return arrivals

    def _correlate(self, arrivals: Arrivals) -> None:
        """Add what correlations make of the matches that have waited long enough, and feed those above them."""
        self.correlator.tick(round(self.now().timestamp() * 1000))
        for record, firing in self.correlator.fired:
            if firing.correlation.alerts:
                for arrival in alerts.arrivals(firing, record.timestamp_ms):
                    self._arrive(arrivals, record, arrival)
            for fed, above in chained(firing):
                self.producer.send(
                    topics.MATCHES.name, msgspec.json.encode(fed), key=fed.key(above), headers=fed.headers()
                )

    def _arrive(self, arrivals: Arrivals, record: Record, arrival: Arrival) -> None:
        arrivals.setdefault(identifier(arrival.match, self.settings.window_s), []).append((record, arrival))

    def _write(self, ids: Sequence[str], arrivals: Arrivals, rejects: Rejects) -> list[str]:
        firsts = {each: arrivals[each][0][1] for each in ids}
        earliers = {each: earlier(first.match, self.settings.window_s) for each, first in firsts.items()}
        stored = self.store.alerts.get(_SCOPE, [*ids, *filter(None, earliers.values())])
        opened = {each: found.doc["wardwatch"]["alert"] for each, found in stored.items()}
        writes: list[AlertWrite] = []
        for each in ids:
            found = stored.get(each)
            group = [arrival for _, arrival in arrivals[each]]
            doc = fold(found.doc if found else None, group, self._alerting(group[0].match.tenant))
            if doc is not None:
                workflow = {} if found else self._workflow(firsts[each], doc, opened.get(earliers[each], {}))
                opened.setdefault(each, workflow)
                writes.append(AlertWrite(each, doc, found.version if found else None, workflow))
            elif found:
                self._announce(found.doc, "updated")
        return self._settle(writes, arrivals, rejects)

    def _settle(self, writes: Sequence[AlertWrite], arrivals: Arrivals, rejects: Rejects) -> list[str]:
        again: list[str] = []
        for write, result in zip(writes, self.store.alerts.write(writes) if writes else [], strict=True):
            if result.outcome is Outcome.REJECTED:
                for record, _ in arrivals.pop(write.id):
                    rejects.add(record, RejectedByStore(result.reason, step="alerter"))
            elif result.outcome is Outcome.STORED:
                self._announce(write.doc, "created" if "due_at" in write.workflow else "updated")
            else:
                again.append(write.id)
        return again

    def _workflow(self, first: Arrival, doc: AlertDocument, before: Mapping[str, Any]) -> dict[str, Any]:
        """Return the workflow of a new alert: suppressed, going on with an open one, or with a clock of its own.

        ``before`` has the workflow of the group's alert one window earlier.
        """
        match, taken = first.match, datetime.fromtimestamp(first.taken_ms / 1000, UTC)
        suppressed = suppression.workflow(self.live.state.suppressions(match.tenant), match, taken)
        if suppressed:
            return suppressed
        if before.get("status") in OPEN:
            return new_workflow({"continues": before.get("continues") or earlier(match, self.settings.window_s)})
        clock = Clock(self.policy(match.tenant), match.rule.severity, self.tenants.zone(match.tenant))
        return new_workflow(clock.started(parse_time(doc["event"]["created"])))

    def _alerting(self, tenant: str) -> Alerting:
        settings = self.settings
        return Alerting(settings.window_s, settings.console_url, self.tenants.name(tenant), self.now())

    def _announce(self, doc: AlertDocument, kind: Literal["created", "updated"]) -> None:
        tenant = doc["organization"]["id"]
        self.producer.send(topics.ALERTS.name, news(doc, kind), key=doc["event"]["id"], headers={"tenant": tenant})
        ALERTS.labels(tenant, kind).inc()


def correlator_of(bus: Bus, settings: AlerterSettings, live: InForce) -> Correlator:
    """Return a correlator that knows the correlations in force."""
    return Correlator(
        history=bus.history,
        lateness_ms=round(settings.lateness_s * 1000),
        limit=settings.correlation_groups,
        longest_ms=lambda: live.state.ruleset.correlated.longest_ms,
    )


def _arrival(record: Record) -> Arrival:
    return Arrival(matches.decode(record.value or b""), record.partition, record.offset, record.timestamp_ms)


def run(settings: Settings, runtime: Runtime) -> None:
    """Fold until told to stop."""
    files = of_files(settings.matcher)
    bus, store = open_bus(settings.bus_url, settings.bus_access), open_store(settings.store_url)
    prepare(runtime, bus=bus, need=topics.shared(), store=store)
    if not runtime.stopping.is_set():
        tables = Tables(bus)
        tables.catch_up()
        producer = bus.producer()
        tenants = Tenants(lambda: tables.rows("tenants", ""))
        with Live(files, tables, bus, runtime) as live:
            correlator = correlator_of(bus, settings.alerter, live)
            consumer = bus.consumer("alerter", topics=[topics.MATCHES.name], on_assign=correlator.assign)
            alerter = Alerter(
                store,
                producer,
                tenants,
                settings.alerter,
                live,
                correlator,
                lambda tenant: policy_of(tables.rows(service_levels.TABLE, tenant)),
            )
            work(runtime, bus, consumer, alerter, waiting=correlator.holds)
        producer.close()
        tables.close()
    store.close()
    bus.close()
