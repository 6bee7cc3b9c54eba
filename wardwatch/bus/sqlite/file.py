"""The file of the SQLite bus: schema, connections and transactions.

A record's id is ``lane << 40 | offset``; a lane is one partition of one topic. So the records of a lane lie side by
side in the order of their offsets, and one integer key serves writing, reading and retention.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from wardwatch.errors import BusUnavailable

OFFSET_BITS = 40
OFFSET_MASK = (1 << OFFSET_BITS) - 1
LOCK_WAIT_S = 10.0
_VERSION = 1
_SCHEMA = """
CREATE TABLE topics (
  name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, retention_s INTEGER, compacted INTEGER NOT NULL);
CREATE TABLE lanes (
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL DEFAULT 0,
  UNIQUE (topic, partition));
CREATE TABLE records (id INTEGER PRIMARY KEY, timestamp_ms INTEGER NOT NULL, key TEXT, headers BLOB, value BLOB);
CREATE TABLE members (
  team TEXT NOT NULL, member TEXT NOT NULL, subscription TEXT NOT NULL, expires REAL NOT NULL,
  PRIMARY KEY (team, member));
CREATE TABLE claims (team TEXT NOT NULL, lane INTEGER NOT NULL, member TEXT NOT NULL, PRIMARY KEY (team, lane));
CREATE TABLE offsets (team TEXT NOT NULL, lane INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (team, lane));
"""


@dataclass(frozen=True, slots=True)
class Lane:
    """One partition of one topic; ``next`` is the offset that its next record had when this was read."""

    id: int
    topic: str
    partition: int
    next: int = field(compare=False)

    @property
    def start(self) -> int:
        """The id that offset 0 has."""
        return self.id << OFFSET_BITS

    @property
    def stop(self) -> int:
        """The id after the last that the lane can have."""
        return (self.id + 1) << OFFSET_BITS


@dataclass(frozen=True, slots=True)
class Subscription:
    """Named topics, or every topic whose name starts with ``prefix``."""

    topics: tuple[str, ...] = ()
    prefix: str = ""

    def holds(self, topic: str) -> bool:
        """Tell whether the topic is subscribed to."""
        return topic in self.topics or bool(self.prefix and topic.startswith(self.prefix))


@dataclass(frozen=True, slots=True)
class BusFile:
    """The path of one bus; every caller opens a connection of its own."""

    path: Path

    def connect(self, synchronous: Literal["FULL", "NORMAL"] = "NORMAL") -> sqlite3.Connection:
        """Open the file, making it and its folder where absent.

        In WAL mode a commit survives the death of any process; with FULL it is also fsynced, so that it survives a
        power cut (https://www.sqlite.org/pragma.html#pragma_synchronous). Raises BusUnavailable.
        """
        with self.guarded():
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BusUnavailable(f"{self.path.parent}: {error.strerror}", step="bus") from None
            connection = sqlite3.connect(
                self.path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            try:
                _wal(connection)
                connection.execute(f"PRAGMA synchronous={synchronous}")
                _upgrade(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn errors of the database (locked, full, corrupt) into BusUnavailable."""
        try:
            yield
        except sqlite3.Error as error:
            raise BusUnavailable(f"{self.path}: {error}", step="bus") from error

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for one call, closed at the end."""
        connection = self.connect()
        try:
            with self.guarded():
                yield connection
        finally:
            connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one write transaction, rolled back when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def lanes(connection: sqlite3.Connection, subscription: Subscription) -> list[Lane]:
    """Return the subscribed partitions that exist, by topic and number."""
    rows = connection.execute("SELECT id, topic, partition, next FROM lanes ORDER BY topic, partition")
    return [Lane(*row) for row in rows if subscription.holds(row[1])]


def first_offset(connection: sqlite3.Connection, lane: Lane) -> int:
    """Return the offset of the oldest record kept; where the next will be when there is none."""
    (first,) = connection.execute(
        "SELECT min(id) FROM records WHERE id>=? AND id<?", (lane.start, lane.stop)
    ).fetchone()
    return lane.next if first is None else first & OFFSET_MASK


def _wal(connection: sqlite3.Connection) -> None:
    # the switch to WAL does not wait for a lock by itself
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _upgrade(connection: sqlite3.Connection) -> None:
    if _version(connection) == _VERSION:
        return
    with transaction(connection):
        version = _version(connection)
        if version > _VERSION:
            raise BusUnavailable(f"the bus was written by a newer wardwatch (schema {version})", step="bus")
        if version == 0:
            for statement in _SCHEMA.split(";")[:-1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={_VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
