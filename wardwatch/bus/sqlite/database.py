"""The database file behind the embedded bus, shared by the processes of one machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wardwatch.errors import BusUnavailable, SettingsError

_BUSY_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL,
  retention_s INTEGER, compacted INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS heads (
  topic INTEGER NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
  topic INTEGER NOT NULL, part INTEGER NOT NULL, offset INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, key TEXT, headers BLOB NOT NULL, value BLOB,
  PRIMARY KEY (topic, part, offset)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits (
  grp TEXT NOT NULL, topic INTEGER NOT NULL, part INTEGER NOT NULL, offset INTEGER NOT NULL,
  PRIMARY KEY (grp, topic, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (
  grp TEXT NOT NULL, member TEXT NOT NULL, until_ms INTEGER NOT NULL, PRIMARY KEY (grp, member)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owners (
  grp TEXT NOT NULL, topic INTEGER NOT NULL, part INTEGER NOT NULL, member TEXT NOT NULL,
  PRIMARY KEY (grp, topic, part)
) WITHOUT ROWID;
"""


def path_of(url: str) -> Path:
    """Return the file that ``sqlite:///path`` names; raises SettingsError."""
    path = url.removeprefix("sqlite:///")
    if path == url or not path:
        raise SettingsError(f"{url!r} names no file", step="bus", remedy="sqlite:///path/to/bus.sqlite")
    return Path(path)


class Database:
    """One connection, opened on first use; every sqlite3 error is BusUnavailable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for reads."""
        try:
            yield self._open()
        except (sqlite3.Error, OSError) as error:
            raise BusUnavailable(str(error), step="bus", record=str(self.path)) from None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one durable transaction."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def changed(self) -> int:
        """Return a number that differs once another connection has written."""
        with self.reading() as connection:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")  # a flush outlives a power cut
            connection.executescript(_SCHEMA)
            self._connection = connection
        return self._connection


def now_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
