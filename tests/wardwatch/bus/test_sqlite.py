"""What only the embedded bus has: its file, leases, retention and compaction."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.wardwatch.bus.conftest import Collect
from wardwatch.bus.sqlite import SqliteBus, consumer
from wardwatch.bus.sqlite.retention import clean
from wardwatch.errors import BusUnavailable, SettingsError
from wardwatch.testing.ports import wait_until
from wardwatch.topics import Topic


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the file of the bus."""
    return tmp_path / "bus.sqlite"


@pytest.fixture
def bus(path: Path) -> SqliteBus:
    """Give a bus with one plain and one compacted topic."""
    bus = SqliteBus(f"sqlite:///{path}")
    bus.ensure_topics([Topic("events.a", 1, retention_s=60), Topic("tables", 1, retention_s=None, compacted=True)])
    return bus


def _send(bus: SqliteBus, topic: str, *rows: tuple[str, bytes | None]) -> None:
    producer = bus.producer()
    for key, value in rows:
        producer.send(topic, value, key=key)
    producer.flush()
    producer.close()


def test_opening_a_bus_touches_nothing_until_it_is_used(tmp_path: Path) -> None:
    bus = SqliteBus(f"sqlite:///{tmp_path / 'a' / 'bus.sqlite'}")
    bus.producer()
    bus.consumer("g", topics=["t"])
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_not_released_is_unavailable(bus: SqliteBus, path: Path) -> None:
    producer = bus.producer()
    producer.send("events.a", b"0")
    producer.flush()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        producer.send("events.a", b"1")
        with pytest.raises(BusUnavailable, match="locked"):
            producer.flush(timeout_s=0.1)
    producer.send("events.a", b"1")
    producer.flush()
    producer.close()
    assert bus.end_offsets("events.a") == {0: 2}


def test_a_file_that_is_no_bus_is_unavailable(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(BusUnavailable, match="not a database"):
        SqliteBus(f"sqlite:///{path}").ping()


def test_a_bus_of_a_newer_version_is_refused(bus: SqliteBus, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(BusUnavailable, match="newer"):
        bus.ping()


def test_a_url_without_a_file_is_refused() -> None:
    with pytest.raises(SettingsError, match="no file"):
        SqliteBus("sqlite:///")


def test_a_member_whose_lease_ran_out_can_not_commit_over_its_successor(
    bus: SqliteBus, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_HEARTBEAT_S", 3600.0)
    _send(bus, "events.a", *[("k", b"x")] * 5)
    with bus.consumer("g", topics=["events.a"]) as frozen, bus.consumer("g", topics=["events.a"]) as successor:
        assert len(frozen.poll()) == 5
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("UPDATE members SET expires=0")
        assert len(successor.poll(max_records=2)) == 2
        successor.commit()
        frozen.commit()
        assert bus.lag("g", topics=["events.a"]) == {("events.a", 0): 3}


def test_a_long_batch_keeps_its_partitions_while_the_process_lives(
    bus: SqliteBus, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_HEARTBEAT_S", 0.02)
    _send(bus, "events.a", ("k", b"x"))
    with (
        bus.consumer("g", topics=["events.a"]) as busy,
        bus.consumer("g", topics=["events.a"]) as other,
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
    ):
        assert len(busy.poll()) == 1
        (ends,) = connection.execute("SELECT expires FROM members").fetchone()
        wait_until(
            lambda: connection.execute("SELECT 1 FROM members WHERE expires>?", (ends,)).fetchone(),
            what="the lease is renewed without a poll",
        )
        assert other.poll(timeout_s=0) == []
        busy.commit()
    assert bus.lag("g", topics=["events.a"]) == {("events.a", 0): 0}


_HOLD = """
import sys, threading
from wardwatch.bus import open_bus
consumer = open_bus(sys.argv[1]).consumer("g", topics=["events.a"])
records = []
while len(records) < 2:
    records += consumer.poll(max_records=2 - len(records))
consumer.commit()
while len(records) < 4:
    records += consumer.poll(max_records=4 - len(records))
print("holds", flush=True)
threading.Event().wait()
"""


def test_what_a_process_held_when_it_was_killed_goes_to_its_successor(bus: SqliteBus, collect: Collect) -> None:
    _send(bus, "events.a", *[("k", str(number).encode()) for number in range(6)])
    with (
        subprocess.Popen([sys.executable, "-c", _HOLD, bus.url], stdout=subprocess.PIPE, text=True) as holder,
        bus.consumer("g", topics=["events.a"]) as successor,
    ):
        try:
            assert holder.stdout is not None
            assert "holds\n" in holder.stdout
            assert successor.poll(timeout_s=0) == []
        finally:
            holder.kill()
        assert [record.value for record in collect(successor, 4)] == [b"2", b"3", b"4", b"5"]


def test_retention_deletes_old_records_and_keeps_offsets(bus: SqliteBus, path: Path) -> None:
    _send(bus, "events.a", *[("k", b"x")] * 5)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        clean(connection, now=time.time() + 30)
        assert bus.lag("g", topics=["events.a"]) == {("events.a", 0): 5}
        clean(connection, now=time.time() + 90)
    assert bus.lag("g", topics=["events.a"]) == {("events.a", 0): 0}
    _send(bus, "events.a", ("k", b"new"))
    with bus.reader(["events.a"]) as reader:
        assert [(record.offset, record.value) for record in reader.poll()] == [(5, b"new")]


def test_compaction_keeps_the_last_record_of_each_key_and_recent_tombstones(bus: SqliteBus, path: Path) -> None:
    _send(bus, "tables", ("a", b"1"), ("b", b"1"), ("a", b"2"), ("b", None), ("c", b"1"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        clean(connection)
        with bus.reader(["tables"]) as reader:
            assert [(record.key, record.value) for record in reader.poll()] == [("a", b"2"), ("b", None), ("c", b"1")]
        clean(connection, now=time.time() + 2 * 86_400)
        with bus.reader(["tables"]) as reader:
            assert [(record.key, record.value) for record in reader.poll()] == [("a", b"2"), ("c", b"1")]
