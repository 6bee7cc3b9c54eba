"""The one door: each request's signed-in person, with the token of its forms checked on every change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from dashboards import audit
from dashboards.auth.people import Person
from dashboards.auth.sessions import Session, Stage
from dashboards.auth.tokens import PREFIX, Token
from dashboards.console import Console
from dashboards.i18n import choose
from dashboards.uploads import is_upload, upload_form
from wardwatch.errors import Forbidden, NotFound
from wardwatch.text import safe_text

SESSION_COOKIE = "wardwatch_session"
LANG_COOKIE = "wardwatch_lang"
THEME_COOKIE = "wardwatch_theme"
CSRF_HEADER = "X-CSRF-Token"
SAFE = ("GET", "HEAD", "OPTIONS")
_BEARER = "Bearer "


class SignInNeeded(Exception):
    """Nobody is signed in: pages lead to sign-in, the API answers 401."""


class TooMany(Exception):
    """A token asks or a password is tried too often: 429, ``wait_s`` seconds until the next answer."""

    def __init__(self, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person and how they want to see pages; ``token`` when a program asks."""

    person: Person
    session: Session
    lang: str
    theme: str
    token: Token | None = None


def console_of(request: Request) -> Console:
    """Return the parts of this process."""
    console: Console = request.app.state.console
    return console


def address_of(request: Request) -> str:
    """Return the address of the browser or of the proxy before us."""
    return request.client.host if request.client else ""


def agent_of(request: Request) -> str:
    """Return what the browser calls itself, made safe to show."""
    return safe_text(request.headers.get("user-agent", ""), limit=200)


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
    if request.method in SAFE or CSRF_HEADER in request.headers:
        return request.headers.get(CSRF_HEADER, "")
    if is_upload(request):
        await run_in_threadpool(admitted, request)
        return str((await upload_form(request)).get("csrf", ""))
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ""
    return str((await request.form()).get("csrf", ""))


def signed_in(request: Request, *stages: Stage) -> tuple[Session, Person]:
    """Return the session of the cookie and whose it is, at one of the ``stages`` or complete.

    Raises SignInNeeded, also for a disabled person.
    """
    console = console_of(request)
    session = console.sessions.get(request.cookies.get(SESSION_COOKIE, ""))
    if session is None or session.stage not in ("", *stages):
        raise SignInNeeded
    return session, _account(console, session.user)


def admitted(request: Request) -> tuple[Token | None, Session, Person]:
    """Return who asks, by the token of a request to the API, else by the cookie; raises SignInNeeded."""
    text = request.headers.get("authorization", "").removeprefix(_BEARER)
    if not text.startswith(PREFIX) or not request.url.path.startswith("/api/"):
        return None, *signed_in(request)
    console = console_of(request)
    token = console.tokens.find(text)
    if token is None:
        raise SignInNeeded
    if not token.valid:
        audit.record(console.store, token.user, "token_refused", label=token.label, address=address_of(request))
        raise SignInNeeded
    person = _account(console, token.user).within(token.tenants, token.rights)
    return token, Session(token.id, token.user, ""), person


def _account(console: Console, name: str) -> Person:
    try:
        person = console.people.get(name)
    except NotFound:
        raise SignInNeeded from None
    if person.disabled:
        raise SignInNeeded
    return person


def visitor(request: Request, csrf: Annotated[str, Depends(sent_csrf)]) -> Iterator[Visitor]:
    """Yield who asks; raises SignInNeeded, TooMany, and Forbidden for a change without the session's token.

    After a change, before its answer leaves, the console's shared counts are outdated, and open pages are told.
    """
    seen = _visitor(request, csrf)
    try:
        yield seen
        if request.method not in SAFE and (alert := request.path_params.get("alert")):
            console_of(request).changed(alert)
    finally:
        if request.method not in SAFE:
            console_of(request).outdate()


def _visitor(request: Request, csrf: str) -> Visitor:
    token, session, person = admitted(request)
    seen = Visitor(person, session, lang_of(request, person), theme_of(request), token)
    request.state.visitor = seen
    if token is None:
        _check_form(request, session, csrf)
        return seen
    console = console_of(request)
    request.state.turn = turn = console.rate.take(token.id)
    if turn.wait_s:
        raise TooMany(turn.wait_s)
    if request.method not in SAFE and not token.rights:
        raise Forbidden("this token reads", step="token")
    console.tokens.used(token)
    return seen


def _check_form(request: Request, session: Session, csrf: str) -> None:
    if request.method not in SAFE and not session.check_csrf(csrf):
        raise Forbidden("the form has expired: reload the page", step="csrf")


Signed = Annotated[Visitor, Depends(visitor, scope="function")]


def at_stage(stage: Stage) -> Callable[[Request, str], Visitor]:
    """Return the door of a sign-in that is not complete: it also lets a session of this stage in."""

    def unfinished(request: Request, csrf: Annotated[str, Depends(sent_csrf)]) -> Visitor:
        session, person = signed_in(request, stage)
        seen = Visitor(person, session, lang_of(request, person), theme_of(request))
        request.state.visitor = seen
        _check_form(request, session, csrf)
        return seen

    return unfinished


def at_browser(seen: Signed) -> Visitor:
    """Return who asks; raises Forbidden for a token: accounts and tokens are kept by people."""
    if seen.token is not None:
        raise Forbidden("a token may not do this", step="token")
    return seen


AtBrowser = Annotated[Visitor, Depends(at_browser)]
TheConsole = Annotated[Console, Depends(console_of)]


def refused(request: Request, what: str) -> None:
    """Write a refusal to the audit trail."""
    seen: Visitor | None = getattr(request.state, "visitor", None)
    actor = seen.person.name if seen else ""
    audit.record(
        console_of(request).store, actor, "denied", path=request.url.path[:200], why=what, address=address_of(request)
    )
