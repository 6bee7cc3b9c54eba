"""Small collections in SQLite."""

from __future__ import annotations

import sqlite3

import orjson

from wardwatch.errors import Conflict, Forbidden, NotFound
from wardwatch.event import Document
from wardwatch.store import Collection, Find, Page, Stored
from wardwatch.store.reading import read_document, texts, unix_ms
from wardwatch.store.sqlite.database import Condition, Database, every

_NEWEST: dict[str, type] = {"-at": int, "id": str}


class SqliteDocuments:
    """One collection; a version is a counter."""

    def __init__(self, database: Database, collection: Collection) -> None:
        self._database = database
        self._collection = collection

    def create(self, identifier: str, doc: Document) -> None:
        """Store a new document."""
        at, data = read_document(identifier, doc)
        with self._database.write() as connection:
            added = connection.execute(
                "INSERT OR IGNORE INTO documents (collection, id, version, at, tenant, doc) VALUES (?, ?, 1, ?, ?, ?)",
                (self._collection, identifier, at, _tenant(doc), data),
            )
            if not added.rowcount:
                raise Conflict(f"{self._collection} has {identifier!r} already", step="store")

    def get(self, identifier: str) -> Stored:
        """Return a document as last written."""
        rows = self._database.read(
            "SELECT * FROM documents WHERE collection = ? AND id = ?", (self._collection, identifier)
        )
        if not rows:
            raise self._absent(identifier)
        return _stored(rows[0])

    def replace(self, identifier: str, doc: Document, *, version: str) -> Stored:
        """Replace a document that nobody changed since ``version`` was read."""
        self._mutable()
        at, data = read_document(identifier, doc)
        with self._database.write() as connection:
            changed = connection.execute(
                "UPDATE documents SET version = version + 1, at = ?, tenant = ?, doc = ?"
                " WHERE collection = ? AND id = ? AND CAST(version AS TEXT) = ?",
                (at, _tenant(doc), data, self._collection, identifier, version),
            )
            row = connection.execute(
                "SELECT * FROM documents WHERE collection = ? AND id = ?", (self._collection, identifier)
            ).fetchone()
        if row is None:
            raise self._absent(identifier)
        if not changed.rowcount:
            raise Conflict(f"{self._collection} {identifier!r} was changed meanwhile", step="store")
        return _stored(row)

    def delete(self, identifier: str) -> None:
        """Delete a document."""
        self._mutable()
        with self._database.write() as connection:
            connection.execute("DELETE FROM documents WHERE collection = ? AND id = ?", (self._collection, identifier))

    def find(self, find: Find) -> Page:
        """Return a page of documents, newest first."""
        rows, total, more = self._database.page("documents", self._where(find), _NEWEST, find.after, find.limit)
        return Page([_stored(row) for row in rows], total, more)

    def _where(self, find: Find) -> Condition:
        parts: list[Condition] = [("collection = ?", [self._collection])]
        parts += [("holds(doc, ?, ?)", [name, *texts(value)]) for name, value in find.fields.items()]
        if find.title:
            parts.append(("titled(doc, ?)", [find.title]))
        if find.tenants is not None:
            parts.append((f"tenant IN ({', '.join('?' * len(find.tenants))})", list(find.tenants)))
        if find.start:
            parts.append(("at >= ?", [unix_ms(find.start)]))
        if find.end:
            parts.append(("at < ?", [unix_ms(find.end)]))
        return every(parts)

    def _mutable(self) -> None:
        if self._collection == "audit":
            raise Forbidden("audit records are never changed", step="store")

    def _absent(self, identifier: str) -> NotFound:
        return NotFound(f"no {identifier[:80]!r} in {self._collection}", step="store")


def _tenant(doc: Document) -> str | None:
    tenant = doc.get("tenant")
    return tenant if isinstance(tenant, str) else None


def _stored(row: sqlite3.Row) -> Stored:
    return Stored(orjson.loads(row["doc"]), str(row["version"]))
