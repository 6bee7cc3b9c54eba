"""Closed alerts that somebody else looks at again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from dashboards import reviews
from dashboards.pages.alert import Text
from dashboards.pages.queue import Chosen, view
from dashboards.pages.render import render
from dashboards.visitor import Signed, TheConsole
from wardwatch.alert import Verdict

router = APIRouter()


@router.get("/reviews")
def show(request: Request, console: TheConsole, seen: Signed, filters: Chosen) -> Response:
    """List the alerts that are up for a second look."""
    found = reviews.waiting(console.store, seen.person, filters.tenant, datetime.now(UTC))
    return render(
        request,
        "reviews.html",
        section="figures",
        home="/reviews",
        waiting=[(view(console, seen, one.doc), one.by) for one in found],
        verdicts=list(Verdict),
        filters=filters,
        hospitals=console.hospitals.visible(seen.person.scope),
        hospital=console.hospitals.get(filters.tenant) if filters.tenant else None,
    )


@router.post("/alerts/{alert}/review")
def review(
    console: TheConsole,
    seen: Signed,
    filters: Chosen,
    alert: str,
    state: Text,
    verdict: Annotated[Verdict, Form()],
    note: Text = "",
) -> Response:
    """Keep what the second look finds."""
    reviews.review(console.store, seen.person, alert, state, verdict, note)
    return RedirectResponse(f"/reviews{filters.url()}", 303)
