"""The simulated day, end to end, on the embedded default and on real servers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from wardwatch.demo.day import EXPECTED
from wardwatch.demo.once import once, yesterday
from wardwatch.settings import Settings


@pytest.mark.kafka
@pytest.mark.elasticsearch
@pytest.mark.timeout(600)
def test_the_day_raises_the_same_alerts_on_the_embedded_default_and_on_real_servers(
    tmp_path: Path, kafka: str, elasticsearch: str
) -> None:
    day = yesterday() - timedelta(days=30)  # of its own: other tests use the same servers
    embedded = once(Settings(), tmp_path / "embedded", on_day=day, events=700)
    servers = once(Settings(bus=kafka, store=elasticsearch), tmp_path / "servers", on_day=day, events=700)
    assert embedded.problems == []
    assert servers.problems == []
    assert embedded.alerts == servers.alerts
    assert {(alert.tenant, alert.rule): len(alert.ids) for alert in embedded.alerts} == EXPECTED
    for source in embedded.sources:
        assert source.accepted == source.forwarded + source.filtered + source.dead_lettered
    assert sum(source.dead_lettered for source in embedded.sources) == 2 * 3  # what _unreadable() sends
