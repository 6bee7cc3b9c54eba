"""Bulk changes from the queue: the job that a form begins, its progress, cancel and undo."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from dashboards.bulk import Job, Order
from dashboards.pages.queue import Chosen, TheDesk
from dashboards.pages.render import render
from dashboards.queue import QueueFilter
from dashboards.visitor import Signed, TheConsole

router = APIRouter()
Text = Annotated[str, Form(max_length=4000)]


@router.post("/bulk")
def begin(
    request: Request,
    console: TheConsole,
    desk: TheDesk,
    filters: Chosen,
    key: Text,
    action: Annotated[Literal["acknowledge", "assign", "close"], Form()],
    every: Annotated[bool, Form()] = False,
    alert: Annotated[list[str] | None, Form()] = None,
    verdict: Text = "",
    note: Text = "",
    assignee: Text = "",
) -> Response:
    """Begin a job over the chosen alerts, or over ``every`` one that the filter finds."""
    try:
        order = Order.model_validate(
            {
                "key": key,
                "action": action,
                "verdict": verdict or None,
                "note": note,
                "assignee": assignee,
                "alerts": [] if every else alert or [],
                "filter": _values(filters) if every else None,
            }
        )
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
    return _answer(request, console.jobs.start(desk, order))


@router.get("/jobs/{job}")
def show(request: Request, console: TheConsole, seen: Signed, filters: Chosen, job: str) -> Response:
    """Show how far one's job is."""
    found = console.jobs.get(seen.person, job)
    if request.headers.get("HX-Request") == "true":
        return render(request, "_job.html", job=found, key=secrets.token_urlsafe(16))
    return render(
        request,
        "job.html",
        job=found,
        key=secrets.token_urlsafe(16),
        filters=filters,
        hospitals=console.hospitals.visible(seen.person.scope),
        hospital=None,
    )


@router.post("/jobs/{job}/cancel")
def cancel(request: Request, console: TheConsole, seen: Signed, job: str) -> Response:
    """End a job after the chunk at hand."""
    return _answer(request, console.jobs.cancel(seen.person, job))


@router.post("/jobs/{job}/undo")
def undo(request: Request, console: TheConsole, seen: Signed, job: str, key: Text) -> Response:
    """Begin the job that takes back another one."""
    return _answer(request, console.jobs.undo(seen.person, job, key))


def _answer(request: Request, job: Job) -> Response:
    if request.headers.get("HX-Request") == "true":
        return render(request, "_job.html", job=job, key=secrets.token_urlsafe(16))
    return RedirectResponse(f"/jobs/{job.id}", 303)


def _values(filters: QueueFilter) -> dict[str, Any]:
    return {name: str(getattr(filters, name)) for name in QueueFilter.__slots__ if name != "after"}
