"""Who I am, and the live stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent

from dashboards.api.once import ApiRoute
from dashboards.console import Console
from dashboards.visitor import Signed, SignInNeeded, TheConsole, admitted
from wardwatch.errors import Unavailable
from wardwatch.store import Scope

router = APIRouter(route_class=ApiRoute)
_PING_S = 15


class Me(BaseModel):
    """The signed-in person; ``tenants`` null means every hospital. ``csrf`` is the X-CSRF-Token of changes."""

    name: str
    display: str
    roles: list[str]
    tenants: list[str] | None
    lang: str
    csrf: str


@router.get("/me")
def me(seen: Signed) -> Me:
    """Return who is signed in."""
    person = seen.person
    tenants = None if person.tenants is None else sorted(person.tenants)
    return Me(
        name=person.name,
        display=person.display,
        roles=sorted(person.roles),
        tenants=tenants,
        lang=seen.lang,
        csrf=seen.session.csrf,
    )


@router.get("/stream", response_class=EventSourceResponse)
async def stream(request: Request, console: TheConsole, seen: Signed) -> EventSourceResponse:
    """Announce alerts of one's hospitals as server-sent events ``alert`` with id, tenant and kind.

    Ends with an event ``ended`` within seconds when the session has ended or the person may see other hospitals.
    """
    return EventSourceResponse(_events(console, request, seen.person.scope), ping=_PING_S)


async def _events(console: Console, request: Request, scope: Scope) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(event="ready", data="", retry=2000)
    async for announcement in console.feed.listen(scope, partial(_may_see, request, scope)):
        yield ServerSentEvent(event="alert", data=orjson.dumps(announcement).decode())
    if not console.feed.closed:
        yield ServerSentEvent(event="ended", data="")


def _may_see(request: Request, scope: Scope) -> bool:
    try:
        return admitted(request)[2].scope == scope
    except SignInNeeded:
        return False
    except Unavailable:
        return True  # the sign-out would stand in the same absent store
