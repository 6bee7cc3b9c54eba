"""Matcher and alerter as they run, on the embedded bus and store: from an event on its topic to an alert."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import yaml

from detections import alerter, matcher
from tests.detections.rules_under_test import event, rule_document
from wardwatch import topics
from wardwatch.bus import Bus, open_bus
from wardwatch.event import encode
from wardwatch.settings import MatcherSettings, Settings
from wardwatch.stage import Runtime
from wardwatch.store import AlertQuery, Scope, open_store
from wardwatch.tables import Tables
from wardwatch.testing.ports import wait_until

EVERYBODY = Scope("test")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    rule = rule_document({"user.name": "root"}, wardwatch={"group_by": ["source.ip"]})
    (tmp_path / "root.yml").write_text(yaml.safe_dump(rule))
    return Settings(data_dir=tmp_path, matcher=MatcherSettings(rules=(tmp_path / "root.yml",), shipped_rules=False))


@contextmanager
def running(name: str, run: Callable[[Settings, Runtime], None], settings: Settings) -> Iterator[Runtime]:
    runtime = Runtime(name)
    thread = threading.Thread(target=run, args=(settings, runtime))
    thread.start()
    try:
        yield runtime
    finally:
        runtime.stopping.set()
        thread.join(30)
        assert not thread.is_alive()


def produce(bus: Bus, count: int, *values: bytes) -> None:
    bus.ensure_topics(topics.of_tenant("hospital_a"))
    producer = bus.producer()
    for number in range(count):
        found = event({"event.id": f"e{number}", "user.name": "root", "source.ip": f"10.1.1.{number % 2}"})
        producer.send(topics.events("hospital_a").name, encode(found.doc), headers=found.headers())
    for value in values:
        producer.send(topics.events("hospital_a").name, value, headers={"product": "test"})
    producer.flush()
    producer.close()


def test_events_become_alerts_once_over_a_restart_and_poison_becomes_a_dead_letter(settings: Settings) -> None:
    bus, store = open_bus(settings.bus_url), open_store(settings.store_url)
    bus.ensure_topics(topics.shared())
    store.setup()
    tables = Tables(bus)
    tables.put(
        "tenants", "", "hospital_a", {"name": {"en": "First Hospital", "zh": "第一医院"}, "zone": "Asia/Shanghai"}
    )
    tables.close()
    produce(bus, 20, b"poison")

    def counts() -> list[int]:
        return sorted(
            each.doc["wardwatch"]["alert"]["count"] for each in store.alerts.search(EVERYBODY, AlertQuery()).items
        )

    with running("matcher", matcher.run, settings), running("alerter", alerter.run, settings):
        wait_until(lambda: counts() == [10, 10], what="two alerts of ten events")
    produce(bus, 20)  # the same events again, and a new start of both stages
    with running("matcher", matcher.run, settings) as runtime, running("alerter", alerter.run, settings):
        wait_until(
            lambda: (
                bus.lag("matcher", prefix=topics.EVENTS_PREFIX).values()
                and not any(bus.lag("matcher", prefix=topics.EVENTS_PREFIX).values())
            ),
            what="matcher at the end",
        )
        wait_until(lambda: not any(bus.lag("alerter", topics=["matches"]).values()), what="alerter at the end")
        assert runtime.health()["parts"]["rules"]["message"] == "1 loaded, 0 rejected"
    assert counts() == [10, 10]
    (first, *_) = store.alerts.search(EVERYBODY, AlertQuery()).items
    assert first.doc["organization"]["name"] == "First Hospital"
    reader = bus.reader([topics.deadletter("hospital_a").name])
    letters = reader.poll()
    assert [orjson.loads(letter.value or b"")["step"] for letter in letters] == ["decode"]
    reader.close()
    store.close()
    bus.close()
