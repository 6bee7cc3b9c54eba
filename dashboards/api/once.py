"""A change is made once for each ``Idempotency-Key``: who asks again gets the first answer.

As in the IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header-07): a key that
was used for another request is refused (422), one whose first request is still at work too (409). Keys are each
person's own and are forgotten after a day. A refused change is not remembered: the key may be used again. An upload is
not claimed: the same file of a case is refused anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute

from dashboards.uploads import is_upload
from dashboards.visitor import SAFE, Signed, TheConsole
from wardwatch.errors import Conflict, NotFound
from wardwatch.event import parse_time, rfc3339
from wardwatch.store import Documents, Store

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
COLLECTION: Final = "answers"
BROKEN_OFF = timedelta(minutes=1)
"""A first request that has no answer after this time has broken off: its key is free again."""

Key = Annotated[str | None, Header(alias=HEADER, pattern=r"^[A-Za-z0-9_-]{8,64}$")]
_AT_WORK = 0


class Replayed(Exception):
    """The request was made before: its first answer."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def _claim(documents: Documents, name: str, digest: str) -> None:
    """Remember that a request is at work; raises Replayed, Conflict, RequestValidationError for another request."""
    claim = {"id": name, "at": rfc3339(datetime.now(UTC)), "digest": digest, "status": _AT_WORK, "body": ""}
    try:
        documents.create(name, claim)
    except Conflict:
        kept = documents.get(name)
        if kept.doc["digest"] != digest:
            problem = {"loc": ("header", HEADER), "msg": "was used for another request", "type": "key_used"}
            raise RequestValidationError([problem]) from None
        if kept.doc["status"] != _AT_WORK:
            raise Replayed(kept.doc["status"], kept.doc["body"]) from None
        if datetime.now(UTC) - parse_time(kept.doc["at"]) < BROKEN_OFF:
            raise Conflict("the first request of this key is still at work", step="api") from None
        documents.replace(name, claim, version=kept.version)


def _keep(documents: Documents, name: str, response: Response) -> None:
    """Keep an answer for who asks again."""
    with suppress(NotFound):  # it took so long that retention has it
        kept = documents.get(name)
        answer = {"status": response.status_code, "body": bytes(response.body).decode()}
        documents.replace(name, {**kept.doc, **answer}, version=kept.version)


async def claim(request: Request, console: TheConsole, seen: Signed, key: Key = None) -> None:
    """Remember a change that carries a key before it is made."""
    if key is None or request.method in SAFE or is_upload(request):
        return
    name = _digest(seen.person.name, key)
    body = _digest(request.method, request.url.path, request.url.query, (await request.body()).hex())
    await run_in_threadpool(_claim, console.store.documents(COLLECTION), name, body)
    request.state.claimed = name


class ApiRoute(APIRoute):
    """A route of the API: keeps the answer of a claimed request, and says how many requests a token has left."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler around the route's own."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            store: Store = request.app.state.console.store
            try:
                response = await handle(request)
            except Exception:
                if name := getattr(request.state, "claimed", None):
                    await run_in_threadpool(store.documents(COLLECTION).delete, name)
                raise
            if name := getattr(request.state, "claimed", None):
                await run_in_threadpool(_keep, store.documents(COLLECTION), name, response)
            if turn := getattr(request.state, "turn", None):
                response.headers.update(turn.headers)
            return response

        return answer


ONCE: Final = Depends(claim)


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
