"""The quarantine: raw bytes that could not be parsed or scrubbed. They stay in the hospital, for replay."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest.parsers import Record
from wardwatch.errors import NotFound, SpoolFull
from wardwatch.event import event_id, rfc3339

LIMIT_BYTES = 256 * 2**20
PREFIX = "quarantine:"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, source TEXT NOT NULL, peer TEXT NOT NULL,
    position TEXT NOT NULL, received TEXT NOT NULL, data BLOB NOT NULL, topic TEXT NOT NULL DEFAULT ''
);
"""


@dataclass(frozen=True, slots=True)
class Held:
    """One raw record and the source whose parser refused it."""

    source: str
    record: Record


def position_of(source: str, record: Record) -> str:
    """Return the position ``quarantine:<id>`` of a record; the same record again has the same."""
    named = (record.position, record.peer, record.topic) if record.topic else (record.position, record.peer)
    return PREFIX + event_id("quarantine", source, *named, record.data)


class Quarantine:
    """One SQLite file of at most ``limit`` bytes of records; the oldest go first, counted in ``dropped``."""

    def __init__(self, path: Path, limit: int = LIMIT_BYTES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._limit = limit
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, timeout=10)
        self._database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_SCHEMA}")
        columns = {row[1] for row in self._database.execute("PRAGMA table_info(records)")}
        if "topic" not in columns:  # a file of version 0.1
            self._database.execute("ALTER TABLE records ADD COLUMN topic TEXT NOT NULL DEFAULT ''")
        self._size = int(self._database.execute("SELECT coalesce(sum(length(data)), 0) FROM records").fetchone()[0])
        self.dropped = 0

    def put(self, source: str, records: Sequence[Record]) -> None:
        """Keep the records, all or none; one that is there keeps its place. Raises SpoolFull when the disk is full."""
        columns = "id, source, peer, position, topic, received, data"
        insert = f"INSERT OR IGNORE INTO records ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 constants
        try:
            with self._lock, self._database:
                for record in records:
                    identifier = position_of(source, record).removeprefix(PREFIX)
                    place = (record.peer, record.position, record.topic)
                    row = (identifier, source, *place, rfc3339(record.received), record.data)
                    self._size += len(record.data) * self._database.execute(insert, row).rowcount
                self._trim()
        except sqlite3.Error as error:
            raise SpoolFull(f"the quarantine can't be written: {error}", step="quarantine") from None

    def get(self, position: str) -> Held:
        """Return the record kept at a position; raises NotFound."""
        query = "SELECT source, data, peer, position, received, topic FROM records WHERE id = ?"
        with self._lock:
            row = self._database.execute(query, (position.removeprefix(PREFIX),)).fetchone()
        if row is None:
            raise NotFound(f"{position} is not in this quarantine", step="quarantine")
        received = datetime.fromisoformat(row[4]).astimezone(UTC)
        return Held(row[0], Record(row[1], row[2], row[3], received, row[5]))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _trim(self) -> None:
        while self._size > self._limit:
            oldest = "DELETE FROM records WHERE number = (SELECT min(number) FROM records) RETURNING length(data)"
            row = self._database.execute(oldest).fetchone()
            if row is None:
                return
            self._size -= row[0]
            self.dropped += 1
