"""The two adapters as one fixture, and a way to read until something is true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from wardwatch.bus import Bus, Consumer, Record, open_bus
from wardwatch.testing.ports import wait_until

Collect = Callable[[Consumer, int], list[Record]]


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bus]:
    """Give each adapter."""
    adapter = request.param
    url = f"sqlite:///{tmp_path / 'new' / 'bus.sqlite'}" if adapter == "sqlite" else request.getfixturevalue("kafka")
    opened = open_bus(url)
    yield opened
    opened.close()


@pytest.fixture
def name() -> str:
    """Give a name that no other test uses: topics of the broker outlive a test."""
    return "t" + uuid4().hex[:12]


@pytest.fixture
def collect() -> Collect:
    """Poll until at least so many records came."""

    def poll_until(consumer: Consumer, least: int) -> list[Record]:
        records: list[Record] = []

        def enough() -> bool:
            records.extend(consumer.poll(timeout_s=0.2))
            return len(records) >= least

        wait_until(enough, what=f"{least} records")
        return records

    return poll_until
