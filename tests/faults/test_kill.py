"""Stages are killed in the middle of the simulated day: no alert and no count may change."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from time import monotonic

import pytest

from wardwatch.demo.once import Report, once, yesterday
from wardwatch.settings import Settings
from wardwatch.supervisor import Supervisor

KILLS = 20
KILLS_A_DAY = 8
VICTIMS = ("collector", "matcher", "alerter")


@dataclass
class Killer:
    """Kills a random stage at random moments while the day is sent and worked on; ``kills`` says which."""

    chance: random.Random
    kills: list[str] = field(default_factory=list)
    next_at: float | None = None

    def __call__(self, supervisor: Supervisor) -> None:
        """Kill one process when its time has come."""
        running = [child for child in supervisor.children if child.spec.stage in VICTIMS and child.state == "running"]
        if self.next_at is None:
            self.next_at = monotonic() + self.chance.uniform(0.1, 0.6)
        if monotonic() < self.next_at or len(self.kills) == KILLS_A_DAY or not running:
            return
        child = self.chance.choice(running)
        assert child.process
        os.kill(child.process.pid, signal.SIGKILL)
        self.kills.append(child.spec.name)
        self.next_at = monotonic() + self.chance.uniform(0.2, 1.2)


def outcome(report: Report) -> list[tuple[str, str, list[int]]]:
    return [(alert.tenant, alert.rule, sorted(alert.matches)) for alert in report.alerts]


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.kafka, pytest.mark.elasticsearch])])
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    if request.param == "embedded":
        yield Settings()
    else:
        kafka, elasticsearch = request.getfixturevalue("kafka"), request.getfixturevalue("elasticsearch")
        yield Settings(bus=kafka, store=elasticsearch)


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_killing_stages_at_twenty_random_points_changes_no_alert(settings: Settings, tmp_path: Path) -> None:
    def run(number: int, killer: Killer | None = None) -> Report:
        day: date = yesterday() - timedelta(days=number)
        disturb = killer or (lambda _: None)
        return once(settings, tmp_path / str(number), on_day=day, events=3000, timeout_s=200, disturb=disturb)

    undisturbed = run(0)
    assert undisturbed.problems == []
    kills: list[str] = []
    number = 0
    while len(kills) < KILLS:
        number += 1
        killer = Killer(random.Random(number))
        report = run(number, killer)
        assert report.problems == [], killer.kills
        assert outcome(report) == outcome(undisturbed), killer.kills
        kills += killer.kills
