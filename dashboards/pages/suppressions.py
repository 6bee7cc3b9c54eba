"""Suppress like this: the dialog of an alert with its back-test, and the list of what is suppressed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from dashboards import suppressions, workflow
from dashboards.pages.alert import answer
from dashboards.pages.queue import Chosen, TheDesk, view
from dashboards.pages.render import render
from dashboards.present import moment
from dashboards.visitor import Signed, TheConsole

router = APIRouter()
Text = Annotated[str, Form(max_length=4000)]
Fields = Annotated[list[str], Query(max_length=20)]


@router.get("/alerts/{alert}/suppress")
def dialog(request: Request, console: TheConsole, seen: Signed, filters: Chosen, alert: str) -> Response:
    """Show the dialog: the rule and the alert's group are chosen, with what that would have hidden."""
    doc = workflow.read(console.store, seen.person, alert).doc
    offered = suppressions.conditions(doc)
    chosen = {each.field: each.value for each in offered if each.chosen}
    return render(
        request,
        "_suppress.html",
        alert=view(console, seen, doc),
        filters=filters,
        offered=offered,
        days=suppressions.DAYS,
        found=suppressions.backtest(console.store, seen.person.scope, doc, True, chosen),
    )


@router.get("/alerts/{alert}/suppress/count")
def count(
    request: Request,
    console: TheConsole,
    seen: Signed,
    alert: str,
    field: Annotated[list[str] | None, Query(max_length=20)] = None,
    rule: bool = False,
) -> Response:
    """Show what a choice would have hidden."""
    doc = workflow.read(console.store, seen.person, alert).doc
    where = suppressions.chosen(doc, field or [])
    found = suppressions.backtest(console.store, seen.person.scope, doc, rule, where)
    return render(request, "_backtest.html", found=found)


@router.post("/alerts/{alert}/suppress")
def suppress(
    request: Request,
    console: TheConsole,
    seen: Signed,
    desk: TheDesk,
    filters: Chosen,
    alert: str,
    state: Text,
    reason: Text = "",
    days: Annotated[int, Form()] = 7,
    rule: Annotated[bool, Form()] = False,
    field: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Suppress alerts like this one, and this one with them."""
    done = suppressions.suppress(
        console.store,
        console.tables,
        seen.person,
        alert,
        state,
        rule=rule,
        fields=field or [],
        days=days,
        reason=reason,
    )
    return answer(request, console, seen, desk, filters, done, "suppress")


@router.get("/suppressions")
def show(request: Request, console: TheConsole, seen: Signed, filters: Chosen) -> Response:
    """List what is suppressed, by whom, why and until when; those that end first at the top."""
    hospitals = console.hospitals.visible(seen.person.scope)
    now = datetime.now(UTC)
    shown_hospitals = [one for one in hospitals if filters.tenant in ("", one.tenant)]
    every = suppressions.every(console.tables, seen.person.scope, [one.tenant for one in shown_hospitals])
    rows = [
        {
            "row": each,
            "hospital": console.hospitals.get(each.tenant) if each.tenant else None,
            "expires": moment(each.expires.isoformat(), console.hospitals.zone(seen.person.scope, each.tenant)),
            "state": "over" if each.is_over(now) else "soon" if each.ends_soon(now) else "active",
        }
        for each in every
    ]
    return render(
        request,
        "suppressions.html",
        section="suppressions",
        rows=rows,
        filters=filters,
        hospitals=hospitals,
        hospital=console.hospitals.get(filters.tenant) if filters.tenant else None,
    )


@router.post("/suppressions/{tenant}/{identifier}/end")
def end(console: TheConsole, seen: Signed, tenant: str, identifier: str) -> Response:
    """End one now."""
    suppressions.end(console.store, console.tables, seen.person, tenant, identifier)
    return RedirectResponse("/suppressions", 303)
