"""Suppress like this: rows of the table ``suppressions``, made from an alert, with a back-test and an end.

The alerter makes what meets a row as ``suppressed`` (docs/reference/tables.md): it stays in the store and is listed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress as suppressed
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from dashboards import audit, workflow
from dashboards.auth.people import Person, Right
from dashboards.cases import work
from dashboards.workflow import Done
from wardwatch.alert import AlertDocument, parse_alert_id
from wardwatch.errors import DecodeError, NotFound, RecordError, Unavailable, WardwatchError
from wardwatch.event import Document, parse_time, rfc3339
from wardwatch.store import AlertQuery, Scope, Store
from wardwatch.store.reading import dig, texts

TABLE: Final = "suppressions"
DAYS: Final = (1, 7, 30, 90)
BACKTEST: Final = timedelta(days=7)
REASON_CHARACTERS: Final = 500
EXPIRES_SOON: Final = timedelta(days=3)
_LOOKED = 10_000
_PAGE = 1000
_READ_S = 5.0
_ENTITIES = ("user.id", "user.name", "host.name", "source.ip", "destination.ip", "process.executable", "file.path")


class Rows(Protocol):
    """The tables of the control plane, as far as the console reads and writes them."""

    def rows(self, table: str, tenant: str) -> Mapping[str, Document]:
        """Return by key the rows that hold for a tenant."""

    def put(self, table: str, tenant: str, key: str, value: Document) -> None:
        """Write one row; on return it is durable. Raises BusUnavailable."""

    def delete(self, table: str, tenant: str, key: str) -> None:
        """Delete one row. Raises BusUnavailable."""

    def catch_up(self, timeout_s: float = ...) -> None:
        """Return when all that was written before is read; raises BusUnavailable after the time."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One field and its value in the alert; ``chosen`` where it is part of what makes the alert one group."""

    field: str
    value: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Backtest:
    """How many alerts of the last days a suppression would have hidden, of so many of the hospital's."""

    hidden: int
    looked: int
    all_seen: bool


@dataclass(frozen=True, slots=True)
class Suppression:
    """One row in force, or over; tenant "" is every hospital."""

    tenant: str
    id: str
    rule: str
    where: Mapping[str, str]
    by: str
    reason: str
    expires: datetime

    def is_over(self, now: datetime) -> bool:
        """Tell whether it has ended."""
        return self.expires <= now

    def ends_soon(self, now: datetime) -> bool:
        """Tell whether it ends within EXPIRES_SOON."""
        return now < self.expires <= now + EXPIRES_SOON


def conditions(doc: AlertDocument) -> list[Condition]:
    """Return what a suppression of alerts like this one may ask for: its group first, then its entities."""
    group = doc["wardwatch"]["alert"].get("group_by") or {}
    found = {name: (str(value), True) for name, value in group.items() if str(value)}
    for name in _ENTITIES:
        values = list(texts(dig(doc, name)))
        if values and name not in found:
            found[name] = (values[0], False)
    return [Condition(name, value, chosen or not group) for name, (value, chosen) in found.items()]


def backtest(store: Store, scope: Scope, doc: AlertDocument, rule: bool, fields: Mapping[str, str]) -> Backtest:
    """Return what the suppression would have hidden in the last BACKTEST of the hospital's alerts."""
    tenant, _ = parse_alert_id(doc["event"]["id"])
    query = AlertQuery(
        tenants=frozenset([tenant]),
        rules=frozenset([str(doc["rule"]["id"])] if rule else []),
        created_from=datetime.now(UTC) - BACKTEST,
    )
    hidden, looked, after = 0, 0, None
    while looked < _LOOKED:
        page = store.alerts.search(scope, query, after=after, limit=_PAGE)
        looked += len(page.items)
        hidden += sum(_meets(item.doc, fields) for item in page.items)
        after = page.after
        if after is None:
            return Backtest(hidden, looked, all_seen=True)
    return Backtest(hidden, looked, all_seen=False)


def suppress(
    store: Store,
    tables: Rows,
    person: Person,
    alert: str,
    state: str,
    *,
    rule: bool,
    fields: list[str],
    days: int,
    reason: str,
) -> Done:
    """Write the row and make the alert itself suppressed; raises Forbidden, NotFound, Conflict, RecordError."""
    person.demand(Right.SUPPRESS, "suppress", alert)
    doc = workflow.read(store, person, alert).doc
    where = chosen(doc, fields)
    reason = reason.strip()
    if not reason or len(reason) > REASON_CHARACTERS:
        raise RecordError(f"say why, in at most {REASON_CHARACTERS} characters", step="suppress", record=alert)
    if days not in DAYS:
        raise RecordError(f"it ends in {', '.join(map(str, DAYS))} days", step="suppress", record=alert)
    if not (rule or where):
        raise RecordError("choose the rule or a value: it must not silence everything", step="suppress", record=alert)
    tenant, _ = parse_alert_id(alert)
    row: Document = {
        "by": person.name,
        "reason": reason,
        "expires": rfc3339(datetime.now(UTC) + timedelta(days=days)),
        "where": where,
        **({"rule": str(doc["rule"]["uuid"])} if rule else {}),
    }
    identifier = f"alert-{secrets.token_hex(8)}"
    tables.put(TABLE, tenant, identifier, row)
    try:
        return workflow.suppress(store, person, alert, state, identifier, reason)
    except WardwatchError:
        tables.delete(TABLE, tenant, identifier)
        raise


def undo(store: Store, tables: Rows, person: Person, alert: str, audit_id: str) -> Done:
    """Take back one's own last change of an alert, with the row that it made; raises as workflow.undo."""
    before = workflow.workflow_of(workflow.read(store, person, alert).doc)
    done = work.undo(store, person, alert, audit_id)
    identifier = before.get("suppression_id")
    if identifier and identifier != workflow.workflow_of(done.alert.doc).get("suppression_id"):
        tables.delete(TABLE, parse_alert_id(alert)[0], str(identifier))
    return done


def chosen(doc: AlertDocument, fields: list[str]) -> dict[str, str]:
    """Return the values of chosen fields; raises RecordError for one that the alert does not offer."""
    offered = {each.field: each.value for each in conditions(doc)}
    foreign = [name for name in fields if name not in offered]
    if foreign:
        raise RecordError(f"the alert has no {foreign[0][:80]!r}", step="suppress")
    return {name: offered[name] for name in fields}


def every(tables: Rows, scope: Scope, tenants: list[str]) -> list[Suppression]:
    """Return the suppressions of hospitals in scope, those that end first at the top."""
    found: dict[tuple[str, str], Suppression] = {}
    shared = tables.rows(TABLE, "")
    for tenant in filter(scope.allows, tenants):
        for key, row in tables.rows(TABLE, tenant).items():
            owner = "" if shared.get(key) is row else tenant
            found[owner, key] = _suppression(owner, key, row)
    return sorted(found.values(), key=lambda each: (each.expires, each.id))


def end(store: Store, tables: Rows, person: Person, tenant: str, identifier: str) -> None:
    """Delete a hospital's row; what it made suppressed stays so. Raises Forbidden, NotFound."""
    person.demand(Right.SUPPRESS, "unsuppress", identifier)
    person.scope.check(tenant, f"suppression {identifier[:80]!r}")
    row = tables.rows(TABLE, tenant).get(identifier)
    if row is None or tables.rows(TABLE, "").get(identifier) is row:
        raise NotFound(f"no suppression {identifier[:80]!r} of this hospital", step="unsuppress")
    audit.record(store, person.name, "unsuppress", tenant=tenant, suppression=identifier)
    tables.delete(TABLE, tenant, identifier)
    with suppressed(Unavailable):  # it is deleted, even if this console reads of it later
        tables.catch_up(_READ_S)


def _meets(doc: AlertDocument, fields: Mapping[str, str]) -> bool:
    return all(value.casefold() in _values(doc, name) for name, value in fields.items())


def _values(doc: AlertDocument, name: str) -> set[str]:
    group = doc["wardwatch"]["alert"].get("group_by") or {}
    return {text.casefold() for value in (group.get(name), dig(doc, name)) for text in texts(value)}


def _suppression(tenant: str, key: str, row: Document) -> Suppression:
    where = row.get("where")
    values: Iterator[tuple[str, Any]] = iter(where.items() if isinstance(where, dict) else ())
    return Suppression(
        tenant,
        key,
        str(row.get("rule") or ""),
        {name: str(value) for name, value in values},
        str(row.get("by") or ""),
        str(row.get("reason") or ""),
        _moment(row.get("expires")),
    )


def _moment(value: object) -> datetime:
    try:
        return parse_time(str(value))
    except DecodeError:
        return datetime.fromtimestamp(0, UTC)
