"""The archive and the alerts behind the commands that look at what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from detections.archive import Archive
from detections.tenants import Tenants
from enrich.context import Context
from wardwatch.bus import open_bus
from wardwatch.errors import NotFound
from wardwatch.settings import Settings
from wardwatch.store import Store, open_store
from wardwatch.tables import Tables
from wardwatch.topics import TABLES


@dataclass(frozen=True, slots=True)
class Opened:
    """The store, and its events with the context that the tables give."""

    store: Store
    archive: Archive

    def tenants(self, wanted: Sequence[str] | None) -> list[str]:
        """Return the tenants that are wanted, or all that have archived events; raises NotFound."""
        known = self.store.events.tenants()
        for tenant in wanted or ():
            if tenant not in known:
                raise NotFound(f"{tenant[:60]!r} has no archived events", step="rules", remedy=f"tenants: {known}")
        return sorted(set(wanted)) if wanted else known


@contextmanager
def opened(settings: Settings) -> Iterator[Opened]:
    """Open the store and the tables; raises StoreUnavailable, BusUnavailable."""
    bus, store = open_bus(settings.bus_url, settings.bus_access), open_store(settings.store_url)
    tables = Tables(bus)
    try:
        bus.ensure_topics([TABLES])
        store.setup()
        tables.catch_up()
        tenants = Tenants(lambda: tables.rows("tenants", ""))
        yield Opened(store, Archive(store.events, Context(tables).enrich, tenants))
    finally:
        tables.close()
        store.close()
        bus.close()
