"""The one loop in which stages read the bus: poll, handle, commit; retry what is unavailable, dead-letter poison."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from wardwatch import topics
from wardwatch.bus import Bus, Consumer, Outlet, Partition, Producer, Record
from wardwatch.errors import RecordError, StoreUnavailable, Unavailable
from wardwatch.event import encode, event_id, rfc3339
from wardwatch.stage import EVENTS, Runtime
from wardwatch.store import Store
from wardwatch.topics import Topic

log = structlog.get_logger()

Handle = Callable[[Sequence[Record], "Rejects"], None]
"""Process one batch completely: return only after every sink has answered. A record that can never be processed goes
to ``rejects``; Unavailable makes the loop wait and hand the same batch in again, so handling must be idempotent."""

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0


@dataclass
class Rejects:
    """Collects a batch's poison records with the reason, for the dead-letter topics."""

    stage: str
    _items: list[tuple[Record, RecordError]]

    def add(self, record: Record, error: RecordError) -> None:
        """Give up on one record."""
        self._items.append((record, error))

    def __len__(self) -> int:
        return len(self._items)

    def send(self, producer: Producer) -> None:
        """Write the dead letters; the record's own bytes travel along, they were scrubbed in the hospital."""
        for record, error in self._items:
            tenant = _tenant(record)
            letter = dead_letter(
                tenant,
                source=record.headers.get("source", ""),
                position=record.position,
                step=error.step or self.stage,
                reason=error.reason,
                payload=record.value,
                topic=record.topic,
                stage=self.stage,
                headers=record.headers,
            )
            producer.send(topics.deadletter(tenant).name, letter, key=record.position)
            EVENTS.labels(self.stage, tenant, record.headers.get("source", ""), "dead_lettered").inc()


def _tenant(record: Record) -> str:
    """Return the tenant of the topic; only on a topic that all share, the one that our own stages put in the header."""
    if "." in record.topic:
        return topics.tenant_of(record.topic)
    named = record.headers.get("tenant", "")
    return named if topics.TENANT.fullmatch(named) else topics.UNKNOWN


def dead_letter(
    tenant: str,
    *,
    source: str,
    position: str,
    step: str,
    reason: str,
    stage: str,
    payload: bytes | None = None,
    topic: str = "",
    headers: dict[str, str] | None = None,
) -> bytes:
    """Return a dead letter: where the record was, what refused it and why.

    ``payload`` is the scrubbed record for replay (Latin-1, so that any byte survives); a collector never sends the
    raw record, it keeps that in the hospital and sends only the position.
    """
    return encode(
        {
            "@timestamp": rfc3339(datetime.now(UTC)),
            "id": event_id(tenant, source, position, step),
            "tenant": tenant,
            "source": source,
            "stage": stage,
            "position": position,
            "step": step,
            "reason": reason[:2000],
            "topic": topic,
            "payload": None if payload is None else payload[:200_000].decode("latin-1"),
            "headers": headers or {},
        }
    )


def prepare(
    runtime: Runtime, *, bus: Outlet | None = None, need: Iterable[Topic] = (), store: Store | None = None
) -> None:
    """Create the topics and set up the store, waiting as long as they do not answer and nobody says stop."""
    wait_s = _FIRST_WAIT_S
    wanted = list(need)
    while not runtime.stopping.is_set():
        part = "bus"
        try:
            if bus is not None:
                bus.ensure_topics(wanted)
                runtime.report("bus", ok=True, message=bus.url)
            part = "store"
            if store is not None:
                store.setup()
                runtime.report("store", ok=True, message=store.url)
            return
        except Unavailable as error:
            runtime.report(part, ok=False, message=str(error))
            runtime.stopping.wait(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def work(
    runtime: Runtime,
    bus: Bus,
    consumer: Consumer,
    handle: Handle,
    *,
    max_records: int = 500,
    waiting: Callable[[], Mapping[Partition, int]] | None = None,
) -> None:
    """Run the loop until ``runtime.stopping``: at least once, offsets committed after the sinks answered.

    A stage that keeps records for later says by ``waiting`` from which offsets on nothing may be committed; it is also
    handed empty batches, at which it can look at the clock.
    """
    producer = bus.producer()
    wait_s, failing = _FIRST_WAIT_S, "bus"
    while not runtime.stopping.is_set():
        try:
            if failing:
                consumer.rewind()
            records = consumer.poll(max_records=max_records)
            if records or waiting:
                _process(runtime, producer, handle, records)
                consumer.commit(waiting() if waiting else {})
            if failing:
                runtime.report(failing, ok=True)
            wait_s, failing = _FIRST_WAIT_S, ""
        except Unavailable as error:
            failing = "store" if isinstance(error, StoreUnavailable) else "bus"
            runtime.report(failing, ok=False, message=str(error))
            runtime.stopping.wait(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 jitter, not a secret
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
    producer.close()
    with suppress(Unavailable):  # a group that can't be left now notices by itself
        consumer.close()


def _process(runtime: Runtime, producer: Producer, handle: Handle, records: Sequence[Record]) -> None:
    rejects = Rejects(runtime.stage, [])
    handle(records, rejects)
    if len(rejects):
        rejects.send(producer)
        producer.flush()
