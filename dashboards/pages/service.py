"""The pages of the service: rows that run it, and the log of notifications."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, Final, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from dashboards import row_forms, service
from dashboards.auth.people import Right
from dashboards.console import Console
from dashboards.i18n import reason
from dashboards.pages.queue import Chosen, Word
from dashboards.pages.render import render
from dashboards.present import moment, shown
from dashboards.queue import QueueFilter
from dashboards.service import TABLES, States, Table
from dashboards.visitor import Signed, TheConsole, Visitor
from enrich.notify.channels import KINDS
from wardwatch import service_levels
from wardwatch.errors import RecordError
from wardwatch.event import Document

router = APIRouter(prefix="/service")
Text = Annotated[str, Form(max_length=200)]

_BEGIN: Final[dict[Table, Document]] = {"service_levels": service_levels.DEFAULT.model_dump(mode="json")}
"""What a new row begins with."""


@dataclass(frozen=True, slots=True)
class _Typed:
    """What is in the form: whose row, its name and its fields."""

    tenant: str
    key: str
    value: Document


async def sent(request: Request) -> dict[str, list[str]]:
    """Return the fields of the form, texts alone."""
    fields: dict[str, list[str]] = {}
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str):
            fields.setdefault(name, []).append(value)
    return fields


Sent = Annotated[dict[str, list[str]], Depends(sent)]


def provider(seen: Signed) -> Visitor:
    """Return who asks; raises Forbidden without the right."""
    seen.person.demand(Right.SERVICE, "service")
    return seen


Provider = Annotated[Visitor, Depends(provider)]


@router.get("/deliveries")
def deliveries(
    request: Request,
    console: TheConsole,
    seen: Provider,
    filters: Chosen,
    state: Annotated[States, Query()] = "",
) -> Response:
    """Show the log of notifications."""
    page = service.deliveries(console.store, seen.person, filters.tenant, state, filters.after)
    items = [
        {
            **{name: shown(value, 200) for name, value in item.doc.items()},
            "when": moment(item.doc.get("at"), console.hospitals.zone(seen.person.scope, "")),
            "hospital": console.hospitals.get(item.doc["tenant"]) if item.doc.get("tenant") else None,
        }
        for item in page.items
    ]
    values = {"deliveries": items, "page": page, "state": state, "states": get_args(States)}
    return _render(request, console, seen, filters, "deliveries", **values)


@router.get("/{table}")
def show(
    request: Request,
    console: TheConsole,
    seen: Provider,
    filters: Chosen,
    table: Table,
    key: Word = "",
    of: Word = "",
    kind: Word = "",
) -> Response:
    """Show the rows of a table, and the form of a new one or of the one that is to change."""
    rows = (row for row in _rows(console, seen, filters, table) if row.may_change)
    found = next((row for row in rows if (row.key, row.tenant) == (key, of)), None)
    if found:
        typed = _Typed(found.tenant, found.key, found.value)
    else:
        own = "" if seen.person.tenants is None else min(seen.person.tenants, default="")
        typed = _Typed(filters.tenant or own, "", {"kind": kind, **_BEGIN.get(table, {})})
    return _table(request, console, seen, filters, table, typed, change=bool(found))


@router.post("/channels/try")
def try_channel(console: TheConsole, seen: Provider, filters: Chosen, key: Text, of: Text = "") -> Response:
    """Have a test message sent over a channel, and show what becomes of it."""
    service.try_channel(console.store, console.tables, seen.person, of, key)
    return RedirectResponse(f"/service/deliveries{filters.url()}", 303)


@router.post("/{table}")
def put(
    request: Request,
    console: TheConsole,
    seen: Provider,
    filters: Chosen,
    form: Sent,
    table: Table,
    key: Text,
    of: Text = "",
    kind: Text = "",
) -> Response:
    """Write a row; a wrong one is shown again with what is wrong."""
    value = row_forms.read(row_forms.model_of(table, kind), form, _zone(console, seen, of))
    if table == "channels":
        value = {"kind": kind, **value}
    try:
        service.put(console.store, console.tables, seen.person, table, of, key, value)
    except RecordError as error:
        wrong = error.reason.removeprefix(f"{kind}.")
        return _table(request, console, seen, filters, table, _Typed(of, key, value), change=True, wrong=wrong)
    return RedirectResponse(f"/service/{table}{filters.url()}", 303)


@router.post("/{table}/delete")
def delete(console: TheConsole, seen: Provider, filters: Chosen, table: Table, key: Text, of: Text = "") -> Response:
    """Delete a row."""
    service.delete(console.store, console.tables, seen.person, table, of, key)
    return RedirectResponse(f"/service/{table}{filters.url()}", 303)


def _rows(console: Console, seen: Visitor, filters: QueueFilter, table: Table) -> list[service.Row]:
    visible = [one.tenant for one in console.hospitals.visible(seen.person.scope)]
    tenants = [filters.tenant] if filters.tenant in visible else visible
    return service.rows(console.tables, seen.person, table, tenants)


def _table(
    request: Request,
    console: Console,
    seen: Visitor,
    filters: QueueFilter,
    table: Table,
    typed: _Typed,
    *,
    change: bool,
    wrong: str = "",
) -> Response:
    kind = str(typed.value.get("kind", ""))
    zone = _zone(console, seen, typed.tenant)
    asked = row_forms.inputs(row_forms.model_of(table, kind), typed.value, zone)
    values = {
        "rows": [_shown(console, seen, table, row) for row in _rows(console, seen, filters, table)],
        "typed": typed,
        "kind": kind,
        "kinds": list(KINDS) if table == "channels" else (),
        "groups": [(name, list(each)) for name, each in groupby(asked, lambda one: one.group)],
        "zone": zone.key,
        "suggestions": _suggestions(console, typed.tenant, table),
        "change": change,
        "wrong": wrong,
        "said": reason(seen.lang, wrong),
        "status": 422 if wrong else 200,
    }
    return _render(request, console, seen, filters, table, **values)


def _shown(console: Console, seen: Visitor, table: Table, row: service.Row) -> dict[str, Any]:
    """Return a row for the list: what somebody decided in it, by field."""
    kind, zone = str(row.value.get("kind", "")), _zone(console, seen, row.tenant)
    asked = row_forms.inputs(row_forms.model_of(table, kind), row.value, zone, spare=0)
    return {
        "row": row,
        "kind": kind if table == "channels" else "",
        "hospital": console.hospitals.get(row.tenant) if row.tenant else None,
        "fields": [one for one in asked if one.given and one.widget != "secret"],
        "by": shown(row.value.get("by"), 64),
        "edit": urlencode({"key": row.key, "of": row.tenant}),
    }


def _suggestions(console: Console, tenant: str, table: Table) -> dict[str, list[str]]:
    """Return what may be typed into fields that name channels and people."""
    if table not in ("routes", "escalations", "on_call", "contacts"):
        return {}
    names = sorted(console.tables.rows("channels", tenant))
    able = (one for one in console.people.every() if not one.disabled)
    people = [one.name for one in able if not tenant or one.scope.allows(tenant)]
    told = [*(f"channel:{name}" for name in names), "on_call", "assignee", *(f"person:{name}" for name in people)]
    return {"to": told, "channel": names, "person": people}


def _zone(console: Console, seen: Visitor, tenant: str) -> ZoneInfo:
    return console.hospitals.zone(seen.person.scope, tenant)


def _render(
    request: Request, console: Console, seen: Visitor, filters: QueueFilter, shown_table: str, **values: Any
) -> Response:
    return render(
        request,
        "service.html",
        section="",
        home=f"/service/{shown_table}",
        table=shown_table,
        tables=[*TABLES, "deliveries"],
        filters=filters,
        hospitals=console.hospitals.visible(seen.person.scope),
        hospital=console.hospitals.get(filters.tenant) if filters.tenant else None,
        **values,
    )
