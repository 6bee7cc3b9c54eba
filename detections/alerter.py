"""The alerter: folds matches into alerts, one document per tenant, rule, group and window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import prometheus_client

from detections import matches, suppression
from detections.control.live import InForce, Live, of_files
from detections.fold import Alerting, Arrival, fold, identifier
from detections.tenants import Tenants
from wardwatch import topics
from wardwatch.alert import AlertDocument, Status, news
from wardwatch.bus import Producer, Record, open_bus
from wardwatch.errors import RecordError, RejectedByStore, StoreUnavailable
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
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def __call__(self, records: Sequence[Record], rejects: Rejects) -> None:
        """Fold one batch, one write per alert: returns when every alert is stored and announced."""
        arrivals = self._decode(records, rejects)
        pending = list(arrivals)
        for _ in range(_ATTEMPTS):
            pending = self._write(pending, arrivals, rejects)
            if not pending:
                break
        else:
            raise StoreUnavailable(f"{len(pending)} alerts keep changing", step="alerter")
        self.producer.flush()
        for group in arrivals.values():
            for _, arrival in group:
                EVENTS.labels("alerter", arrival.match.tenant, arrival.match.source, "processed").inc()

    def _decode(self, records: Sequence[Record], rejects: Rejects) -> Arrivals:
        arrivals: Arrivals = {}
        for record in records:
            try:
                match = matches.decode(record.value or b"")
            except RecordError as error:
                rejects.add(record, error)
                continue
            arrival = Arrival(match, record.partition, record.offset, record.timestamp_ms)
            arrivals.setdefault(identifier(match, self.settings.window_s), []).append((record, arrival))
        return arrivals

    def _write(self, ids: Sequence[str], arrivals: Arrivals, rejects: Rejects) -> list[str]:
        stored = self.store.alerts.get(_SCOPE, ids)
        writes: list[AlertWrite] = []
        for each in ids:
            found = stored.get(each)
            group = [arrival for _, arrival in arrivals[each]]
            doc = fold(found.doc if found else None, group, self._alerting(group[0].match.tenant))
            if doc is not None:
                writes.append(AlertWrite(each, doc, found.version if found else None, self._workflow(group[0])))
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
                seen = write.version is not None or write.workflow["status"] == Status.SUPPRESSED
                self._announce(write.doc, "updated" if seen else "created")
            else:
                again.append(write.id)
        return again

    def _workflow(self, first: Arrival) -> dict[str, Any]:
        taken = datetime.fromtimestamp(first.taken_ms / 1000, UTC)
        return suppression.workflow(self.live.state.suppressions(first.match.tenant), first.match, taken)

    def _alerting(self, tenant: str) -> Alerting:
        settings = self.settings
        return Alerting(settings.window_s, settings.console_url, self.tenants.name(tenant), self.now())

    def _announce(self, doc: AlertDocument, kind: Literal["created", "updated"]) -> None:
        tenant = doc["organization"]["id"]
        self.producer.send(topics.ALERTS.name, news(doc, kind), key=doc["event"]["id"], headers={"tenant": tenant})
        ALERTS.labels(tenant, kind).inc()


def run(settings: Settings, runtime: Runtime) -> None:
    """Fold until told to stop."""
    files = of_files(settings.matcher)
    bus, store = open_bus(settings.bus_url), open_store(settings.store_url)
    prepare(runtime, bus=bus, need=topics.shared(), store=store)
    if not runtime.stopping.is_set():
        tables = Tables(bus)
        tables.catch_up()
        producer = bus.producer()
        tenants = Tenants(lambda: tables.rows("tenants", ""))
        consumer = bus.consumer("alerter", topics=[topics.MATCHES.name])
        with Live(files, tables, bus, runtime) as live:
            work(runtime, bus, consumer, Alerter(store, producer, tenants, settings.alerter, live))
        producer.close()
        tables.close()
    store.close()
    bus.close()
