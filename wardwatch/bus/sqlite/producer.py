"""Producer of the embedded bus: records are kept in memory until a batch or a flush writes them in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from itertools import count
from zlib import crc32

import orjson

from wardwatch.bus import MAX_RECORD_BYTES
from wardwatch.bus.sqlite.database import Database, now_ms
from wardwatch.errors import BusUnavailable, RecordTooLarge

_BATCH_RECORDS = 1000
_BATCH_BYTES = 4 * 2**20
_SWEEP_MS = 60_000

_Pending = tuple[str, str | None, bytes, bytes | None]


class SqliteProducer:
    """Writes batches; retention and compaction are swept along once a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: list[_Pending] = []
        self._bytes = 0
        self._turn = count()
        self._swept_ms = 0

    def send(
        self, topic: str, value: bytes | None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Hand one record over; a full batch is written at once."""
        size = len(value or b"")
        if size > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"{size} bytes, at most {MAX_RECORD_BYTES}", step="bus", record=topic)
        self._pending.append((topic, key, orjson.dumps(headers or {}), value))
        self._bytes += size
        if len(self._pending) >= _BATCH_RECORDS or self._bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self, timeout_s: float = 30.0) -> None:
        """Write what is pending; on BusUnavailable it is dropped here, for the caller sends it again."""
        pending, self._pending, self._bytes = self._pending, [], 0
        if not pending:
            return
        with self._database.writing() as connection:
            self._write(connection, pending)
            if now_ms() - self._swept_ms > _SWEEP_MS:
                self._swept_ms = now_ms()
                _sweep(connection)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def _write(self, connection: sqlite3.Connection, pending: list[_Pending]) -> None:
        topics = {
            name: (number, parts)
            for number, name, parts in connection.execute("SELECT id, name, partitions FROM topics")
        }
        heads = {(topic, part): following for topic, part, following in connection.execute("SELECT * FROM heads")}
        touched: set[tuple[int, int]] = set()
        rows = []
        at_ms = now_ms()
        for name, key, headers, value in pending:
            if name not in topics:
                raise BusUnavailable(f"no topic {name}", step="bus", remedy="wardwatch init creates topics")
            topic, parts = topics[name]
            place = topic, (next(self._turn) if key is None else crc32(key.encode())) % parts
            offset = heads.get(place, 0)
            heads[place] = offset + 1
            touched.add(place)
            rows.append((*place, offset, at_ms, key, headers, value))
        connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        connection.executemany(
            "INSERT INTO heads VALUES (?, ?, ?) ON CONFLICT (topic, part) DO UPDATE SET next = excluded.next",
            [(*place, heads[place]) for place in touched],
        )


def _sweep(connection: sqlite3.Connection) -> None:
    """Delete what retention and compaction no longer keep."""
    for topic, retention_s, compacted in connection.execute("SELECT id, retention_s, compacted FROM topics").fetchall():
        if retention_s is not None:
            oldest = now_ms() - retention_s * 1000
            connection.execute("DELETE FROM records WHERE topic = ? AND at_ms < ?", (topic, oldest))
        if compacted:
            connection.execute(
                "DELETE FROM records WHERE topic = ?1 AND (part, offset) NOT IN "
                "(SELECT part, MAX(offset) FROM records WHERE topic = ?1 GROUP BY part, key)",
                (topic,),
            )
