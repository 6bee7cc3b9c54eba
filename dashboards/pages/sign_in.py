"""Sign-in and sign-out, language and colours."""

from __future__ import annotations

import hmac
import secrets
from functools import cache
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from dashboards import audit
from dashboards.auth.people import Person
from dashboards.console import Console
from dashboards.i18n import LANGUAGES
from dashboards.pages.render import render
from dashboards.visitor import (
    LANG_COOKIE,
    SESSION_COOKIE,
    THEME_COOKIE,
    Signed,
    TheConsole,
    address_of,
)
from wardwatch.errors import Forbidden, NotFound
from wardwatch.passwords import HASHER, verify

router = APIRouter()
FORM_COOKIE = "wardwatch_form"
_YEAR_S = 365 * 86_400
Text = Annotated[str, Form(max_length=1000)]


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
    """Open a new session for the right password; an older one of this browser is revoked."""
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
    console.sessions.close(request.cookies.get(SESSION_COOKIE, ""))
    audit.record(console.store, person.name, "sign_in", address=address)
    answer = RedirectResponse(safe_next(next), 303)
    seconds = int(console.sessions.lifetime.total_seconds())
    _cookie(answer, console, SESSION_COOKIE, console.sessions.open(person.name), seconds)
    answer.delete_cookie(FORM_COOKIE)
    return answer


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
    fits = verify(person.password_hash, password)
    return person if fits and not person.disabled else None


@cache
def _nobody() -> str:
    return HASHER.hash(secrets.token_urlsafe(16))


def _cookie(answer: Response, console: Console, name: str, value: str, seconds: int) -> None:
    secure = console.settings.secure_cookies
    answer.set_cookie(name, value, max_age=seconds, httponly=True, secure=secure, samesite="lax")
