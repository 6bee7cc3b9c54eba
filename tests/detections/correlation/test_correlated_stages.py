"""Matcher and alerter as they run: from events on their topic to the alert of a correlation, over restarts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from detections import alerter, matcher
from tests.detections.rules_under_test import RULE_ID, event, rule_document
from wardwatch import topics
from wardwatch.bus import Bus, open_bus
from wardwatch.errors import Unavailable
from wardwatch.event import encode, rfc3339
from wardwatch.settings import AlerterSettings, MatcherSettings, Settings
from wardwatch.stage import Runtime
from wardwatch.store import AlertQuery, Scope, Store, open_store
from wardwatch.testing.ports import wait_until

CORRELATION = "11111111-1111-4111-8111-111111111111"
CHAINED = "22222222-2222-4222-8222-222222222222"
START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def correlation(identity: str, rules: Sequence[str], gte: int, **more: Any) -> dict[str, Any]:
    body = {"type": "event_count", "rules": list(rules), "group-by": ["source.ip"], "timespan": "10m"}
    return {
        "title": f"At least {gte}",
        "id": identity,
        "level": "high",
        "correlation": {**body, "condition": {"gte": gte}, **more},
    }


def settings_of(folder: Path, bus: str, documents: Sequence[object], tenant: str) -> Settings:
    (folder / "rules.yml").write_text(yaml.safe_dump_all(documents))
    own = MatcherSettings(rules=(folder / "rules.yml",), shipped_rules=False)
    return Settings(data_dir=folder, bus=bus, matcher=own, alerter=AlerterSettings(lateness_s=0.3))


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    runtimes = {run: Runtime(name) for name, run in (("matcher", matcher.run), ("alerter", alerter.run))}
    threads = [threading.Thread(target=run, args=(settings, runtime)) for run, runtime in runtimes.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for runtime in runtimes.values():
            runtime.stopping.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def produce(bus: Bus, tenant: str, numbers: Sequence[int], *, address: str = "10.1.1.1") -> None:
    producer = bus.producer()
    for number in numbers:
        moment = rfc3339(START + timedelta(seconds=number))
        found = event(
            {"event.id": f"{address} {number}", "@timestamp": moment, "user.name": "root", "source.ip": address}
        )
        # one key, one partition: the order is that of the events, however busy the machine is
        producer.send(topics.events(tenant).name, encode(found.doc), key=address, headers=found.headers())
    producer.flush()
    producer.close()


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def bus_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    real = request.param == "kafka"
    return request.getfixturevalue("kafka") if real else f"sqlite:///{tmp_path / 'bus.sqlite'}"


Alerts = Callable[[], dict[str, int]]


@contextmanager
def watched(settings: Settings, tenant: str) -> Iterator[tuple[Bus, Store, Alerts]]:
    """Yield the bus, the store, and the counts of the tenant's alerts by rule and group."""
    bus, store = open_bus(settings.bus_url), open_store(settings.store_url)
    bus.ensure_topics([*topics.shared(), *topics.of_tenant(tenant)])
    store.setup()

    def alerts() -> dict[str, int]:
        query = AlertQuery(tenants=frozenset((tenant,)))
        found = [each.doc for each in store.alerts.search(Scope("test"), query).items]
        return {
            f"{doc['rule']['uuid'][0]} {doc['wardwatch']['alert']['group_by']['source.ip']}": doc["wardwatch"]["alert"][
                "count"
            ]
            for doc in found
        }

    yield bus, store, alerts
    store.close()
    bus.close()


def settled(bus: Bus, tenant: str) -> bool:
    try:
        behind = [bus.lag("matcher", topics=[topics.events(tenant).name]), bus.lag("alerter", topics=["matches"])]
    except Unavailable:  # a broker that has just started knows no group yet
        return False
    return all(lag and not any(lag.values()) for lag in behind)


def test_a_correlation_alerts_once_and_keeps_its_window_over_restarts_and_redelivery(
    tmp_path: Path, bus_url: str
) -> None:
    tenant = "t" + uuid4().hex[:12]
    rule = rule_document({"user.name": "root"})
    settings = settings_of(tmp_path, bus_url, [rule, correlation(CORRELATION, [RULE_ID], 5)], tenant)
    with watched(settings, tenant) as (bus, store, alerts):
        produce(bus, tenant, [0, 60, 120])
        with running(settings):
            wait_until(lambda: settled(bus, tenant), what="three matches are evaluated")
        assert alerts() == {}
        produce(bus, tenant, [180])
        with running(settings):  # the window of before is read again from the topic
            produce(bus, tenant, [0, 60])
            produce(bus, tenant, [1, 2, 3, 4], address="10.9.9.9")
            produce(bus, tenant, [240, 300])
            wait_until(lambda: alerts() == {"1 10.1.1.1": 6}, what="one alert of six events")
            wait_until(lambda: settled(bus, tenant), what="everything is evaluated")
        assert alerts() == {"1 10.1.1.1": 6}
        (found,) = store.alerts.search(Scope("test"), AlertQuery(tenants=frozenset((tenant,)))).items
        own = found.doc["wardwatch"]["alert"]
        assert own["first_seen"] == "2026-03-01T02:00:00.000Z"
        assert own["last_seen"] == "2026-03-01T02:05:00.000Z"
        assert "6 events within 10 minutes; source.ip = 10.1.1.1" in own["sentence"]["en"]
        assert [each["id"] for each in own["source_events"]] == [f"10.1.1.1 {n}" for n in (0, 60, 120, 180, 240, 300)]


def test_a_rule_that_generates_alerts_too_and_a_chain_of_correlations(tmp_path: Path) -> None:
    tenant = "t" + uuid4().hex[:12]
    rule = rule_document({"user.name": "root"}, wardwatch={"group_by": ["source.ip"]})
    lower = correlation(CORRELATION, [RULE_ID], 2, generate=True)
    upper = correlation(CHAINED, [CORRELATION], 2, timespan="1h")
    settings = settings_of(tmp_path, "", [rule, lower, upper], tenant)
    with watched(settings, tenant) as (bus, _, alerts):
        produce(bus, tenant, [0, 1, 1800, 1801])
        with running(settings):
            wait_until(lambda: alerts().get("2 10.1.1.1") == 2, what="the alert of the chain")
            wait_until(lambda: settled(bus, tenant), what="everything is evaluated")
        # the plain rule alerts since the correlation says generate; the lower one only feeds the upper one
        assert alerts() == {"6 10.1.1.1": 4, "2 10.1.1.1": 2}
