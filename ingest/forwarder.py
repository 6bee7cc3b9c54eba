"""The forwarder: carries the spool to the bus, in order, and settles what the bus has acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import structlog

from ingest.spool import Entry, Spool
from wardwatch import topics
from wardwatch.bus import FLUSH_S, Outlet, Producer
from wardwatch.errors import BusUnavailable, RecordError, Unavailable
from wardwatch.stage import EVENTS, Runtime
from wardwatch.worker import dead_letter, prepare

log = structlog.get_logger()

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 3.0
_DRAIN_S = 5.0


class Forwarder(threading.Thread):
    """Runs until ``finish``; while the bus is gone the spool grows."""

    def __init__(self, tenant: str, spool: Spool, bus: Outlet, runtime: Runtime) -> None:
        super().__init__(name="forwarder", daemon=True)
        self._tenant = tenant
        self._spool = spool
        self._bus = bus
        self._runtime = runtime
        self._deadline: float | None = None

    def run(self) -> None:
        """Prepare the topics, then carry entries as they come."""
        prepare(self._runtime, bus=self._bus, need=topics.of_tenant(self._tenant))
        producer = self._bus.producer()
        wait_s = _FIRST_WAIT_S
        while not self._done():
            try:
                self._carry(producer)
                wait_s = _FIRST_WAIT_S
            except Unavailable as error:
                self._runtime.report("bus", ok=False, message=str(error))
                self._spool.rewind()
                time.sleep(0.1 if self._deadline else wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
        producer.close()

    def finish(self) -> None:
        """Carry what is left for at most five seconds, then end; what remains stays in the spool."""
        self._deadline = time.monotonic() + _DRAIN_S
        self.join(_DRAIN_S + 1)

    def _done(self) -> bool:
        return self._deadline is not None and (not self._spool.waiting or time.monotonic() > self._deadline)

    def _carry(self, producer: Producer) -> None:
        entries = self._spool.read()
        if not entries:
            self._spool.wait(0.2)
            return
        try:
            settled = self._deliver(producer, entries)
        except RecordError:  # of one of them: which one, only sending them one by one tells
            settled = [self._deliver_alone(producer, entry) for entry in entries]
        self._spool.ack(settled)
        for entry in settled:
            EVENTS.labels("collector", self._tenant, entry.source, entry.kind).inc()
        self._runtime.report("bus", ok=True, message=self._bus.url)

    def _deliver(self, producer: Producer, entries: Sequence[Entry]) -> list[Entry]:
        settled = [self._send(producer, entry) for entry in entries]
        producer.flush(_DRAIN_S if self._deadline else FLUSH_S)
        return settled

    def _deliver_alone(self, producer: Producer, entry: Entry) -> Entry:
        try:
            return self._deliver(producer, [entry])[0]
        except RecordError as error:
            log.error("refused_by_bus", source=entry.source, reason=error.reason)
            letter = self._letter(entry, error)
        try:
            return self._deliver(producer, [letter])[0]
        except RecordError as error:
            raise BusUnavailable(f"not even the dead letter is taken: {error.reason}", step="forwarder") from None

    def _send(self, producer: Producer, entry: Entry) -> Entry:
        if not entry.topic:
            return entry
        try:
            producer.send(entry.topic, entry.value, key=entry.key, headers=entry.headers)
        except RecordError as error:
            log.error("refused_by_bus", source=entry.source, reason=error.reason)
            return self._send(producer, self._letter(entry, error))
        return entry

    def _letter(self, entry: Entry, error: RecordError) -> Entry:
        position, source = entry.headers.get("position", ""), entry.headers.get("source", entry.source)
        letter = dead_letter(
            self._tenant, source=source, position=position, step="bus", reason=error.reason, stage="collector"
        )
        return Entry("dead_lettered", entry.source, topics.deadletter(self._tenant).name, letter, entry.key)
