"""The archiver: writes every event of every tenant to the event store."""

from __future__ import annotations

from collections.abc import Sequence

from wardwatch import topics
from wardwatch.bus import Record, open_bus
from wardwatch.errors import RecordError, RejectedByStore
from wardwatch.event import Event, from_record
from wardwatch.settings import Settings
from wardwatch.stage import EVENTS, Runtime
from wardwatch.store import Outcome, Store, open_store
from wardwatch.worker import Rejects, prepare, work


def run(settings: Settings, runtime: Runtime) -> None:
    """Archive until told to stop."""
    bus, store = open_bus(settings.bus_url, settings.bus_access), open_store(settings.store_url)
    prepare(runtime, bus=bus, need=topics.shared(), store=store)
    consumer = bus.consumer("archiver", prefix=topics.EVENTS_PREFIX)
    work(runtime, bus, consumer, lambda records, rejects: archive(store, records, rejects), max_records=1000)
    store.close()
    bus.close()


def archive(store: Store, records: Sequence[Record], rejects: Rejects) -> None:
    """Write one batch of events; an event that is there already is fine, one that is refused is a dead letter."""
    events: list[tuple[Record, Event]] = []
    for record in records:
        try:
            events.append((record, from_record(record.value or b"", record.headers, topics.tenant_of(record.topic))))
        except RecordError as error:
            rejects.add(record, error)
    results = store.events.write([event for _, event in events])
    for (record, event), result in zip(events, results, strict=True):
        if result.outcome is Outcome.REJECTED:
            rejects.add(record, RejectedByStore(result.reason, step="archive"))
        else:
            EVENTS.labels("archiver", event.tenant, event.source, "processed").inc()
