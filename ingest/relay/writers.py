"""Writing to the bus for many collectors: a few producers, of which each batch has one until all of it is durable."""

from __future__ import annotations

import queue
from collections.abc import Sequence

from wardwatch import topics
from wardwatch.bus import Bus, Producer
from wardwatch.bus.relay.wire import WireRecord
from wardwatch.errors import BusUnavailable

WRITERS = 4
_TURN_S = 2.0
_FLUSH_S = 8.0  # with the wait for a turn less than a collector waits for its answer


class Writers:
    """Any thread may write."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._ready: set[str] = set()
        self._free: queue.LifoQueue[Producer] = queue.LifoQueue()
        for _ in range(WRITERS):
            self._free.put(bus.producer())

    def prepare(self, tenant: str) -> list[str]:
        """Have a tenant's topics there, and return their names; raises BusUnavailable."""
        own = topics.of_tenant(tenant)
        if tenant not in self._ready:
            self._bus.ensure_topics(own)
            self._ready.add(tenant)
        return [topic.name for topic in own]

    def write(self, tenant: str, records: Sequence[WireRecord]) -> None:
        """Return when every record is durable; raises RecordError where the bus refuses one, BusUnavailable."""
        self.prepare(tenant)
        producer = self._turn()
        try:
            for record in records:
                producer.send(record.topic, record.value, key=record.key, headers=record.headers)
            producer.flush(_FLUSH_S)
        except BaseException:
            self._ready.discard(tenant)  # somebody may have deleted its topics
            producer.close()
            producer = self._bus.producer()  # without what the other had not sent
            raise
        finally:
            self._free.put(producer)

    def close(self) -> None:
        """Close the producers, when nobody writes any more."""
        while not self._free.empty():
            self._free.get().close()

    def _turn(self) -> Producer:
        try:
            return self._free.get(timeout=_TURN_S)
        except queue.Empty:
            raise BusUnavailable(f"no turn to write in {_TURN_S:.0f} s", step="relay") from None
