"""Matcher and alerter are killed at random points of their work on correlations: no alert and no count may change."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import yaml

from tests.detections.correlation.test_correlated_stages import settled
from tests.detections.rules_under_test import event, rule_document
from wardwatch import topics
from wardwatch.bus import Bus, Consumer, open_bus
from wardwatch.event import encode, rfc3339
from wardwatch.store import AlertQuery, Scope, Store, open_store
from wardwatch.testing.ports import wait_until

ADDRESSES = 60
BURSTS = 8
"""In each burst every address logs in; in the middle of each a stage is killed."""
STAGES = ("matcher", "alerter")
START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
PLAIN, MANY, AGAIN = (str(UUID(int=number)) for number in (1, 2, 3))
Alert = tuple[str, str, str, int]
"""Rule, address, start of the window and number of matches."""


def correlation(identity: str, of: str, gte: int, timespan: str) -> dict[str, Any]:
    body = {"type": "event_count", "rules": [of], "group-by": ["source.ip"], "generate": True}
    return {"title": of, "id": identity, "correlation": {**body, "timespan": timespan, "condition": {"gte": gte}}}


RULES: Sequence[dict[str, Any]] = (
    rule_document({"user.name": "root"}, id=PLAIN, wardwatch={"group_by": ["source.ip"]}),
    correlation(MANY, PLAIN, 5, "10s"),
    correlation(AGAIN, MANY, 2, "1h"),
)


def size(address: int, burst: int) -> int:
    """Return how many events the address has in the burst: five within ten seconds, or one too few."""
    return 5 if (address + burst) % 3 else 4


def began(address: int, burst: int) -> datetime:
    """Return when the burst begins: each address has an hour of its own, each burst a minute."""
    return START + timedelta(hours=address, minutes=burst)


def expected() -> set[Alert]:
    """Return what the rules mean for all bursts, by counting."""
    found: set[Alert] = set()
    for number in range(ADDRESSES):
        address, hour = f"10.1.1.{number}", rfc3339(began(number, 0))
        full = [burst for burst in range(BURSTS) if size(number, burst) == 5]
        found.add((PLAIN, address, hour, sum(size(number, burst) for burst in range(BURSTS))))
        found |= {(MANY, address, rfc3339(began(number, burst)), 5) for burst in full}
        found.add((AGAIN, address, hour, len(full)))
    return found


@dataclass
class System:
    """Matcher and alerter as processes; what they have done so far for one tenant."""

    environment: dict[str, str]
    bus: Bus
    store: Store
    tenant: str
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    reader: Consumer | None = None
    matched: int = 0

    def start(self, stage: str) -> None:
        """Start a stage."""
        command = [sys.executable, "-m", "wardwatch", "run", stage]
        self.children[stage] = subprocess.Popen(command, env=self.environment)

    def kill(self, stage: str) -> None:
        """End a stage where it stands."""
        self.children[stage].kill()
        self.children[stage].wait()

    def send(self, burst: int) -> None:
        """Send a burst, a fifth of its events twice; the addresses take turns."""
        producer = self.bus.producer()
        for number in range(ADDRESSES):
            for event_number in range(size(number, burst)):
                address, moment = f"10.1.1.{number}", began(number, burst) + timedelta(seconds=2 * event_number)
                doc = {"event.id": f"{address} {burst} {event_number}", "@timestamp": rfc3339(moment)}
                found = event({**doc, "user.name": "root", "source.ip": address})
                for _ in range(1 + (self.chance.random() < 0.2)):
                    topic = topics.events(self.tenant).name
                    producer.send(topic, encode(found.doc), key=address, headers=found.headers())
        producer.flush()
        producer.close()

    def alerts(self) -> dict[Alert, str]:
        """Return the alerts so far, each with the version of its rule."""
        found: dict[Alert, str] = {}
        after: str | None = None
        while True:
            query = AlertQuery(tenants=frozenset((self.tenant,)))
            page = self.store.alerts.search(Scope("test"), query, after=after, limit=200)
            for doc in (each.doc for each in page.items):
                own = doc["wardwatch"]["alert"]
                key = doc["rule"]["uuid"], own["group_by"]["source.ip"], own["window_start"], own["count"]
                found[key] = doc["rule"]["version"]
            if (after := page.after) is None:
                return found

    def finished(self) -> dict[Alert, str]:
        """Return the alerts once all is worked on; a search may see the last writes a moment later."""
        wait_until(lambda: settled(self.bus, self.tenant), timeout_s=200, what="all is worked on")
        with suppress(TimeoutError):
            wait_until(lambda: set(self.alerts()) == expected(), timeout_s=10)
        return self.alerts()

    def done(self, stage: str) -> int:
        """Return how much a stage has done: matches written, or matches in alerts."""
        if stage == "alerter":
            return sum(count for _, _, _, count in self.alerts())
        self.reader = self.reader or self.bus.reader([topics.MATCHES.name])
        records = self.reader.poll(max_records=5000, timeout_s=0.05)
        self.matched += sum(record.headers.get("tenant") == self.tenant for record in records)
        return self.matched


@contextmanager
def running(system: System) -> Iterator[None]:
    for stage in STAGES:
        system.start(stage)
    try:
        yield
    finally:
        for stage in STAGES:
            system.kill(stage)


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.kafka, pytest.mark.elasticsearch])])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """What the processes are told: the rules, the bus and the store."""
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump_all(RULES))
    bus, store = f"sqlite:///{tmp_path / 'bus.sqlite'}", f"sqlite:///{tmp_path / 'store.sqlite'}"
    if request.param == "servers":
        bus, store = request.getfixturevalue("kafka"), request.getfixturevalue("elasticsearch")
    return {
        **os.environ,
        "WARDWATCH_DATA_DIR": str(tmp_path),
        "WARDWATCH_BUS": bus,
        "WARDWATCH_STORE": store,
        "WARDWATCH_MATCHER__RULES": orjson.dumps([str(file)]).decode(),
        "WARDWATCH_MATCHER__SHIPPED_RULES": "false",
        "WARDWATCH_ALERTER__LATENESS_S": "0.5",
        "WARDWATCH_HEALTH_PORT": "0",
        "WARDWATCH_LOG_LEVEL": "error",
    }


@pytest.fixture
def systems(environment: dict[str, str]) -> Iterator[tuple[System, System]]:
    """The system, seen by two tenants."""
    bus, store = open_bus(environment["WARDWATCH_BUS"]), open_store(environment["WARDWATCH_STORE"])
    store.setup()
    tenants = ["t" + uuid4().hex[:12] for _ in range(2)]
    bus.ensure_topics([*topics.shared(), *(topic for tenant in tenants for topic in topics.of_tenant(tenant))])
    quiet, disturbed = (System(environment, bus, store, tenant) for tenant in tenants)
    yield quiet, disturbed
    if disturbed.reader:
        disturbed.reader.close()
    store.close()
    bus.close()


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_killing_matcher_and_alerter_amid_correlations_changes_no_alert(systems: tuple[System, System]) -> None:
    quiet, disturbed = systems
    with running(quiet):
        for burst in range(BURSTS):
            quiet.send(burst)
        undisturbed = quiet.finished()
    assert set(undisturbed) == expected()
    assert len({version for (rule, *_), version in undisturbed.items() if rule == MANY}) == 1
    with running(disturbed):
        for burst in range(BURSTS):
            victim = STAGES[burst % 2]
            before = disturbed.done(victim)
            target = before + disturbed.chance.randint(1, 4 * ADDRESSES)  # at least so much comes of every burst
            disturbed.send(burst)
            wait_until(lambda: disturbed.done(victim) >= target, timeout_s=120, what=f"{victim} at work")  # noqa: B023
            disturbed.kill(victim)
            disturbed.start(victim)
        assert disturbed.finished() == undisturbed
