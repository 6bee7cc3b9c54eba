"""The broker or the store dies in the middle of the simulated day and comes back: no alert and no count may change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from tests.faults.test_kill import outcome
from wardwatch.demo.once import Report, once, yesterday
from wardwatch.settings import Settings
from wardwatch.supervisor import Supervisor
from wardwatch.testing.elasticsearch import ElasticsearchServer
from wardwatch.testing.kafka import KafkaServer

AWAY_S = 6.0


@dataclass
class Outage:
    """Kills the server soon after the first record and starts it again AWAY_S seconds later."""

    server: KafkaServer | ElasticsearchServer
    began: float = field(default_factory=float)
    state: str = "up"

    def __call__(self, _: Supervisor) -> None:
        """Kill or start the server when its time has come."""
        self.began = self.began or monotonic()
        since = monotonic() - self.began
        if self.state == "up" and since > 0.3:
            self.server.kill()
            self.state = "away"
        elif self.state == "away" and since > AWAY_S:
            self.server.start()
            self.state = "back"


@pytest.fixture(scope="module")
def servers(kafka: str, elasticsearch: str) -> Iterator[tuple[KafkaServer, ElasticsearchServer]]:
    """Servers of this test's own, which it may kill; where the session has none, neither has this test."""
    with KafkaServer() as own_kafka, ElasticsearchServer() as own_elasticsearch:
        yield own_kafka, own_elasticsearch


@pytest.mark.kafka
@pytest.mark.elasticsearch
@pytest.mark.faults
@pytest.mark.timeout(1500)
def test_a_broker_or_a_store_that_dies_and_comes_back_changes_no_alert(
    servers: tuple[KafkaServer, ElasticsearchServer], tmp_path: Path
) -> None:
    kafka, elasticsearch = servers
    settings = Settings(bus=kafka.url, store=elasticsearch.url)

    def run(number: int, outage: Outage | None = None) -> Report:
        day = yesterday() - timedelta(days=number)
        folder = tmp_path / str(number)
        return once(settings, folder, on_day=day, events=2000, timeout_s=420, disturb=outage or (lambda _: None))

    undisturbed = run(0)
    assert undisturbed.problems == []
    for number, outage in enumerate((Outage(kafka), Outage(elasticsearch)), 1):
        report = run(number, outage)
        assert report.problems == []
        assert outage.state == "back"
        assert outcome(report) == outcome(undisturbed)
        assert report.restarts == 0  # every stage waited instead of crashing
