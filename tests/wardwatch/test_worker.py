"""The worker loop on the embedded bus: at least once, poison to the dead letters, patience with what is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import orjson
import pytest

from wardwatch import topics, worker
from wardwatch.bus import Bus, Record, open_bus
from wardwatch.errors import DecodeError, StoreUnavailable
from wardwatch.stage import Runtime
from wardwatch.worker import Rejects, work

EVENTS = topics.events("renai").name


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    monkeypatch.setattr(worker, "_FIRST_WAIT_S", 0.01)
    bus = open_bus(f"sqlite:///{tmp_path}/bus.sqlite")
    bus.ensure_topics(topics.of_tenant("renai"))
    producer = bus.producer()
    for number in range(20):
        producer.send(EVENTS, b"%d" % number, key=str(number), headers={"source": "hl7v2"})
    producer.flush()
    producer.close()
    yield bus
    bus.close()


def run(bus: Bus, handle: Callable[[Sequence[Record], Rejects], None], *, until: int) -> Runtime:
    """Run the loop until it has handled so many records without error."""
    runtime, handled = Runtime("matcher"), 0

    def counting(records: Sequence[Record], rejects: Rejects) -> None:
        nonlocal handled
        handle(records, rejects)
        handled += len(records)
        if handled >= until:
            runtime.stopping.set()

    work(runtime, bus, bus.consumer("matcher", prefix=topics.EVENTS_PREFIX), counting, max_records=6)
    return runtime


def test_every_record_is_handled_and_committed(bus: Bus) -> None:
    seen: list[bytes | None] = []
    run(bus, lambda records, _: seen.extend(record.value for record in records), until=20)
    assert sorted(int(value or b"") for value in seen) == list(range(20))
    assert sum(bus.lag("matcher", prefix=topics.EVENTS_PREFIX).values()) == 0


def test_a_poison_record_becomes_a_dead_letter_and_the_others_go_on(bus: Bus) -> None:
    def handle(records: Sequence[Record], rejects: Rejects) -> None:
        for record in records:
            if record.value == b"7":
                rejects.add(record, DecodeError("sevens are refused", step="decode"))

    run(bus, handle, until=20)
    with bus.reader([topics.deadletter("renai").name]) as reader:
        (letter,) = [orjson.loads(record.value or b"") for record in reader.poll()]
    assert letter["reason"] == "sevens are refused"
    assert letter["step"] == "decode"
    assert letter["source"] == "hl7v2"
    assert letter["payload"] == "7"
    assert letter["position"].startswith("events.renai/")
    assert sum(bus.lag("matcher", prefix=topics.EVENTS_PREFIX).values()) == 0


def test_while_the_store_is_away_the_same_records_come_again_and_health_says_why(bus: Bus) -> None:
    seen: list[bytes | None] = []
    states: list[bool] = []
    messages: list[str] = []
    runtime = Runtime("archiver")

    def handle(records: Sequence[Record], _: Rejects) -> None:
        if len(states) < 3:
            states.append(runtime.health()["ok"])
            messages.extend(part["message"] for part in runtime.health()["parts"].values() if not part["ok"])
            raise StoreUnavailable("connection refused", step="store")
        seen.extend(record.value for record in records)
        if len(seen) == 20:
            runtime.stopping.set()

    work(runtime, bus, bus.consumer("archiver", prefix=topics.EVENTS_PREFIX), handle, max_records=50)
    assert states == [True, False, False]
    assert messages[0] == "store: connection refused"
    assert sorted(int(value or b"") for value in seen) == list(range(20))
    assert runtime.health()["ok"]


def test_a_poison_match_without_tenant_becomes_a_dead_letter_of_nobody(bus: Bus) -> None:
    bus.ensure_topics(topics.shared())
    producer = bus.producer()
    producer.send(topics.MATCHES.name, b"forged", headers={"tenant": "../renai"})
    producer.flush()
    producer.close()
    runtime = Runtime("alerter")

    def handle(records: Sequence[Record], rejects: Rejects) -> None:
        for record in records:
            rejects.add(record, DecodeError("not a match", step="alerter"))
        runtime.stopping.set()

    work(runtime, bus, bus.consumer("alerter", topics=[topics.MATCHES.name]), handle)
    with bus.reader([topics.deadletter(topics.UNKNOWN).name]) as reader:
        (letter,) = [orjson.loads(record.value or b"") for record in reader.poll()]
    assert (letter["tenant"], letter["payload"]) == ("unknown", "forged")
