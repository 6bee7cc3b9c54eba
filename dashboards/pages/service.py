"""The pages of the service: rows that run it, and the log of notifications."""

from __future__ import annotations

from typing import Annotated, Any, get_args
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from dashboards import service
from dashboards.auth.people import Right
from dashboards.console import Console
from dashboards.i18n import reason
from dashboards.pages.queue import Chosen, Word
from dashboards.pages.render import render
from dashboards.present import moment, shown
from dashboards.queue import QueueFilter
from dashboards.service import EXAMPLES, TABLES, States, Table
from dashboards.visitor import Signed, TheConsole, Visitor
from wardwatch.errors import RecordError
from wardwatch.event import Document, decode

router = APIRouter(prefix="/service")
Text = Annotated[str, Form(max_length=20_000)]


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
            "hospital": console.hospitals.get(str(item.doc.get("tenant", ""))),
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
) -> Response:
    """Show the rows of a table, and the form of a new one or of the one that is to change."""
    found = [row for row in _rows(console, seen, filters, table) if (row.key, row.tenant) == (key, of)]
    typed = (of, key, _json(found[0].value)) if found else (filters.tenant, "", _json(EXAMPLES[table]))
    return _table(request, console, seen, filters, table, typed, change=bool(found))


@router.post("/{table}")
def put(
    request: Request,
    console: TheConsole,
    seen: Provider,
    filters: Chosen,
    table: Table,
    key: Text,
    row: Text,
    of: Text = "",
) -> Response:
    """Write a row; a wrong one is shown again with what is wrong."""
    try:
        value = decode(row.encode("utf-8", "surrogateescape"))
        service.put(console.store, console.tables, seen.person, table, of, key, value)
    except RecordError as error:
        wrong = reason(seen.lang, error.reason)
        return _table(request, console, seen, filters, table, (of, key, row), change=True, wrong=wrong)
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
    typed: tuple[str, str, str],
    *,
    change: bool,
    wrong: str = "",
) -> Response:
    rows = [
        {
            "row": row,
            "hospital": console.hospitals.get(row.tenant) if row.tenant else None,
            "text": _json({name: value for name, value in row.value.items() if name != "by"}),
            "by": shown(row.value.get("by"), 64),
            "edit": urlencode({"key": row.key, "of": row.tenant}),
        }
        for row in _rows(console, seen, filters, table)
    ]
    values = {"rows": rows, "typed": typed, "change": change, "wrong": wrong, "status": 422 if wrong else 200}
    return _render(request, console, seen, filters, table, **values)


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


def _json(value: Document) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
