"""Bulk changes: one job on the server over a filter or a choice of alerts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header

from dashboards.api.once import ApiRoute
from dashboards.bulk import Job, Order
from dashboards.pages.queue import TheDesk
from dashboards.visitor import Signed, TheConsole

router = APIRouter(tags=["bulk"], route_class=ApiRoute)
Key = Annotated[str, Header(alias="Idempotency-Key", pattern=r"^[A-Za-z0-9_-]{8,64}$")]


@router.post("/bulk", status_code=202)
def begin(console: TheConsole, desk: TheDesk, body: Order) -> Job:
    """Begin a job; one that was begun with the same key is returned as it is now."""
    return console.jobs.start(desk, body)


@router.get("/jobs/{job}")
def one(console: TheConsole, seen: Signed, job: str) -> Job:
    """Return one of one's own jobs."""
    return console.jobs.get(seen.person, job)


@router.post("/jobs/{job}/cancel")
def cancel(console: TheConsole, seen: Signed, job: str) -> Job:
    """End a job after the chunk at hand."""
    return console.jobs.cancel(seen.person, job)


@router.post("/jobs/{job}/undo", status_code=202)
def undo(console: TheConsole, seen: Signed, job: str, key: Key) -> Job:
    """Begin the job that takes back another one."""
    return console.jobs.undo(seen.person, job, key)
