"""Sign-in and sign-out, language and colours."""

from __future__ import annotations

import hmac
import secrets
from functools import cache
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from dashboards import audit
from dashboards.auth import second_factor
from dashboards.auth.oidc import Provider
from dashboards.auth.people import Person
from dashboards.auth.sessions import Stage
from dashboards.console import Console
from dashboards.i18n import LANGUAGES
from dashboards.pages.render import render
from dashboards.visitor import (
    LANG_COOKIE,
    SESSION_COOKIE,
    THEME_COOKIE,
    Signed,
    TheConsole,
    Visitor,
    address_of,
    agent_of,
    at_stage,
)
from wardwatch.errors import Forbidden, NotFound
from wardwatch.passwords import HASHER, verify

router = APIRouter()
FORM_COOKIE = "wardwatch_form"
OIDC_COOKIE = "wardwatch_oidc"
_CODE = "code"  # codes are guessed at an account, from whatever address
_YEAR_S = 365 * 86_400
Text = Annotated[str, Form(max_length=1000)]
CodeNeeded = Annotated[Visitor, Depends(at_stage("code"))]


def safe_next(path: str) -> str:
    """Return the path to go to after sign-in, or ``/`` for anything that could leave this site."""
    parts = urlsplit(path)
    leaves = parts.scheme or parts.netloc or not path.startswith("/") or path.startswith("//")
    return "/" if leaves or "\\" in path or any(ord(sign) < 0x21 for sign in path) else path


@router.get("/login")
def form(request: Request, console: TheConsole, next: str = "/") -> Response:
    """Show the sign-in form."""
    return _form(request, console, next)


@router.post("/login")
def sign_in(
    request: Request, console: TheConsole, name: Text, password: Text, csrf: Text = "", next: Text = "/"
) -> Response:
    """Open a new session for the right password; a second factor is asked for before it is worth anything."""
    if not hmac.compare_digest(csrf.encode(), request.cookies.get(FORM_COOKIE, "").encode()) or not csrf:
        raise Forbidden("the form has expired: reload the page", step="csrf")
    address = address_of(request)
    if wait_s := console.throttle.wait_s(name, address):
        audit.record(console.store, "", "sign_in_throttled", user=name[:64], address=address)
        return _form(request, console, next, problem="login.throttled", status=429, wait_s=round(wait_s) + 1)
    person = _right(console, name, password)
    if person is None:
        console.throttle.failed(name, address)
        audit.record(console.store, "", "sign_in_failed", user=name[:64], address=address)
        return _form(request, console, next, problem="login.wrong", status=401)
    console.throttle.passed(name, address)
    if person.totp or console.needs_second_factor(person):
        stage: Stage = "code" if person.totp else "enrol"
        page = "/login/code" if person.totp else "/account/second-factor"
        answer = RedirectResponse(f"{page}?next={quote(safe_next(next), safe='')}", 303)
        return enter(request, console, answer, person, stage)
    return welcome(request, console, person, next, "password")


@router.get("/login/code")
def code_form(request: Request, seen: CodeNeeded, next: str = "/") -> Response:
    """Ask for the code of the second factor."""
    return render(request, "code.html", next=safe_next(next), problem="")


@router.post("/login/code")
def check_code(request: Request, console: TheConsole, seen: CodeNeeded, code: Text, next: Text = "/") -> Response:
    """Complete the sign-in for the right code, or a recovery code that was not used."""
    name, address = seen.person.name, address_of(request)
    if wait_s := console.throttle.wait_s(name, _CODE):
        audit.record(console.store, "", "sign_in_throttled", user=name, address=address)
        page = render(request, "code.html", status=429, next=safe_next(next), problem="throttled", s=round(wait_s) + 1)
        page.headers["Retry-After"] = str(round(wait_s) + 1)
        return page
    try:
        how = second_factor.use(console.people, name, code)
    except Forbidden:
        console.throttle.failed(name, _CODE)
        audit.record(console.store, "", "code_failed", user=name, address=address)
        return render(request, "code.html", status=401, next=safe_next(next), problem="wrong")
    console.throttle.passed(name, _CODE)
    return welcome(request, console, seen.person, next, how)


@router.get("/oidc")
def depart(console: TheConsole, next: str = "/") -> Response:
    """Lead to the OpenID provider."""
    going = _provider(console).depart(safe_next(next))
    answer = RedirectResponse(going.url, 303)
    _cookie(answer, console, OIDC_COOKIE, going.cookie, 600)
    return answer


@router.get("/oidc/callback")
def arrive(request: Request, console: TheConsole, state: str = "", code: str = "", error: str = "") -> Response:
    """Open a session for whom the OpenID provider vouches; its second factor is the provider's."""
    provider = _provider(console)
    if error or not code:
        raise Forbidden(f"the provider refused: {error[:100]}", step="oidc")
    person, after = provider.arrive(request.cookies.get(OIDC_COOKIE, ""), state, code)
    answer = welcome(request, console, person, after, "oidc")
    answer.delete_cookie(OIDC_COOKIE)
    return answer


def welcome(request: Request, console: Console, person: Person, after: str, how: str) -> Response:
    """Open a session that is complete and lead to the page; ``how`` goes into the audit trail."""
    audit.record(console.store, person.name, "sign_in", how=how, address=address_of(request))
    return enter(request, console, RedirectResponse(safe_next(after), 303), person)


def enter(request: Request, console: Console, answer: Response, person: Person, stage: Stage = "") -> Response:
    """Give the browser a new session; the older one is revoked."""
    console.sessions.close(request.cookies.get(SESSION_COOKIE, ""))
    token = console.sessions.open(person.name, stage=stage, address=address_of(request), agent=agent_of(request))
    _cookie(answer, console, SESSION_COOKIE, token, int(console.sessions.lifetime.total_seconds()))
    answer.delete_cookie(FORM_COOKIE)
    return answer


def _provider(console: Console) -> Provider:
    if console.provider is None:
        raise NotFound("no OpenID provider is set", step="oidc")
    return console.provider


@router.post("/logout")
def sign_out(request: Request, console: TheConsole, seen: Signed) -> Response:
    """Revoke the session."""
    console.sessions.close(request.cookies.get(SESSION_COOKIE, ""))
    audit.record(console.store, seen.person.name, "sign_out", address=address_of(request))
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(SESSION_COOKIE)
    return answer


@router.post("/preferences")
def preferences(console: TheConsole, seen: Signed, lang: Text = "", theme: Text = "", next: Text = "/") -> Response:
    """Keep language and colours in the browser."""
    answer = RedirectResponse(safe_next(next), 303)
    if lang in LANGUAGES:
        _cookie(answer, console, LANG_COOKIE, lang, _YEAR_S)
    if theme in ("light", "dark"):
        _cookie(answer, console, THEME_COOKIE, theme, _YEAR_S)
    return answer


def _form(
    request: Request, console: Console, after: str, *, problem: str = "", status: int = 200, wait_s: int = 0
) -> Response:
    token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
    answer = render(
        request,
        "sign_in.html",
        status=status,
        csrf=token,
        next=safe_next(after),
        problem=problem,
        wait_s=wait_s,
        provider=console.provider.label if console.provider else "",
    )
    if wait_s:
        answer.headers["Retry-After"] = str(wait_s)
    _cookie(answer, console, FORM_COOKIE, token, 3600)
    asked = request.query_params.get("lang", "")
    if asked in LANGUAGES:
        _cookie(answer, console, LANG_COOKIE, asked, _YEAR_S)
    return answer


def _right(console: Console, name: str, password: str) -> Person | None:
    try:
        person = console.people.get(name)
    except NotFound:
        verify(_nobody(), password)  # an unknown name takes as long as a wrong password
        return None
    fits = verify(person.password_hash or _nobody(), password)
    return person if fits and not person.disabled else None


@cache
def _nobody() -> str:
    return HASHER.hash(secrets.token_urlsafe(16))


def _cookie(answer: Response, console: Console, name: str, value: str, seconds: int) -> None:
    secure = console.settings.secure_cookies
    answer.set_cookie(name, value, max_age=seconds, httponly=True, secure=secure, samesite="lax")
