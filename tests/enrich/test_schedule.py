"""The scheduler as a stage: it works, tells what fails, and stops when told."""

import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import orjson
import pytest

from enrich.schedule import guarded, run
from tests.enrich.notify.servers import web
from wardwatch import topics
from wardwatch.bus import open_bus
from wardwatch.errors import BusUnavailable, RecordError, StoreUnavailable
from wardwatch.event import rfc3339
from wardwatch.settings import OutboundSettings, SchedulerSettings, Settings
from wardwatch.stage import Runtime
from wardwatch.store import AlertQuery, Scope, open_store
from wardwatch.tables import Tables
from wardwatch.testing.ports import wait_until


@pytest.mark.parametrize(
    ("error", "part"),
    [(BusUnavailable("x"), "bus"), (StoreUnavailable("x"), "store"), (RecordError("x"), "job")],
)
def test_a_job_that_fails_is_seen_and_its_next_success_too(error: Exception, part: str) -> None:
    runtime, outcomes = Runtime("scheduler"), [error, None]

    def work() -> None:
        if failure := outcomes.pop(0):
            raise failure

    tick = guarded(runtime, "job", work)
    tick()
    assert runtime.health()["parts"][part]["ok"] is False
    tick()
    assert runtime.health()["ok"] is True


def test_the_stage_raises_an_alert_of_a_silent_source_and_stops(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, scheduler=SchedulerSettings(check_s=0.1))
    bus, store = open_bus(settings.bus_url), open_store(settings.store_url)
    bus.ensure_topics(topics.of_tenant("ward"))
    now = datetime.now(UTC)
    silent = {"hl7v2": {"last_record": rfc3339(now - timedelta(hours=1))}}
    producer = bus.producer()
    beat = {"instance": 0, "at": rfc3339(now), "started": rfc3339(now), "sources": silent}
    producer.send(topics.heartbeats("ward").name, orjson.dumps(beat))
    producer.flush()
    producer.close()
    runtime = Runtime("scheduler")
    stage = threading.Thread(target=run, args=(settings, runtime))
    stage.start()
    try:
        wait_until(lambda: runtime.health()["parts"].get("silent_source"), what="the first look")
        wait_until(lambda: store.alerts.search(Scope("test"), AlertQuery()).total == 1, what="the alert")
    finally:
        runtime.stopping.set()
        stage.join(10)
    assert not stage.is_alive()
    assert runtime.health()["ok"] is True
    store.close()
    bus.close()


def test_the_stage_tells_of_a_silent_source_over_its_channel(tmp_path: Path) -> None:
    allowed = OutboundSettings(allow=(ip_network("127.0.0.1/32"),))
    settings = Settings(data_dir=tmp_path, scheduler=SchedulerSettings(check_s=0.1, notify_s=0.1), outbound=allowed)
    bus = open_bus(settings.bus_url)
    bus.ensure_topics([*topics.of_tenant("ward"), topics.TABLES])
    now = datetime.now(UTC)
    silent = {"hl7v2": {"last_record": rfc3339(now - timedelta(hours=1))}}
    beat = {"instance": 0, "at": rfc3339(now), "started": rfc3339(now), "sources": silent}
    producer = bus.producer()
    producer.send(topics.heartbeats("ward").name, orjson.dumps(beat))
    producer.flush()
    producer.close()
    runtime, tables = Runtime("scheduler"), Tables(bus)
    stage = threading.Thread(target=run, args=(settings, runtime))
    with web() as server:
        tables.put("channels", "", "soc", {"kind": "slack", "lang": "zh", "url": f"{server.url}/soc"})
        tables.put("routes", "", "all", {"to": ["channel:soc"]})
        stage.start()
        try:
            wait_until(lambda: server.requests, what="the message")
        finally:
            runtime.stopping.set()
            stage.join(10)
        assert "日志来源静默" in server.requests[0].body.decode()
    assert not stage.is_alive()
    assert runtime.health()["ok"] is True
    tables.close()
    bus.close()
