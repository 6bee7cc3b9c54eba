"""The two adapters as one fixture, and a way to read until something is true."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, TopicPartition

from wardwatch.bus import Bus, Consumer, Record, open_bus
from wardwatch.bus.sqlite.retention import clean
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


def expire(bus: Bus, topic: str) -> None:
    """Delete what the topic holds now, as its retention does when the time has come."""
    kind, _, where = bus.url.partition("://")
    if kind == "sqlite":
        with closing(sqlite3.connect(where.removeprefix("/"), isolation_level=None)) as connection:
            clean(connection, now=time.time() + 3600)
        return
    admin = KafkaAdminClient(bootstrap_servers=where)
    admin.delete_records({TopicPartition(topic, number): end for number, end in bus.end_offsets(topic).items()})
    admin.close()
