"""Reading the SQLite bus alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from typing import Literal, Self

import orjson

from wardwatch.bus import Partition, Record
from wardwatch.bus.sqlite.file import OFFSET_MASK, BusFile, Lane, Subscription, lanes

SYNC_S = 0.5
"""How often a reader looks for new partitions and a member for its share."""
_IDLE_S = 0.02
_POLL_BYTES = 16 * 2**20


class SqliteReader:
    """Reads all subscribed partitions from the start or the end, for itself."""

    def __init__(self, file: BusFile, subscription: Subscription, start: Literal["earliest", "latest"] = "earliest"):
        self._file = file
        self._subscription = subscription
        self._latest = start == "latest"
        self._connection: sqlite3.Connection | None = None
        self._positions: dict[Lane, int] = {}
        self._began: dict[Lane, int] = {}
        self._turn = 0
        self._synced = float("-inf")

    def poll(self, *, max_records: int = 500, timeout_s: float = 1.0) -> list[Record]:
        """Return the next records; waits on the file's change counter, which costs microseconds to look at."""
        deadline = time.monotonic() + timeout_s
        seen = -1
        with self._file.guarded():
            while True:
                connection = self._connected()
                if time.monotonic() - self._synced >= SYNC_S:
                    self._sync(connection)
                    self._synced = time.monotonic()
                    seen = -1
                version = int(connection.execute("PRAGMA data_version").fetchone()[0])
                if version != seen:
                    seen = version
                    records = self._fetch(connection, max_records)
                    if records:
                        return records
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return []
                time.sleep(min(_IDLE_S, left_s))

    def commit(self, before: Mapping[Partition, int] = {}) -> None:
        """Do nothing: a reader has no group."""

    def rewind(self) -> None:
        """Go back to where the reader began."""
        self._positions = dict(self._began)

    def assignment(self) -> set[Partition]:
        """Return the partitions read now."""
        return {(lane.topic, lane.partition) for lane in self._positions}

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._file.connect()
        return self._connection

    def _sync(self, connection: sqlite3.Connection) -> None:
        first = self._synced == float("-inf")
        known = {lane.id for lane in self._positions}
        for lane in lanes(connection, self._subscription):
            if lane.id not in known:
                position = lane.next if first and self._latest else 0
                self._positions[lane] = self._began[lane] = position

    def _fetch(self, connection: sqlite3.Connection, max_records: int) -> list[Record]:
        records: list[Record] = []
        advanced: dict[Lane, int] = {}
        left_bytes = _POLL_BYTES
        for lane in self._in_turn():
            found = rows(connection, lane, self._positions[lane], max_records - len(records), left_bytes)
            if found:
                records += found
                advanced[lane] = found[-1].offset + 1
                left_bytes -= sum(len(record.value or b"") for record in found)
            if len(records) >= max_records or left_bytes <= 0:
                break
        self._positions.update(advanced)
        return records

    def _in_turn(self) -> list[Lane]:
        # another partition goes first each time, so that a busy one can't starve the others
        order = list(self._positions)
        self._turn += 1
        cut = self._turn % len(order) if order else 0
        return order[cut:] + order[:cut]


def rows(connection: sqlite3.Connection, lane: Lane, position: int, limit: int, limit_bytes: int) -> list[Record]:
    """Return the lane's next records, one at least, and no more once they have ``limit_bytes``."""
    rows = connection.execute(
        "SELECT id, timestamp_ms, key, headers, value FROM records WHERE id>=? AND id<? ORDER BY id LIMIT ?",
        (lane.start + position, lane.stop, limit),
    )
    topic, partition, records = lane.topic, lane.partition, []
    for identifier, timestamp_ms, key, headers, value in rows:
        offset = identifier & OFFSET_MASK
        records.append(Record(topic, partition, offset, key, value, orjson.loads(headers), timestamp_ms))
        limit_bytes -= len(value or b"")
        if limit_bytes <= 0:
            break
    return records
