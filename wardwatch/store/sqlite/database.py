"""The SQLite file: schema, transactions and the words of its full-text index."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import orjson

from wardwatch.errors import RecordError, SettingsError, StoreUnavailable
from wardwatch.store.cursor import decode_cursor, encode_cursor, page_size
from wardwatch.store.reading import terms, texts

BUSY_S = 5.0
_WRITER_CACHE_KIB, _READER_CACHE_KIB = 65_536, 4_096
"""Pages that a connection keeps: a transaction that changes more has to write them twice."""
_CHECKPOINT_PAGES = 10_000
"""The log grows to 40 MB before it is copied into the file: a page that changes again and again is copied once."""

_SCHEMAS = (
    """
CREATE TABLE alerts (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, month TEXT NOT NULL,
    version INTEGER NOT NULL, created INTEGER NOT NULL, priority REAL NOT NULL, severity INTEGER NOT NULL,
    rule TEXT NOT NULL, doc BLOB NOT NULL, workflow TEXT NOT NULL,
    status TEXT AS (json_extract(workflow, '$.status')) STORED,
    verdict TEXT AS (json_extract(workflow, '$.verdict')) STORED,
    assignee TEXT AS (json_extract(workflow, '$.assignee')) STORED
);
CREATE INDEX alerts_newest ON alerts (created DESC, id);
CREATE INDEX alerts_priority ON alerts (priority DESC, created, id);
CREATE INDEX alerts_open ON alerts (status, tenant);
CREATE INDEX alerts_month ON alerts (tenant, month);
CREATE TABLE alert_entities (value TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (value, seq)) WITHOUT ROWID;
CREATE INDEX alert_entities_seq ON alert_entities (seq);
CREATE VIRTUAL TABLE alert_text USING fts5 (text, tokenize = "unicode61 remove_diacritics 0");
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, id TEXT NOT NULL, day TEXT NOT NULL, at INTEGER NOT NULL,
    doc BLOB NOT NULL, UNIQUE (tenant, id)
);
CREATE INDEX events_newest ON events (tenant, at DESC, id);
CREATE INDEX events_day ON events (tenant, day);
CREATE VIRTUAL TABLE event_text USING fts5 (text, tokenize = "unicode61 remove_diacritics 0");
CREATE TABLE documents (
    collection TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, tenant TEXT,
    doc BLOB NOT NULL, PRIMARY KEY (collection, id)
);
CREATE INDEX documents_newest ON documents (collection, at DESC, id);
""",
    """
ALTER TABLE alerts ADD COLUMN criticality TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN series TEXT AS (json_extract(workflow, '$.continues')) VIRTUAL;
ALTER TABLE alerts ADD COLUMN "case" TEXT AS (json_extract(workflow, '$.case_id')) VIRTUAL;
ALTER TABLE alerts ADD COLUMN due TEXT AS (coalesce(json_extract(workflow, '$.due_at'), '9999')) VIRTUAL;
ALTER TABLE alerts ADD COLUMN closed TEXT
    AS (strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(workflow, '$.closed_at'))) VIRTUAL;
ALTER TABLE alerts ADD COLUMN queued INTEGER AS (
    CASE WHEN json_extract(workflow, '$.status') IN ('new', 'acknowledged', 'in_progress', 'escalated')
    AND json_extract(workflow, '$.continues') IS NULL THEN 1 END
) VIRTUAL;
UPDATE alerts
    SET criticality = coalesce(json_extract(CAST(doc AS TEXT), '$.wardwatch.alert.asset_criticality'), '');
DROP INDEX alerts_priority;
DROP INDEX alerts_open;
CREATE INDEX alerts_priority ON alerts (priority DESC, due, created, id);
CREATE INDEX alerts_due ON alerts (due, created, id);
CREATE INDEX alerts_closed ON alerts (closed) WHERE closed IS NOT NULL;
CREATE INDEX queue_newest ON alerts (created DESC, id) WHERE queued IS NOT NULL;
CREATE INDEX queue_priority ON alerts (priority DESC, due, created, id) WHERE queued IS NOT NULL;
CREATE INDEX queue_due ON alerts (due, created, id, status, tenant) WHERE queued IS NOT NULL;
CREATE INDEX queue_counts ON alerts (queued, status, tenant, severity, rule, assignee, criticality, due)
    WHERE queued IS NOT NULL;
CREATE INDEX alerts_series ON alerts (series) WHERE series IS NOT NULL;
CREATE INDEX alerts_case ON alerts ("case") WHERE "case" IS NOT NULL;
""",
    """
DROP INDEX alerts_closed;
DROP INDEX queue_newest;
DROP INDEX queue_priority;
CREATE INDEX queue_mine ON alerts (assignee, tenant) WHERE queued IS NOT NULL;
CREATE INDEX alerts_rule ON alerts (rule, created DESC, id, tenant, verdict);
CREATE INDEX alerts_closed ON alerts (closed, status, tenant) WHERE closed IS NOT NULL;
CREATE INDEX queue_newest ON alerts (created DESC, id, tenant) WHERE queued IS NOT NULL;
CREATE INDEX queue_priority ON alerts (priority DESC, due, created, id, tenant) WHERE queued IS NOT NULL;
""",
    "CREATE INDEX alerts_hospital ON alerts (tenant, created DESC, id);",
)
"""What makes each version of the schema from the one before it."""
SCHEMA_VERSION = len(_SCHEMAS)

_LOWER = str.maketrans({upper: upper.lower() for upper in ascii_uppercase})
_HAN = re.compile(r"([\u2e80-\u2fff\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")


Condition = tuple[str, Sequence[Any]]
"""What stands behind WHERE, and its values."""


def every(parts: Sequence[Condition]) -> Condition:
    """Return the condition that all parts are met."""
    return " AND ".join(part for part, _ in parts) or "1", [value for _, values in parts for value in values]


class Database:
    """Connections to the file, opened at first use: one thread writes, others read meanwhile what was committed.

    Several processes may hold one file (write-ahead log). A commit is on disk when it returns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing = threading.Lock()
        self._reader: list[sqlite3.Connection] = []
        self._writer: list[sqlite3.Connection] = []

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction; raises StoreUnavailable when the file is locked for BUSY_S or can't be written."""
        with self._writing, self._available(), self._lent(self._writer, _WRITER_CACHE_KIB) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of one query; raises StoreUnavailable."""
        with self._available(), self._lent(self._reader, _READER_CACHE_KIB) as connection:
            return connection.execute(statement, values).fetchall()

    def page(
        self, table: str, condition: Condition, order: Mapping[str, type], after: str | None, limit: int
    ) -> tuple[list[sqlite3.Row], int, str | None]:
        """Return a page of rows, the number of all rows that meet the condition, and the cursor of the next page.

        ``order`` names columns and their types; a name behind ``-`` descends. Raises RecordError for a garbled cursor.
        """
        where, values = condition
        names = [name.lstrip("-") for name in order]
        key = decode_cursor(after, tuple(order.values())) if after is not None else []
        beyond, passed = _beyond(list(order), key) if key else ("1", [])
        total = self.read(f"SELECT count(*) FROM {table} WHERE {where}", values)[0][0]  # noqa: S608
        size = page_size(limit)
        by = ", ".join(f"{name.lstrip('-')} DESC" if name.startswith("-") else name for name in order)
        rows = self.read(
            f"SELECT * FROM {table} WHERE {where} AND {beyond} ORDER BY {by} LIMIT ?",  # noqa: S608
            [*values, *passed, size + 1],
        )
        more = encode_cursor([rows[size - 1][name] for name in names]) if len(rows) > size else None
        return rows[:size], total, more

    def close(self) -> None:
        """Close the connections that nobody uses; the next use opens one again."""
        for idle in (self._reader, self._writer):
            while idle:
                idle.pop().close()

    @contextmanager
    def _lent(self, idle: list[sqlite3.Connection], cache_kib: int) -> Iterator[sqlite3.Connection]:
        """Lend an idle connection to one thread, or a new one; one that failed is not lent again."""
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._open(cache_kib)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        idle.append(connection)

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
            raise
        except UnicodeEncodeError:
            raise RecordError("text that is not Unicode", step="store") from None
        except sqlite3.DatabaseError as error:  # locked, full, unreadable, no database
            raise StoreUnavailable(f"{self.path}: {error}", step="store") from None
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error.strerror}", step="store") from None

    def _open(self, cache_kib: int) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection, cache_kib)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, cache_kib: int) -> None:
        connection.row_factory = sqlite3.Row
        connection.create_function("holds", 3, _holds, deterministic=True)
        connection.create_function("titled", 2, _titled, deterministic=True)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        if _schema_version(connection) < SCHEMA_VERSION:
            connection.execute("BEGIN IMMEDIATE")
            for schema in _SCHEMAS[_schema_version(connection) :]:  # another process may have been first
                for statement in filter(str.strip, schema.split(";\n")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        if (found := _schema_version(connection)) != SCHEMA_VERSION:
            raise SettingsError(
                f"{self.path} has schema {found}, this version reads {SCHEMA_VERSION}",
                step="store",
                remedy="run the version that wrote it, or name another file",
            )


def _beyond(order: Sequence[str], key: Sequence[Any]) -> Condition:
    """Return the condition that a row stands behind the key; its first part is one that an index can use."""
    name, *rest = order
    column, sign = name.lstrip("-"), "<" if name.startswith("-") else ">"
    if not rest:
        return f"{column} {sign} ?", key[:1]
    deeper, values = _beyond(rest, key[1:])
    return f"{column} {sign}= ? AND ({column} {sign} ? OR ({deeper}))", [key[0], key[0], *values]


def _schema_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _holds(doc: bytes, name: str, value: str) -> bool:
    return value in texts(orjson.loads(doc).get(name))


def _titled(doc: bytes, part: str) -> bool:
    return part.translate(_LOWER) in str(orjson.loads(doc).get("title", "")).translate(_LOWER)


def words(text: str) -> str:
    """Return text as the full-text index reads it: each Han character a word of its own, as Elasticsearch's standard
    analyser has it, so that a Chinese word of any length is found as a phrase."""
    return _HAN.sub(r" \1 ", text.replace("\0", " "))


def match(text: str) -> str:
    """Return the FTS5 query for a search, every term a quoted phrase; without terms it finds nothing."""
    phrases = ['"' + words(term).replace('"', " ") + '"' for term in terms(text)]
    return " AND ".join(phrases) or '""'
