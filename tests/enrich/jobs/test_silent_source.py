"""Silent sources on the embedded bus and store: alerts on silence and on recovery, once, over restarts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from enrich.jobs.silent_source import SilentSource
from wardwatch import topics
from wardwatch.bus import Bus, open_bus
from wardwatch.errors import StoreUnavailable
from wardwatch.event import rfc3339
from wardwatch.store import AlertQuery, Scope, Store, open_store

NOW = datetime.now(UTC)
SCOPE = Scope("test")


class Site:
    """One hospital's heartbeats, and a scheduler's job over real bus and store."""

    def __init__(self, bus: Bus, store: Store) -> None:
        self.bus, self.store = bus, store
        self.now = NOW
        self.job = self.started()

    def started(self) -> SilentSource:
        return SilentSource(self.bus, self.store, 900, now=lambda: self.now)

    def send(self, value: bytes) -> None:
        producer = self.bus.producer()
        producer.send(topics.heartbeats("ward").name, value, key="0")
        producer.flush()
        producer.close()

    def beat(self, minutes: int, last_record: int | None, *, started: int = 0) -> None:
        """Send the heartbeat of a minute; ``last_record`` is the minute in which the source was last heard."""
        last = None if last_record is None else at(last_record)
        beat = {"instance": 0, "at": at(minutes), "started": at(started), "sources": {"hl7v2": {"last_record": last}}}
        self.send(orjson.dumps(beat))

    def alerts(self) -> list[dict[str, Any]]:
        found = [stored.doc for stored in self.store.alerts.search(SCOPE, AlertQuery()).items]
        return sorted(found, key=lambda doc: str(doc["event"]["id"]))

    def news(self) -> list[str]:
        with self.bus.reader([topics.ALERTS.name]) as reader:
            return [orjson.loads(record.value or b"{}")["kind"] for record in reader.poll(timeout_s=0.5)]


def at(minutes: int) -> str:
    return rfc3339(NOW + timedelta(minutes=minutes))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    bus, store = open_bus(f"sqlite:///{tmp_path / 'bus.sqlite'}"), open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    bus.ensure_topics([*topics.shared(), *topics.of_tenant("ward")])
    store.setup()
    site = Site(bus, store)
    yield site
    site.job.close()
    store.close()
    bus.close()


def test_a_source_that_is_heard_raises_nothing(site: Site) -> None:
    for minute in (0, 10, 25):
        site.beat(minute, minute - 10)
    site.job()
    assert site.alerts() == []


def test_a_silent_source_raises_one_alert_with_the_moment_it_began(site: Site) -> None:
    for minute in (0, 15, 16, 30):
        site.beat(minute, 0)
    site.job()
    (alert,) = site.alerts()
    own = alert["wardwatch"]["alert"]
    assert (alert["organization"]["id"], own["severity"], own["status"]) == ("ward", "medium", "new")
    assert (own["first_seen"], own["title"]["zh"]) == (at(0), "日志来源静默")
    assert "hl7v2" in own["sentence"]["en"]
    assert "hl7v2" in own["sentence"]["zh"]
    site.job()
    assert site.news() == ["created"]


def test_recovery_completes_the_same_alert_and_keeps_what_people_did(site: Site) -> None:
    site.beat(0, 0)
    site.beat(16, 0)
    site.job()
    (alert,) = site.alerts()
    stored = site.store.alerts.get(SCOPE, [alert["event"]["id"]])[alert["event"]["id"]]
    site.store.alerts.workflow(SCOPE, alert["event"]["id"], {"status": "acknowledged"}, version=stored.version)
    site.beat(20, 19)
    site.job()
    (after,) = site.alerts()
    own = after["wardwatch"]["alert"]
    assert (own["recovered_at"], own["count"], own["status"]) == (at(20), 2, "acknowledged")
    assert after["event"]["created"] == alert["event"]["created"]
    assert site.news() == ["created", "updated"]


def test_a_second_silence_is_a_second_alert(site: Site) -> None:
    for minute, last in ((16, 0), (20, 19), (40, 19)):
        site.beat(minute, last)
    site.job()
    assert ["recovered_at" in alert["wardwatch"]["alert"] for alert in site.alerts()].count(True) == 1
    assert len(site.alerts()) == 2


def test_a_scheduler_that_starts_again_changes_nothing(site: Site) -> None:
    for minute, last in ((16, 0), (20, 19), (40, 19)):
        site.beat(minute, last)
    site.job()
    before = site.alerts()
    site.job.close()
    site.job = site.started()
    site.job()
    assert site.alerts() == before


def test_a_collector_that_started_anew_neither_begins_nor_ends_a_silence(site: Site) -> None:
    site.beat(16, 0)
    site.beat(18, None, started=17)
    site.beat(25, None, started=17)
    site.job()
    (alert,) = site.alerts()
    assert "recovered_at" not in alert["wardwatch"]["alert"]


def test_a_collector_without_heartbeat_is_silent_until_its_next(site: Site) -> None:
    site.beat(0, 0)
    site.now = datetime.now(UTC) + timedelta(seconds=800)
    site.job()
    assert site.alerts() == []
    site.now += timedelta(seconds=200)
    site.job()
    (alert,) = site.alerts()
    assert alert["wardwatch"]["alert"]["group_by"] == {"log.source": "collector 0"}
    site.now = datetime.now(UTC)
    site.beat(1, 1)
    site.job()
    assert "recovered_at" in site.alerts()[0]["wardwatch"]["alert"]


def test_a_store_that_is_gone_loses_no_silence(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.beat(16, 0)

    def gone(*_: object) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(site.store.alerts, "write", gone)
        with pytest.raises(StoreUnavailable):
            site.job()
    site.job()
    assert len(site.alerts()) == 1


@pytest.mark.parametrize("bad", [b"", b"[]", b"{", b'{"at": "x"}', b'{"at": 1e400}', b"\xff"])
def test_a_bad_heartbeat_is_counted_and_the_next_is_read(site: Site, bad: bytes) -> None:
    site.send(bad)
    site.beat(16, 0)
    site.job()
    assert (site.job.bad_beats, len(site.alerts())) == (1, 1)
