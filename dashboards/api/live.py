"""Who I am, and the live stream."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
from fastapi import APIRouter
from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent

from dashboards.console import Console
from dashboards.visitor import Signed, TheConsole
from wardwatch.store import Scope

router = APIRouter()
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
async def stream(console: TheConsole, seen: Signed) -> EventSourceResponse:
    """Announce alerts of one's hospitals as server-sent events ``alert`` with id, tenant and kind."""
    return EventSourceResponse(_events(console, seen.person.scope), ping=_PING_S)


async def _events(console: Console, scope: Scope) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(event="ready", data="", retry=2000)
    async for announcement in console.feed.listen(scope):
        yield ServerSentEvent(event="alert", data=orjson.dumps(announcement).decode())
