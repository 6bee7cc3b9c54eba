"""Following a tenant's configuration: by the tables of the bus, or by asking the relay."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ingest.remote.signed import KEY, TABLE
from wardwatch.bus import open_bus
from wardwatch.bus.relay import Relay
from wardwatch.errors import WardwatchError
from wardwatch.event import Document
from wardwatch.settings import Settings
from wardwatch.tables import Tables
from wardwatch.topics import TABLES

_READ_S = 5.0
_LEAVE_S = 2.0


class Follower(threading.Thread):
    """Asks for the row every ``every_s`` seconds: ``row`` is the last one seen, ``problem`` why none can be seen."""

    def __init__(self, ask: Callable[[], Document | None], every_s: float) -> None:
        super().__init__(name="configuration", daemon=True)
        self._ask = ask
        self._every_s = every_s
        self._closing = threading.Event()
        self.row: Document | None = None
        self.problem = ""

    def run(self) -> None:
        """Ask until the end; while the provider is away the last row stays."""
        while not self._closing.is_set():
            try:
                self.row, self.problem = self._ask() or self.row, ""
            except WardwatchError as error:
                self.problem = error.reason
            self._closing.wait(self._every_s)

    def finish(self) -> None:
        """Ask no more, and wait for the answer under way."""
        self._closing.set()
        self.join(_LEAVE_S)


@contextmanager
def following(settings: Settings) -> Iterator[Follower]:
    """Follow the tenant's row; raises SettingsError."""
    with _asked(settings) as ask:
        follower = Follower(ask, settings.collector.heartbeat_s)
        follower.start()
        try:
            yield follower
        finally:
            follower.finish()


@contextmanager
def _asked(settings: Settings) -> Iterator[Callable[[], Document | None]]:
    if settings.bus_url.startswith("https://"):
        yield Relay(settings.bus_url, settings.bus_access).configuration
        return
    bus = open_bus(settings.bus_url, settings.bus_access)
    tables = Tables(bus)

    def read() -> Document | None:
        bus.ensure_topics([TABLES])
        tables.catch_up(_READ_S)
        return tables.get(TABLE, settings.collector.tenant, KEY)

    try:
        yield read
    finally:
        tables.close()
        bus.close()
