"""Retention on the embedded store: what is too old goes, of every tenant, and nothing else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from enrich.jobs.retention import Retention
from wardwatch import topics
from wardwatch.bus import open_bus
from wardwatch.event import Event, event_id, rfc3339
from wardwatch.store import Find, open_store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def event(tenant: str, days: int) -> Event:
    doc = {"event.id": event_id(tenant, str(days)), "@timestamp": rfc3339(NOW - timedelta(days=days))}
    return Event(doc, tenant, "linux", received=NOW - timedelta(days=days))


def test_old_events_go_of_tenants_in_the_table_and_of_tenants_with_topics(tmp_path: Path) -> None:
    bus, store = open_bus(f"sqlite:///{tmp_path / 'bus.sqlite'}"), open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    bus.ensure_topics([topics.events("seen")])
    store.setup()
    store.events.write([event(tenant, days) for tenant in ("listed", "seen", "other") for days in (1, 184, 187)])
    Retention(bus, store, 1096, 185, 185, lambda: NOW, lambda: ["listed", "../no tenant"])()
    assert {tenant: store.events.count(tenant) for tenant in ("listed", "seen", "other")} == {
        "listed": 2,
        "seen": 2,
        "other": 3,
    }
    store.close()
    bus.close()


def test_old_deliveries_go_and_younger_ones_stay(tmp_path: Path) -> None:
    bus, store = open_bus(f"sqlite:///{tmp_path / 'bus.sqlite'}"), open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    store.setup()
    deliveries = store.documents("deliveries")
    for number in range(600):
        deliveries.create(f"old{number}", {"id": f"old{number}", "at": rfc3339(NOW - timedelta(days=186))})
    deliveries.create("young", {"id": "young", "at": rfc3339(NOW - timedelta(days=184))})
    Retention(bus, store, 1096, 185, 185, lambda: NOW, list)()
    assert [item.doc["id"] for item in deliveries.find(Find()).items] == ["young"]
    store.close()
    bus.close()
