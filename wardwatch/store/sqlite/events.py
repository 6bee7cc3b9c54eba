"""Archived events in SQLite."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product

import orjson

from wardwatch.errors import RecordError
from wardwatch.event import LOGSOURCE, Document, Event
from wardwatch.store import Kinds, Outcome, Page, Result, Scope, Stored, Values
from wardwatch.store.reading import event_day, read_event, terms, texts, unix_ms
from wardwatch.store.sqlite.database import Condition, Database, every, match, words

_NEWEST: dict[str, type] = {"-at": int, "id": str}
_FIRST = -(2**63)  # the least integer of SQLite
_SCANNED = 500  # events that a scan reads at a time


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
        condition = _where(tenant, text, fields or {}, start, end)
        rows, total, more = self._database.page("events", condition, _NEWEST, after, limit)
        return Page([Stored(orjson.loads(row["doc"]), "1") for row in rows], total, more)

    def scan(
        self,
        scope: Scope,
        tenant: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        kinds: Kinds | None = None,
    ) -> Iterator[Document]:
        """Yield one tenant's events from ``start`` until before ``end``, oldest first, a page of them in memory."""
        scope.check(tenant, f"tenant {tenant!r}")
        beyond: Condition = ("at >= ? AND (at > ? OR id > ?)", [_FIRST, _FIRST, ""])
        while True:
            where, values = every([_where(tenant, "", {}, start, end), beyond])
            page = f"SELECT at, id, doc FROM events WHERE {where} ORDER BY at, id LIMIT {_SCANNED}"  # noqa: S608
            rows = self._database.read(page, values)
            if not rows:
                return
            at, last = rows[-1]["at"], rows[-1]["id"]
            beyond = (beyond[0], [at, at, last])
            for row in rows:
                doc: Document = orjson.loads(row["doc"])
                if kinds is None or not kinds.values.isdisjoint(_combinations(doc, kinds.fields)):
                    yield doc

    def tally(
        self,
        scope: Scope,
        tenant: str,
        fields: Sequence[str],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> dict[Values, int]:
        """Return how many of one tenant's events hold each combination of values, reading all of them."""
        counts: Counter[Values] = Counter()
        for doc in self.scan(scope, tenant, start=start, end=end):
            counts.update(_combinations(doc, fields))
        return counts

    def tenants(self) -> list[str]:
        """Return the tenants that have archived events, by name."""
        found: list[str] = []
        while rows := self._database.read("SELECT min(tenant) FROM events WHERE tenant > ?", ("".join(found[-1:]),)):
            if rows[0][0] is None:
                break
            found.append(rows[0][0])
        return found

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
        at, doc = read_event(event)
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


def _combinations(doc: Document, fields: Sequence[str]) -> set[Values]:
    return set(product(*([*texts(doc.get(name))] or (None,) for name in fields)))


def _where(
    tenant: str, text: str, fields: Mapping[str, str], start: datetime | None, end: datetime | None
) -> Condition:
    parts: list[Condition] = [("tenant = ?", [tenant])]
    # a value that has words is looked up in the text index first: `holds` reads whole documents
    indexed = [value for name, value in fields.items() if name not in LOGSOURCE]
    phrases = [value for value in indexed if terms(value) and value not in ("true", "false")]
    for searched in ([text] if text.strip() else []) + phrases:
        parts.append(("seq IN (SELECT rowid FROM event_text WHERE event_text MATCH ?)", [match(searched)]))
    parts += [("holds(doc, ?, ?)", [name, value]) for name, value in fields.items()]
    if start:
        parts.append(("at >= ?", [unix_ms(start)]))
    if end:
        parts.append(("at < ?", [unix_ms(end)]))
    return every(parts)
