from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.wardwatch.store.samples import EVERYBODY, event, settle
from wardwatch import archiver, topics
from wardwatch.bus import Bus, Record, open_bus
from wardwatch.errors import StoreUnavailable
from wardwatch.event import Event, encode
from wardwatch.settings import Settings
from wardwatch.stage import Runtime
from wardwatch.store import Store
from wardwatch.testing.ports import wait_until
from wardwatch.worker import Rejects


@pytest.fixture
def bus(tmp_path: Path, tenant: str) -> Iterator[Bus]:
    """A bus with the topics of the tenant."""
    opened = open_bus(f"sqlite:///{tmp_path / 'bus.sqlite'}")
    opened.ensure_topics([*topics.shared(), *topics.of_tenant(tenant)])
    yield opened
    opened.close()


def send(bus: Bus, tenant: str, *events: Event | bytes) -> None:
    """Produce events, or raw values, to the tenant's topic."""
    producer = bus.producer()
    for one in events:
        headers = one.headers() if isinstance(one, Event) else {"source": "linux", "tenant": "somebody_else"}
        producer.send(topics.events(tenant).name, encode(one.doc) if isinstance(one, Event) else one, headers=headers)
    producer.flush()
    producer.close()


def records(bus: Bus, topic: str, count: int) -> list[Record]:
    """Return the first records of a topic, waiting until there are so many."""
    with bus.reader([topic]) as reader:
        found: list[Record] = []

        def complete() -> bool:
            found.extend(reader.poll(timeout_s=0.1))
            return len(found) >= count

        wait_until(complete, what=f"{count} records of {topic}")
    return found


POISON = [
    b"not JSON",
    b"[" * 100_000,
    b"{}",
    b'{"event.id": "x", "@timestamp": "soon"}',
    b'{"event.id": "' + b"i" * 600 + b'", "@timestamp": "2026-03-10T02:00:00Z"}',
    b'{"event.id": "x", "@timestamp": "2026-03-10T02:00:00Z", "n": 1e400}',
    b"\xff\xfe",
]


def test_a_batch_is_archived_but_for_its_poison(store: Store, bus: Bus, tenant: str) -> None:
    good = [event(tenant, number) for number in range(5)]
    send(bus, tenant, *good[:2], *POISON, *good[2:])
    batch = records(bus, topics.events(tenant).name, len(good) + len(POISON))
    rejects = Rejects("archiver", [])
    archiver.archive(store, batch, rejects)
    assert len(rejects) == len(POISON)
    settle(store)
    assert store.events.get(EVERYBODY, tenant, [one.id for one in good]) == [
        one.doc | one.logsource.archived() for one in good
    ]
    assert store.events.count(tenant) == len(good)


def test_a_batch_that_is_delivered_again_is_stored_once(store: Store, bus: Bus, tenant: str) -> None:
    send(bus, tenant, *(event(tenant, number) for number in range(5)))
    batch = records(bus, topics.events(tenant).name, 5)
    rejects = Rejects("archiver", [])
    for part in (batch[:3], batch, batch[2:]):
        archiver.archive(store, part, rejects)
    settle(store)
    assert (store.events.count(tenant), len(rejects)) == (5, 0)


def test_the_topic_says_whose_event_it_is(store: Store, bus: Bus, tenant: str) -> None:
    forged = event("renai", 1, organization__id="renai")
    send(bus, tenant, forged)
    archiver.archive(store, records(bus, topics.events(tenant).name, 1), Rejects("archiver", []))
    settle(store)
    assert store.events.count(tenant) == 1
    assert store.events.get(EVERYBODY, tenant, [forged.id]) == [forged.doc | forged.logsource.archived()]


def test_the_stage_archives_everything_once_over_a_restart(
    store: Store, bus: Bus, tenant: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    real = store.url.startswith("http")
    url = request.getfixturevalue("elasticsearch") if real else store.url
    settings = Settings(data_dir=tmp_path, bus=bus.url, store=url)

    def archived() -> int:
        settle(store)
        try:
            return store.events.count(tenant)
        except StoreUnavailable:  # an index that has just been opened has no shard to ask yet
            return 0

    for start in (0, 10):
        send(bus, tenant, *(event(tenant, number) for number in range(start, start + 10)), b"poison %d" % start)
        runtime = Runtime("archiver")
        stage = threading.Thread(target=archiver.run, args=(settings, runtime))
        stage.start()
        try:
            wait_until(lambda: archived() == start + 10, what="archived events")  # noqa: B023 called at once
            letters = records(bus, topics.deadletter(tenant).name, start // 10 + 1)
        finally:
            runtime.stopping.set()
            stage.join(20)
        assert not stage.is_alive()
        assert runtime.health()["ok"]
    letter = orjson.loads(letters[-1].value or b"")
    assert (letter["tenant"], letter["stage"], letter["payload"]) == (tenant, "archiver", "poison 10")
    assert len(letters) == 2
