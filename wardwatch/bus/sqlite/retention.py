"""What the SQLite bus deletes: records past their retention, and rows that a later one of their key replaces."""

from __future__ import annotations

import sqlite3
import time

from wardwatch.bus.sqlite.file import Lane, Subscription, lanes, transaction

_CLEAN_RECORDS = 10_000  # looked at in each partition at a time, so that no transaction is long
_TOMBSTONE_S = 86_400  # followers have this long to see a deletion, as with Kafka's delete.retention.ms


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
