"""One's own account: password, second factor, sessions, API tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from dashboards import audit
from dashboards.auth import second_factor
from dashboards.auth.people import Person, Right
from dashboards.auth.tokens import Token
from dashboards.console import Console
from dashboards.pages.render import framed, render
from dashboards.pages.sign_in import Text, enter, safe_next
from dashboards.present import moment
from dashboards.visitor import AtBrowser, TheConsole, Visitor, address_of, at_stage
from wardwatch.errors import Forbidden, RecordError
from wardwatch.passwords import LEAST_CHARACTERS, MOST_CHARACTERS, verify

router = APIRouter(prefix="/account")
Enrolling = Annotated[Visitor, Depends(at_stage("enrol"))]
LONGEST_DAYS = 366
_LABEL_CHARACTERS = 60


@router.get("")
def show(request: Request, console: TheConsole, seen: AtBrowser) -> Response:
    """Show one's account."""
    return _page(request, console, seen)


@router.post("/password")
def change_password(request: Request, console: TheConsole, seen: AtBrowser, old: Text, new: Text) -> Response:
    """Set a new password and end one's other sessions."""
    name = seen.person.name
    if console.throttle.wait_s(name, "password"):
        return _page(request, console, seen, errors={"old": "account.too_many"}, status=429)
    if seen.person.subject or not verify(seen.person.password_hash, old):
        console.throttle.failed(name, "password")
        return _page(request, console, seen, errors={"old": "account.wrong_password"}, status=422)
    if not acceptable(new):
        return _page(request, console, seen, errors={"new": "account.bad_password"}, status=422)
    console.throttle.passed(name, "password")
    audit.record(console.store, name, "user_password", user=name, address=address_of(request))
    console.people.set_password(name, new)
    console.sessions.close_all(name, but=seen.session.id)
    return RedirectResponse("/account", 303)


def acceptable(password: str) -> bool:
    """Tell whether a password has the length that is asked for."""
    return LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS


@router.get("/second-factor")
def enrol_form(request: Request, console: TheConsole, seen: Enrolling, next: str = "/account") -> Response:
    """Show a new secret as a QR code."""
    return _enrol(request, console, seen, second_factor.new_secret(), next)


@router.post("/second-factor")
def enrol(
    request: Request, console: TheConsole, seen: Enrolling, secret: Text, code: Text, next: Text = "/account"
) -> Response:
    """Set the second factor once a code of it was typed, and show the recovery codes."""
    name = seen.person.name
    if not second_factor.is_secret(secret):
        raise RecordError("no secret", step="second factor")
    if seen.person.totp:
        raise Forbidden("there is a second factor: remove it first", step="second factor")
    step = second_factor.step_of(secret, code.replace(" ", ""), 0)
    if step is None:
        return _enrol(request, console, seen, secret, next, problem=True, status=422)
    codes = second_factor.new_recovery_codes()
    kept = tuple(map(second_factor.hashed, codes))
    audit.record(console.store, name, "second_factor_set", user=name, address=address_of(request))
    person = console.people.change(name, lambda now: replace(now, totp=secret, totp_step=step, recovery=kept))
    answer = render(request, "recovery.html", codes=codes, next=safe_next(next))
    if not seen.session.stage:
        return answer
    audit.record(console.store, name, "sign_in", how="enrolled", address=address_of(request))
    return enter(request, console, answer, person)


@router.post("/second-factor/remove")
def remove(request: Request, console: TheConsole, seen: AtBrowser, code: Text) -> Response:
    """Remove the second factor for one of its codes, unless the role needs it."""
    name = seen.person.name
    if console.needs_second_factor(seen.person):
        raise Forbidden("your role signs in with a second factor", step="second factor")
    if console.throttle.wait_s(name, "code"):
        return _page(request, console, seen, errors={"code": "account.too_many"}, status=429)
    try:
        second_factor.use(console.people, name, code)
    except Forbidden:
        console.throttle.failed(name, "code")
        return _page(request, console, seen, errors={"code": "login.code_wrong"}, status=422)
    audit.record(console.store, name, "second_factor_removed", user=name, address=address_of(request))
    console.people.change(name, second_factor.without)
    return RedirectResponse("/account", 303)


@router.post("/sessions")
def end_sessions(request: Request, console: TheConsole, seen: AtBrowser, session: Text = "") -> Response:
    """Revoke one of one's sessions, or all others."""
    revoke_sessions(request, console, seen, seen.person.name, session)
    return RedirectResponse("/account", 303)


@router.post("/tokens")
def add_token(
    request: Request,
    console: TheConsole,
    seen: AtBrowser,
    label: Text = "",
    days: Text = "",
    right: Annotated[list[str] | None, Form()] = None,
    tenant: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Make an API token and show it, once."""
    typed = {"label": label, "days": days, "rights": right or [], "tenants": tenant or []}
    errors = {}
    if not 0 < len(label.strip()) <= _LABEL_CHARACTERS:
        errors["label"] = "token.bad_label"
    if not days.isdecimal() or not 0 < int(days[:6]) <= LONGEST_DAYS:
        errors["days"] = "token.bad_days"
    if errors:
        return _page(request, console, seen, errors=errors, typed=typed, status=422)
    text = new_token(console, seen, label.strip(), right or [], tenant or [], int(days))[0]
    return _page(request, console, seen, shown=text)


def new_token(
    console: Console, seen: Visitor, label: str, rights: list[str], tenants: list[str], days: int
) -> tuple[str, Token]:
    """Make a token of the visitor's own rights and hospitals; raises Forbidden for any other."""
    person = seen.person
    wanted = {right for right in Right if right in rights}
    if len(wanted) != len(set(rights)) or not all(map(person.may, wanted)):
        raise Forbidden("a token has no right that you have not", step="token")
    if not all(map(person.scope.allows, tenants)):
        raise Forbidden("a token sees no hospital that you do not see", step="token")
    within = frozenset(tenants) or None
    text, token = console.tokens.add(person.name, label, frozenset(wanted), within, days)
    audit.record(console.store, person.name, "token_add", label=label, rights=sorted(wanted), expires=token.expires)
    return text, token


@router.post("/tokens/revoke")
def end_token(console: TheConsole, seen: AtBrowser, token: Text) -> Response:
    """Revoke one of one's tokens."""
    revoke_token(console, seen, seen.person.name, token)
    return RedirectResponse("/account", 303)


def revoke_sessions(request: Request, console: Console, seen: Visitor, user: str, session: str) -> None:
    """Revoke one session of a person, or all but the visitor's own; raises NotFound."""
    audit.record(console.store, seen.person.name, "sessions_revoked", user=user, address=address_of(request))
    if session:
        console.sessions.revoke(user, session)
    else:
        console.sessions.close_all(user, but=seen.session.id)


def revoke_token(console: Console, seen: Visitor, user: str, token: str) -> Token:
    """Revoke a token of a person; raises NotFound."""
    revoked = console.tokens.revoke(user, token)
    audit.record(console.store, seen.person.name, "token_revoked", user=user, label=revoked.label)
    return revoked


def belongings(console: Console, seen: Visitor, person: Person) -> dict[str, Any]:
    """Return what pages show of a person's sessions and tokens."""
    zone = console.hospitals.zone(seen.person.scope, "")
    tokens = console.tokens.of(person.name)
    return {
        "sessions": [(one, moment(one.at, zone)) for one in console.sessions.of(person.name)],
        "tokens": [(one, moment(one.expires, zone), moment(one.used, zone) if one.used else None) for one in tokens],
    }


def _page(
    request: Request,
    console: Console,
    seen: Visitor,
    *,
    errors: dict[str, str] | None = None,
    typed: dict[str, Any] | None = None,
    shown: str = "",
    status: int = 200,
) -> Response:
    person = seen.person
    return framed(
        request,
        console,
        seen,
        "account.html",
        status=status,
        errors=errors or {},
        typed=typed or {"label": "", "days": "90", "rights": [], "tenants": []},
        rights=[right for right in Right if person.may(right)],
        needed=console.needs_second_factor(person),
        shown=shown,
        **belongings(console, seen, person),
    )


def _enrol(
    request: Request,
    console: Console,
    seen: Visitor,
    secret: str,
    after: str,
    *,
    problem: bool = False,
    status: int = 200,
) -> Response:
    if seen.person.totp:
        return RedirectResponse("/account", 303)
    picture = Markup(second_factor.picture(secret, seen.person.name, "wardwatch"))  # noqa: S704 drawn from our own text
    values = {"secret": secret, "picture": picture, "next": safe_next(after), "problem": problem}
    return render(request, "second_factor.html", status=status, **values)
