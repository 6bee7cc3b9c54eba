"""Second looks at closed alerts."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from dashboards import reviews
from dashboards.api.once import ONCE, ApiRoute
from dashboards.visitor import Signed, TheConsole
from dashboards.workflow import NOTE_CHARACTERS, state_of
from wardwatch.alert import Verdict

router = APIRouter(tags=["reviews"], route_class=ApiRoute, dependencies=[ONCE])


class WaitingView(BaseModel):
    """A closed alert that is up for a second look: ``by`` closed it as ``verdict``."""

    alert: str
    state: str
    verdict: Verdict
    by: str


class Finding(BaseModel):
    """What the second look finds: the alert's verdict, or another one with a note."""

    state: str = Field(max_length=64)
    verdict: Verdict
    note: str = Field("", max_length=NOTE_CHARACTERS)


@router.get("/reviews")
def waiting(console: TheConsole, seen: Signed, tenant: str = "") -> list[WaitingView]:
    """List alerts that others closed in the last week and that are up for a second look, newest first."""
    found = reviews.waiting(console.store, seen.person, tenant, datetime.now(UTC))
    return [
        WaitingView(
            alert=one.doc["event"]["id"],
            state=state_of(one.doc),
            verdict=one.doc["wardwatch"]["alert"]["verdict"],
            by=one.by,
        )
        for one in found
    ]


@router.post("/alerts/{alert}/review", status_code=204)
def review(console: TheConsole, seen: Signed, alert: str, body: Finding) -> Response:
    """Keep what the second look finds; the alert itself stays as it is."""
    reviews.review(console.store, seen.person, alert, body.state, body.verdict, body.note)
    return Response(status_code=204)
