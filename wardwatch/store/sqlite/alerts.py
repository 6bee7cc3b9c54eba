"""Alerts in SQLite: detection's document and the workflow in columns of their own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from wardwatch.alert import OPEN, parse_alert_id
from wardwatch.errors import Conflict, NotFound, RecordError
from wardwatch.event import encode, rfc3339
from wardwatch.store import (
    AlertQuery,
    AlertSort,
    AlertWrite,
    CountBy,
    Outcome,
    Page,
    Result,
    Scope,
    Stored,
    WorkflowChange,
)
from wardwatch.store.reading import (
    AlertKeys,
    alert_keys,
    check_workflow,
    detection_part,
    severity_name,
    severity_numbers,
    unix_ms,
    visible,
)
from wardwatch.store.sqlite.database import Condition, Database, every, match, words

_ORDER: dict[str, dict[str, type]] = {
    "newest": {"-created": int, "id": str},
    "priority": {"-priority": float, "due": str, "created": int, "id": str},
    "due": {"due": str, "created": int, "id": str},
}
_SLA_STATE = "json_extract(workflow, '$.sla_state')"


class SqliteAlerts:
    """Alerts of all tenants; a version is a counter."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, writes: Sequence[AlertWrite]) -> list[Result]:
        """Write detection's part of the alerts in one transaction."""
        with self._database.write() as connection:
            return [_write(connection, write) for write in writes]

    def get(self, scope: Scope, ids: Iterable[str]) -> dict[str, Stored]:
        """Return the alerts that exist and are in scope."""
        rows = self._database.read(
            "SELECT * FROM alerts WHERE id IN (SELECT value FROM json_each(?))", (_json_list(ids),)
        )
        return {row["id"]: _stored(row) for row in rows if scope.allows(row["tenant"])}

    def search(
        self, scope: Scope, query: AlertQuery, *, sort: AlertSort = "newest", after: str | None = None, limit: int = 50
    ) -> Page:
        """Return a page of alerts by key."""
        rows, total, more = self._database.page("alerts", _where(scope, query), _ORDER[sort], after, limit)
        return Page([_stored(row) for row in rows], total, more)

    def count(self, scope: Scope, query: AlertQuery, by: CountBy) -> dict[str, int]:
        """Return how many alerts match, by the values of one field; alerts without a value are not counted."""
        where, values = _where(scope, query)
        field = "+tenant" if by == "tenant" else by  # else every row is read in the order of the tenant's index
        rows = self._database.read(
            f"SELECT {by}, count(*) FROM alerts WHERE {where} AND {by} IS NOT NULL GROUP BY {field}",  # noqa: S608
            values,
        )
        return {severity_name(row[0]) if by == "severity" else row[0]: row[1] for row in rows}

    def totals(self, scope: Scope, queries: Sequence[AlertQuery]) -> list[int]:
        """Return how many alerts match each query: those of the queue by one pass over its index."""
        found: dict[AlertQuery, int] = {}
        for queued in (True, False):
            group = [query for query in dict.fromkeys(queries) if _is_queued(query) is queued]
            found |= zip(group, self._counted(scope, group), strict=True)
        return [found[query] for query in queries]

    def _counted(self, scope: Scope, queries: Sequence[AlertQuery]) -> Sequence[int]:
        if not queries:
            return []
        each = [_parts(scope, query) for query in queries]
        shared = [part for part in each[0] if all(part in parts for parts in each)]
        own = [every([part for part in parts if part not in shared]) for parts in each]
        where, values = every(shared)
        counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition, _ in own)
        counted = [value for _, own_values in own for value in own_values]
        return tuple(self._database.read(f"SELECT {counts} FROM alerts WHERE {where}", [*counted, *values])[0])  # noqa: S608

    def workflow(self, scope: Scope, identifier: str, changes: Mapping[str, Any], *, version: str) -> Stored:
        """Change workflow fields of an alert that nobody changed since ``version`` was read."""
        check_workflow(changes)
        scope.check(parse_alert_id(identifier)[0], f"alert {identifier!r}")
        with self._database.write() as connection:
            row = _row(connection, identifier)
            if row is None:
                raise NotFound(f"no alert {identifier!r}", step="store")
            if not _change(connection, row, changes, version):
                raise Conflict(f"alert {identifier} was changed meanwhile", step="store")
            return _stored(_row(connection, identifier) or row)

    def workflows(self, scope: Scope, changes: Sequence[WorkflowChange]) -> list[Result]:
        """Change many alerts in one transaction, each by itself."""
        for each in changes:
            check_workflow(each.changes)
        with self._database.write() as connection:
            taken = [scope.allows(parse_alert_id(each.id)[0]) and _changed(connection, each) for each in changes]
        return [Result(Outcome.STORED if each else Outcome.CONFLICT) for each in taken]

    def expire(self, tenant: str, before: datetime) -> int:
        """Delete whole months before the moment."""
        old = "SELECT seq FROM alerts WHERE tenant = ? AND month < ?"
        values = (tenant, f"{before.astimezone(UTC):%Y%m}")
        with self._database.write() as connection:
            connection.execute(f"DELETE FROM alert_entities WHERE seq IN ({old})", values)  # noqa: S608
            connection.execute(f"DELETE FROM alert_text WHERE rowid IN ({old})", values)  # noqa: S608
            return connection.execute(f"DELETE FROM alerts WHERE seq IN ({old})", values).rowcount  # noqa: S608


def _json_list(values: Iterable[str]) -> str:
    return orjson.dumps(list(values)).decode()


def _row(connection: sqlite3.Connection, identifier: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM alerts WHERE id = ?", (identifier,)).fetchone()
    return row


def _change(connection: sqlite3.Connection, row: sqlite3.Row, changes: Mapping[str, Any], version: str) -> bool:
    """Change the workflow in the row unless it has another version; tell whether it was changed."""
    if str(row["version"]) != version:
        return False
    merged = {**orjson.loads(row["workflow"]), **changes}
    workflow = encode({name: value for name, value in merged.items() if value is not None}).decode()
    connection.execute("UPDATE alerts SET workflow = ?, version = version + 1 WHERE seq = ?", (workflow, row["seq"]))
    return True


def _changed(connection: sqlite3.Connection, change: WorkflowChange) -> bool:
    """Make a change as of the version that was read, without reading it again; tell whether it was that still."""
    values = (encode(change.workflow).decode(), change.id, change.alert.version)
    done = connection.execute(
        "UPDATE alerts SET workflow = ?, version = version + 1 WHERE id = ? AND version = ?", values
    )
    return done.rowcount == 1


def _stored(row: sqlite3.Row) -> Stored:
    doc = orjson.loads(row["doc"])
    doc["wardwatch"]["alert"].update(orjson.loads(row["workflow"]))
    return Stored(doc, str(row["version"]))


def _write(connection: sqlite3.Connection, write: AlertWrite) -> Result:
    try:
        keys, doc = alert_keys(write), encode(detection_part(write.doc))
    except RecordError as error:
        return Result(Outcome.REJECTED, error.reason)
    before = _row(connection, write.id)
    if (str(before["version"]) if before else None) != write.version:
        return Result(Outcome.CONFLICT)
    columns = (keys.created_ms, keys.priority, keys.severity, keys.rule, keys.criticality, doc)
    if before is None:
        seq = _insert(connection, write, columns)
    else:
        seq = before["seq"]
        connection.execute(
            "UPDATE alerts SET version = version + 1, created = ?, priority = ?, severity = ?, rule = ?,"
            " criticality = ?, doc = ? WHERE seq = ?",
            (*columns, seq),
        )
    _index(connection, seq, keys)
    return Result(Outcome.STORED)


def _insert(connection: sqlite3.Connection, write: AlertWrite, columns: tuple[object, ...]) -> int | None:
    return connection.execute(
        "INSERT INTO alerts (id, tenant, month, version, created, priority, severity, rule, criticality, doc,"
        " workflow) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)",
        (write.id, *parse_alert_id(write.id), *columns, orjson.dumps(dict(write.workflow)).decode()),
    ).lastrowid


def _index(connection: sqlite3.Connection, seq: int | None, keys: AlertKeys) -> None:
    connection.execute("DELETE FROM alert_entities WHERE seq = ?", (seq,))
    connection.executemany(
        "INSERT INTO alert_entities (value, seq) VALUES (?, ?)", [(value, seq) for value in keys.entities]
    )
    connection.execute("INSERT OR REPLACE INTO alert_text (rowid, text) VALUES (?, ?)", (seq, words(keys.text)))


def _is_queued(query: AlertQuery) -> bool:
    """Tell whether all that match stand in the queue: open ones that go on with no other."""
    return query.heads and bool(query.statuses) and query.statuses <= OPEN


def _where(scope: Scope, query: AlertQuery) -> Condition:
    return every(_parts(scope, query))


def _parts(scope: Scope, query: AlertQuery) -> list[Condition]:
    parts: list[Condition] = []
    queued = _is_queued(query)
    tenants = visible(scope, query.tenants)
    shorter = queued or query.series or query.rules or query.entity or query.case or query.text or query.closed_from
    tenant = "+tenant" if shorter or len(tenants or ()) > 1 else "tenant"  # a plus keeps its index from being chosen
    statuses = None if queued and query.statuses == OPEN else query.statuses or None
    one_of: list[tuple[str, Iterable[Any] | None]] = [
        (tenant, tenants),
        ("status", statuses),
        ("severity", severity_numbers(query.severities) or None),
        ("verdict", query.verdicts or None),
        ("rule", query.rules or None),
        ("criticality", query.criticalities or None),
        ("series", query.series or None),
    ]
    for column, values in one_of:
        if values is not None:
            chosen = list(values)
            parts.append((f"{column} IN ({', '.join('?' * len(chosen))})", chosen))
    if query.assignee is not None:
        parts.append(("assignee = ?", [query.assignee]) if query.assignee else ("coalesce(assignee, '') = ''", []))
    if query.entity:
        parts.append(("seq IN (SELECT seq FROM alert_entities WHERE value = ?)", [query.entity]))
    if query.text.strip():
        parts.append(("seq IN (SELECT rowid FROM alert_text WHERE alert_text MATCH ?)", [match(query.text)]))
    if query.created_from:
        parts.append(("created >= ?", [unix_ms(query.created_from)]))
    if query.created_to:
        parts.append(("created < ?", [unix_ms(query.created_to)]))
    if query.closed_from:
        parts.append(("closed >= ?", [rfc3339(query.closed_from)]))
    if query.due_before:
        parts.append(("due < ?", [rfc3339(query.due_before)]))
    if query.untold:
        parts.append((f"coalesce({_SLA_STATE}, '') NOT IN ({', '.join('?' * len(query.untold))})", list(query.untold)))
    if query.heads:
        parts.append(("queued IS NOT NULL" if queued else "series IS NULL", []))
    if query.case:
        parts.append(('"case" = ?', [query.case]))
    return parts
