"""Heartbeats: the collector says on its tenant's topic that it lives and what it counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import orjson
import structlog

from wardwatch import topics
from wardwatch.bus import Outlet
from wardwatch.errors import RecordError, Unavailable

log = structlog.get_logger()

_FLUSH_S = 2.0


class Heartbeat(threading.Thread):
    """Sends ``state()`` every ``every_s`` seconds, and a last time when it is told to finish."""

    def __init__(self, tenant: str, bus: Outlet, every_s: float, state: Callable[[], dict[str, Any]]) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._topic = topics.heartbeats(tenant).name
        self._bus = bus
        self._every_s = every_s
        self._state = state
        self._finishing = threading.Event()

    def run(self) -> None:
        """Send until the end; a beat that the bus does not take is left out, the next one says more."""
        producer = self._bus.producer()
        while True:
            last = self._finishing.wait(self._every_s)
            try:
                state = self._state()
                producer.send(self._topic, orjson.dumps(state), key=str(state["instance"]))
                producer.flush(_FLUSH_S)
            except (RecordError, Unavailable) as error:
                log.info("heartbeat_not_sent", reason=str(error))
            if last:
                break
        producer.close()

    def finish(self) -> None:
        """Send the last beat and end."""
        self._finishing.set()
        self.join(_FLUSH_S)
