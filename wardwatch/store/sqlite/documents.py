"""Small collections in SQLite."""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from wardwatch.errors import Conflict, Forbidden, NotFound
from wardwatch.event import Document, encode
from wardwatch.store import Collection, Find, Page, Stored
from wardwatch.store.cursor import decode_cursor, next_page, page_size
from wardwatch.store.documents import document_ms, texts
from wardwatch.store.sqlite.database import Database


class SqliteDocuments:
    """One collection; a version is a counter."""

    def __init__(self, database: Database, collection: Collection) -> None:
        self._database = database
        self._collection = collection

    def create(self, identifier: str, doc: Document) -> None:
        """Store a new document."""
        values = (self._collection, identifier, document_ms(doc), _tenant(doc), encode(doc))
        with self._database.write() as connection:
            added = connection.execute(
                "INSERT OR IGNORE INTO documents (collection, id, version, at, tenant, doc) VALUES (?, ?, 1, ?, ?, ?)",
                values,
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
        values = (document_ms(doc), _tenant(doc), encode(doc), self._collection, identifier, version)
        with self._database.write() as connection:
            changed = connection.execute(
                "UPDATE documents SET version = version + 1, at = ?, tenant = ?, doc = ?"
                " WHERE collection = ? AND id = ? AND CAST(version AS TEXT) = ?",
                values,
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
        where, values = self._where(find)
        key = decode_cursor(find.after, (int, str)) if find.after is not None else []
        beyond = " AND (-at, id) > (-?, ?)" if key else ""
        size = page_size(find.limit)
        total = self._database.read(f"SELECT count(*) FROM documents WHERE {where}", values)[0][0]  # noqa: S608
        rows = self._database.read(
            f"SELECT * FROM documents WHERE {where}{beyond} ORDER BY at DESC, id LIMIT ?",  # noqa: S608
            [*values, *key, size + 1],
        )
        return Page([_stored(row) for row in rows[:size]], total, next_page(rows, size, ("at", "id")))

    def _where(self, find: Find) -> tuple[str, list[Any]]:
        where = "collection = ?"
        values: list[Any] = [self._collection]
        for name, value in find.fields.items():
            where += " AND holds(doc, ?, ?)"
            values += [name, *texts(value)]
        if find.tenants is not None:
            where += f" AND tenant IN ({', '.join('?' * len(find.tenants))})"
            values += find.tenants
        return where, values

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
