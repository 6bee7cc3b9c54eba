"""The rows by which a service is run: deadlines, channels, routes, escalations, shifts, contacts; what was delivered.

Rows of tenant "" hold for every hospital that has none of the same key: who sees all hospitals writes them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from dashboards import audit
from dashboards.auth.people import Person, Right
from dashboards.suppressions import Rows
from enrich.notify.deliveries import try_channel as try_over
from wardwatch.errors import Forbidden, NotFound, RecordError, SettingsError, Unavailable
from wardwatch.event import Document
from wardwatch.store import Find, Page, Store
from wardwatch.store.reading import visible
from wardwatch.table_rows import check, names_file, with_secrets, without_secrets

Table = Literal["service_levels", "channels", "routes", "escalations", "on_call", "contacts"]
TABLES: Final[tuple[Table, ...]] = get_args(Table)
States = Literal["", "waiting", "sent", "failed", "cancelled"]
KEY_CHARACTERS: Final = 100
_PAGE = 100
_READ_S = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """One row without its secrets; ``may_change`` tells whether the person who reads it may write it."""

    tenant: str
    key: str
    value: Document
    may_change: bool


def rows(tables: Rows, person: Person, table: Table, tenants: list[str]) -> list[Row]:
    """Return the shared rows and those of hospitals in scope, by hospital and key; raises Forbidden."""
    person.demand(Right.SERVICE, "service")
    return [
        Row(tenant, key, without_secrets(table, value), _may_write(person, tenant))
        for tenant in ("", *sorted(filter(person.scope.allows, tenants)))
        for key, value in sorted(_rows_of(tables, table, tenant).items())
    ]


def put(store: Store, tables: Rows, person: Person, table: Table, tenant: str, key: str, value: Document) -> None:
    """Write a row; what is hidden in it stays as it was. Raises Forbidden, NotFound, RecordError for a wrong one."""
    _demand(person, tenant, "service_put")
    key = key.strip()
    if not 0 < len(key) <= KEY_CHARACTERS or not key.isprintable():
        raise RecordError(f"a row's name has 1 to {KEY_CHARACTERS} characters", step="service")
    before = _rows_of(tables, table, tenant).get(key, {})
    if person.tenants is not None and names_file(table, value):
        raise RecordError("a secret's file is named by who sees every hospital", step="service", record=key)
    try:
        row = {**with_secrets(table, value, before), "by": person.name}
        check(table, row)
    except SettingsError as error:
        raise RecordError(error.reason, step="service", record=key) from None
    audit.record(store, person.name, "service_put", tenant=tenant or None, table=table, row=key)
    tables.put(table, tenant, key, row)
    _catch_up(tables)


def delete(store: Store, tables: Rows, person: Person, table: Table, tenant: str, key: str) -> None:
    """Delete a row; raises Forbidden, NotFound."""
    _demand(person, tenant, "service_delete")
    if key not in _rows_of(tables, table, tenant):
        raise NotFound(f"no row {key[:80]!r}", step="service")
    audit.record(store, person.name, "service_delete", tenant=tenant or None, table=table, row=key)
    tables.delete(table, tenant, key)
    _catch_up(tables)


def try_channel(store: Store, tables: Rows, person: Person, tenant: str, channel: str) -> None:
    """Ask the scheduler to send a test message over a channel; raises Forbidden, NotFound."""
    _demand(person, tenant, "service_try")
    if channel not in _rows_of(tables, "channels", tenant):
        raise NotFound(f"no row {channel[:80]!r}", step="service")
    audit.record(store, person.name, "service_try", tenant=tenant or None, table="channels", row=channel)
    try_over(store, tenant, channel, person.name, datetime.now(UTC))


def deliveries(store: Store, person: Person, tenant: str, state: States, after: str) -> Page:
    """Return a page of the log of notifications in scope, newest first; raises Forbidden."""
    person.demand(Right.SERVICE, "service")
    tenants = visible(person.scope, frozenset(filter(None, [tenant])))
    fields = {"state": state} if state else {}
    return store.documents("deliveries").find(Find(fields, tenants=tenants, after=after or None, limit=_PAGE))


def _rows_of(tables: Rows, table: Table, tenant: str) -> dict[str, Document]:
    """Return the rows of exactly this tenant."""
    shared = tables.rows(table, "") if tenant else {}
    return {key: value for key, value in tables.rows(table, tenant).items() if shared.get(key) is not value}


def _catch_up(tables: Rows) -> None:
    with suppress(Unavailable):  # it is written, even if this console reads of it later
        tables.catch_up(_READ_S)


def _may_write(person: Person, tenant: str) -> bool:
    return person.scope.allows(tenant) if tenant else person.tenants is None


def _demand(person: Person, tenant: str, action: str) -> None:
    person.demand(Right.SERVICE, action)
    if tenant:
        person.scope.check(tenant, f"hospital {tenant[:64]!r}")
    elif person.tenants is not None:
        raise Forbidden("a row for every hospital is written by who sees all of them", step=action)
