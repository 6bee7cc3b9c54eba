"""The one door: each request's signed-in person, with the token of its forms checked on every change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from dashboards import audit
from dashboards.auth.people import Person
from dashboards.auth.sessions import Session
from dashboards.console import Console
from dashboards.i18n import choose
from dashboards.uploads import is_upload, upload_form
from wardwatch.errors import Forbidden, NotFound

SESSION_COOKIE = "wardwatch_session"
LANG_COOKIE = "wardwatch_lang"
THEME_COOKIE = "wardwatch_theme"
CSRF_HEADER = "X-CSRF-Token"
_SAFE = ("GET", "HEAD", "OPTIONS")


class SignInNeeded(Exception):
    """Nobody is signed in: pages lead to sign-in, the API answers 401."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person and how they want to see pages."""

    person: Person
    session: Session
    lang: str
    theme: str


def console_of(request: Request) -> Console:
    """Return the parts of this process."""
    console: Console = request.app.state.console
    return console


def address_of(request: Request) -> str:
    """Return the address of the browser or of the proxy before us."""
    return request.client.host if request.client else ""


def lang_of(request: Request, person: Person | None = None) -> str:
    """Return the language: the one just asked for, the cookie's, the account's, else the browser's."""
    wanted = request.query_params.get("lang") or request.cookies.get(LANG_COOKIE) or (person.lang if person else "")
    return choose(wanted, request.headers.get("accept-language", ""))


def theme_of(request: Request) -> str:
    """Return the colours: light unless the cookie says dark."""
    return "dark" if request.cookies.get(THEME_COOKIE) == "dark" else "light"


async def sent_csrf(request: Request) -> AsyncIterator[str]:
    """Yield the token that a change carries, in the header or the form's field ``csrf``; close the form at the end."""
    try:
        yield await _token(request)
    finally:
        await request.close()


async def _token(request: Request) -> str:
    """Return the token; a form with a file is read only for somebody who is signed in."""
    if request.method in _SAFE or CSRF_HEADER in request.headers:
        return request.headers.get(CSRF_HEADER, "")
    if is_upload(request):
        await run_in_threadpool(signed_in, console_of(request), request.cookies.get(SESSION_COOKIE, ""))
        return str((await upload_form(request)).get("csrf", ""))
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ""
    return str((await request.form()).get("csrf", ""))


def signed_in(console: Console, token: str) -> tuple[Session, Person]:
    """Return the session of a cookie and whose it is; raises SignInNeeded, also for a disabled person."""
    session = console.sessions.get(token)
    if session is None:
        raise SignInNeeded
    try:
        person = console.people.get(session.user)
    except NotFound:
        raise SignInNeeded from None
    if person.disabled:
        raise SignInNeeded
    return session, person


def visitor(request: Request, csrf: Annotated[str, Depends(sent_csrf)]) -> Visitor:
    """Return who asks; raises SignInNeeded, and Forbidden for a change without the session's token."""
    session, person = signed_in(console_of(request), request.cookies.get(SESSION_COOKIE, ""))
    if request.method not in _SAFE and not session.check_csrf(csrf):
        raise Forbidden("the form has expired: reload the page", step="csrf")
    seen = Visitor(person, session, lang_of(request, person), theme_of(request))
    request.state.visitor = seen
    return seen


Signed = Annotated[Visitor, Depends(visitor)]
TheConsole = Annotated[Console, Depends(console_of)]


def refused(request: Request, what: str) -> None:
    """Write a refusal to the audit trail."""
    seen: Visitor | None = getattr(request.state, "visitor", None)
    actor = seen.person.name if seen else ""
    audit.record(
        console_of(request).store, actor, "denied", path=request.url.path[:200], why=what, address=address_of(request)
    )
