"""Archived events in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from wardwatch.errors import RecordError
from wardwatch.event import Document, Event, encode
from wardwatch.store import Outcome, Page, Result, Scope, Stored
from wardwatch.store.cursor import decode_cursor, next_page, page_size
from wardwatch.store.documents import event_day, event_ms, terms, texts, unix_ms
from wardwatch.store.sqlite.database import Database, match, words


class SqliteEvents:
    """Events of all tenants; a tenant's event exists once by its id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, events: Sequence[Event]) -> list[Result]:
        """Create each event by its id, all in one transaction."""
        with self._database.write() as connection:
            return [_create(connection, event) for event in events]

    def get(self, scope: Scope, tenant: str, ids: Iterable[str]) -> list[Document]:
        """Return the events that exist, oldest first."""
        scope.check(tenant, f"tenant {tenant!r}")
        rows = self._database.read(
            "SELECT doc FROM events WHERE tenant = ? AND id IN (SELECT value FROM json_each(?)) ORDER BY at, id",
            (tenant, orjson.dumps(list(ids)).decode()),
        )
        return [orjson.loads(row["doc"]) for row in rows]

    def search(
        self,
        scope: Scope,
        tenant: str,
        *,
        text: str = "",
        fields: Mapping[str, str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Return a page of one tenant's events, newest first, from ``start`` until before ``end``."""
        scope.check(tenant, f"tenant {tenant!r}")
        where, values = _where(tenant, text, fields or {}, start, end)
        key = decode_cursor(after, (int, str)) if after is not None else []
        beyond = " AND (-at, id) > (-?, ?)" if key else ""
        size = page_size(limit)
        total = self._database.read(f"SELECT count(*) FROM events WHERE {where}", values)[0][0]  # noqa: S608
        rows = self._database.read(
            f"SELECT * FROM events WHERE {where}{beyond} ORDER BY at DESC, id LIMIT ?",  # noqa: S608
            [*values, *key, size + 1],
        )
        stored = [Stored(orjson.loads(row["doc"]), "1") for row in rows[:size]]
        return Page(stored, total, next_page(rows, size, ("at", "id")))

    def count(self, tenant: str) -> int:
        """Return the number of archived events of one tenant."""
        return int(self._database.read("SELECT count(*) FROM events WHERE tenant = ?", (tenant,))[0][0])

    def expire(self, tenant: str, before: datetime) -> int:
        """Delete whole days before the moment."""
        old = "SELECT seq FROM events WHERE tenant = ? AND day < ?"
        values = (tenant, before.astimezone(UTC).date().isoformat())
        with self._database.write() as connection:
            connection.execute(f"DELETE FROM event_text WHERE rowid IN ({old})", values)  # noqa: S608
            return connection.execute(f"DELETE FROM events WHERE seq IN ({old})", values).rowcount  # noqa: S608


def _create(connection: sqlite3.Connection, event: Event) -> Result:
    try:
        at, doc = event_ms(event), encode(event.doc)
    except RecordError as error:
        return Result(Outcome.REJECTED, error.reason)
    added = connection.execute(
        "INSERT OR IGNORE INTO events (tenant, id, day, at, doc) VALUES (?, ?, ?, ?, ?)",
        (event.tenant, event.id, event_day(event).isoformat(), at, doc),
    )
    if not added.rowcount:
        return Result(Outcome.ALREADY_THERE)
    text = "\n".join(texts(event.doc))
    connection.execute("INSERT INTO event_text (rowid, text) VALUES (?, ?)", (added.lastrowid, words(text)))
    return Result(Outcome.STORED)


def _where(
    tenant: str, text: str, fields: Mapping[str, str], start: datetime | None, end: datetime | None
) -> tuple[str, list[Any]]:
    parts: list[tuple[str, list[Any]]] = [("tenant = ?", [tenant])]
    # a value that has words is looked up in the text index first: `holds` reads whole documents
    phrases = [value for value in fields.values() if terms(value) and value not in ("true", "false")]
    for searched in ([text] if text.strip() else []) + phrases:
        parts.append(("seq IN (SELECT rowid FROM event_text WHERE event_text MATCH ?)", [match(searched)]))
    parts += [("holds(doc, ?, ?)", [name, value]) for name, value in fields.items()]
    if start:
        parts.append(("at >= ?", [unix_ms(start)]))
    if end:
        parts.append(("at < ?", [unix_ms(end)]))
    return " AND ".join(part for part, _ in parts), [value for _, values in parts for value in values]
