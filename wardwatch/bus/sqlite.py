"""The embedded bus: topics in one SQLite file that several processes of one machine share."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Literal
from zlib import crc32

import orjson

from wardwatch.bus import Partition, check_size
from wardwatch.bus.sqlite_consumer import SqliteConsumer, SqliteReader
from wardwatch.bus.sqlite_file import OFFSET_BITS, BusFile, Lane, Subscription, lanes, transaction
from wardwatch.errors import BusUnavailable, SettingsError
from wardwatch.topics import Topic

_BATCH_BYTES = 4 * 2**20
_BATCH_RECORDS = 2000
_CLEAN_S = 60.0
_CLEAN_RECORDS = 10_000  # looked at in each partition at a time, so that no transaction is long
_TOMBSTONE_S = 86_400  # followers have this long to see a deletion, as with Kafka's delete.retention.ms


class SqliteBus:
    """``sqlite:///relative`` or ``sqlite:////absolute``; opens the file at first use. Raises SettingsError."""

    def __init__(self, url: str) -> None:
        path = url.removeprefix("sqlite:///")
        if path in ("", url):
            raise SettingsError(f"{url!r} names no file", step="settings", remedy="sqlite:///path/to/bus.sqlite")
        self.url = url
        self._file = BusFile(Path(path))

    def ensure_topics(self, topics: Iterable[Topic]) -> None:
        """Create the topics that are missing."""
        with self._file.opened() as connection, transaction(connection):
            for topic in topics:
                _create(connection, topic)

    def topics(self) -> dict[str, int]:
        """Return the existing topics and their number of partitions."""
        with self._file.opened() as connection:
            return dict(connection.execute("SELECT name, partitions FROM topics"))

    def producer(self) -> SqliteProducer:
        """Return a new producer."""
        return SqliteProducer(self._file)

    def consumer(
        self,
        group: str,
        *,
        topics: Sequence[str] = (),
        prefix: str = "",
        on_assign: Callable[[set[Partition]], None] | None = None,
    ) -> SqliteConsumer:
        """Join the group at the first ``poll``."""
        return SqliteConsumer(self._file, group, Subscription(tuple(topics), prefix), on_assign)

    def reader(
        self, topics: Sequence[str] = (), *, prefix: str = "", start: Literal["earliest", "latest"] = "earliest"
    ) -> SqliteReader:
        """Return a consumer without a group; "latest" is the end at the first ``poll``."""
        return SqliteReader(self._file, Subscription(tuple(topics), prefix), start)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return for each partition the offset that the next record will have."""
        with self._file.opened() as connection:
            return {lane.partition: lane.next for lane in lanes(connection, Subscription((topic,)))}

    def lag(self, group: str, *, topics: Sequence[str] = (), prefix: str = "") -> dict[Partition, int]:
        """Return for each partition how many records the group has not committed."""
        with self._file.opened() as connection:
            stored = dict(connection.execute("SELECT lane, next FROM offsets WHERE team=?", (group,)))
            return {
                (lane.topic, lane.partition): lane.next - max(stored.get(lane.id, 0), _first(connection, lane))
                for lane in lanes(connection, Subscription(tuple(topics), prefix))
            }

    def ping(self) -> None:
        """Return when the file can be read and written."""
        with self._file.opened() as connection, transaction(connection):
            connection.execute("SELECT count(*) FROM topics").fetchone()

    def close(self) -> None:
        """Do nothing: every call and every consumer closes its own connection."""


class SqliteProducer:
    """Collects records and writes them in transactions of at most 4 MiB."""

    def __init__(self, file: BusFile) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._batch: list[tuple[str, bytes | None, str | None, bytes]] = []
        self._batch_bytes = 0
        self._unkeyed = count()
        self._cleaned = time.monotonic()

    def send(
        self, topic: str, value: bytes | None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Keep one record, writing the batch when it is full."""
        headers = dict(headers or {})
        self._batch_bytes += check_size(topic, value, key, headers)
        self._batch.append((topic, value, key, orjson.dumps(headers)))
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_RECORDS:
            self.flush()

    def flush(self, timeout_s: float = 30.0) -> None:
        """Write what was sent, fsynced; what could not be written is dropped, since the caller sends it again."""
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if not batch:
            return
        if self._connection is None:
            self._connection = self._file.connect("FULL")
        with self._file.guarded():
            self._connection.execute(f"PRAGMA busy_timeout={int(timeout_s * 1000)}")
            with transaction(self._connection):
                self._write(self._connection, batch)
            if time.monotonic() - self._cleaned > _CLEAN_S:
                clean(self._connection)
                self._cleaned = time.monotonic()

    def close(self) -> None:
        """Close the connection; what was not flushed is dropped."""
        self._batch.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self, connection: sqlite3.Connection, batch: list[tuple[str, bytes | None, str | None, bytes]]) -> None:
        names = tuple({topic for topic, *_ in batch})
        by_topic: dict[str, list[Lane]] = {name: [] for name in names}
        for lane in lanes(connection, Subscription(names)):
            by_topic[lane.topic].append(lane)
        ends = {lane.id: lane.next for found in by_topic.values() for lane in found}
        now_ms = time.time_ns() // 1_000_000
        rows = []
        for topic, value, key, headers in batch:
            lane = self._lane(topic, by_topic[topic], key)
            rows.append((lane.start + ends[lane.id], now_ms, key, headers, value))
            ends[lane.id] += 1
        connection.executemany("INSERT INTO records VALUES (?,?,?,?,?)", rows)
        connection.executemany("UPDATE lanes SET next=? WHERE id=?", [(end, lane) for lane, end in ends.items()])

    def _lane(self, topic: str, found: list[Lane], key: str | None) -> Lane:
        if not found:
            raise BusUnavailable(f"no topic {topic!r}", step="send", remedy="create it with wardwatch init")
        return found[(next(self._unkeyed) if key is None else crc32(key.encode())) % len(found)]


def clean(connection: sqlite3.Connection, now: float | None = None) -> None:
    """Delete what retention and compaction allow, at most some thousand records of each partition."""
    now_ms = int((time.time() if now is None else now) * 1000)
    topics = connection.execute("SELECT name, retention_s, compacted FROM topics").fetchall()
    for name, retention_s, compacted in topics:
        for lane in lanes(connection, Subscription((name,))):
            with transaction(connection):
                if compacted:
                    _compact(connection, lane, now_ms - _TOMBSTONE_S * 1000)
                elif retention_s is not None:
                    _expire(connection, lane, now_ms - retention_s * 1000)


def _create(connection: sqlite3.Connection, topic: Topic) -> None:
    done = connection.execute(
        "INSERT OR IGNORE INTO topics VALUES (?,?,?,?)",
        (topic.name, topic.partitions, topic.retention_s, topic.compacted),
    )
    if done.rowcount:
        connection.executemany(
            "INSERT INTO lanes (topic, partition) VALUES (?,?)", [(topic.name, n) for n in range(topic.partitions)]
        )


def _first(connection: sqlite3.Connection, lane: Lane) -> int:
    (first,) = connection.execute(
        "SELECT min(id) FROM records WHERE id>=? AND id<?", (lane.start, lane.stop)
    ).fetchone()
    return lane.next if first is None else first & ((1 << OFFSET_BITS) - 1)


def _expire(connection: sqlite3.Connection, lane: Lane, before_ms: int) -> None:
    connection.execute(
        "DELETE FROM records WHERE timestamp_ms<? AND id IN"
        " (SELECT id FROM records WHERE id>=? AND id<? ORDER BY id LIMIT ?)",
        (before_ms, lane.start, lane.stop, _CLEAN_RECORDS),
    )


def _compact(connection: sqlite3.Connection, lane: Lane, tombstones_before_ms: int) -> None:
    span = (lane.start, lane.stop)
    connection.execute(
        "DELETE FROM records WHERE id>=? AND id<? AND key IS NOT NULL AND id NOT IN"
        " (SELECT max(id) FROM records WHERE id>=? AND id<? GROUP BY key)",
        (*span, *span),
    )
    connection.execute(
        "DELETE FROM records WHERE id>=? AND id<? AND value IS NULL AND timestamp_ms<?",
        (lane.start, lane.start + lane.next - 1, tombstones_before_ms),  # the last stays: it says where the end is
    )
