"""Notifications: plans what is to be told and sends it (enrich.notify)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from enrich.notify.deliveries import Deliveries
from enrich.notify.routes import Routes
from enrich.notify.sender import Sender
from enrich.notify.sources import News, Trail
from wardwatch.bus import Bus
from wardwatch.errors import PeerUnavailable
from wardwatch.outbound import Outbound
from wardwatch.store import Store
from wardwatch.tables import Tables


class Notifications:
    """The job; ``deliveries`` is where other jobs plan their notices."""

    def __init__(self, bus: Bus, store: Store, tables: Tables, outbound: Outbound, now: Callable[[], datetime]) -> None:
        routes = Routes(tables)
        self.deliveries = Deliveries(store, routes, now)
        self._news = News(bus, store, self.deliveries.plan, now)
        self._trail = Trail(store, self.deliveries.plan, now)
        self._sender = Sender(store, tables, self.deliveries, routes, outbound, now)

    def __call__(self) -> None:
        """Plan and send; raises Unavailable, and goes on at the next call.

        Raises PeerUnavailable, after all else was done, when the last message of a channel was not taken.
        """
        self._news()
        self._trail()
        self._sender()
        if failing := self._sender.failing():
            raise PeerUnavailable("; ".join(f"{name}: {why}" for name, why in failing.items()), step="notify")

    def close(self) -> None:
        """Release the connections."""
        self._news.close()
        self._sender.close()
