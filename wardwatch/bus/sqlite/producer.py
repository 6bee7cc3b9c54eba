"""Writing to the SQLite bus in batches."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from itertools import count
from zlib import crc32

import orjson

from wardwatch.bus import FLUSH_S, check_size
from wardwatch.bus.sqlite.file import BusFile, Lane, Subscription, lanes, transaction
from wardwatch.bus.sqlite.retention import clean
from wardwatch.errors import BusUnavailable

_BATCH_BYTES = 4 * 2**20
_BATCH_RECORDS = 2000
_CLEAN_S = 60.0


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

    def flush(self, timeout_s: float = FLUSH_S) -> None:
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
