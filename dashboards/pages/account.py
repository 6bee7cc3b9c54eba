"""One's own account: password, second factor, sessions, API tokens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from dashboards import audit
from dashboards.accounts import LABEL_CHARACTERS, LONGEST_DAYS, Belongings, Own, OwnAccount, Wrong, revoke_token
from dashboards.auth import second_factor
from dashboards.auth.people import Right
from dashboards.console import Console
from dashboards.pages.render import framed, render
from dashboards.pages.sign_in import Text, enter, safe_next
from dashboards.present import moment
from dashboards.visitor import AtBrowser, TheConsole, TooMany, Visitor, address_of, at_stage

router = APIRouter(prefix="/account")
Enrolling = Annotated[Visitor, Depends(at_stage("enrol"))]


@router.get("")
def show(request: Request, console: TheConsole, seen: AtBrowser, own: Own) -> Response:
    """Show one's account."""
    return _page(request, console, seen, own)


@router.post("/password")
def change_password(request: Request, console: TheConsole, seen: AtBrowser, own: Own, old: Text, new: Text) -> Response:
    """Set a new password and end one's other sessions."""
    try:
        own.change_password(old, new)
    except TooMany:
        return _page(request, console, seen, own, errors={"old": "account.too_many"}, status=429)
    except Wrong as wrong:
        return _page(request, console, seen, own, errors=wrong.fields, status=422)
    return RedirectResponse("/account", 303)


@router.get("/second-factor")
def enrol_form(request: Request, console: TheConsole, seen: Enrolling, next: str = "/account") -> Response:
    """Show a new secret as a QR code."""
    return _enrol(request, console, seen, second_factor.new_secret(), next)


@router.post("/second-factor")
def enrol(
    request: Request, console: TheConsole, seen: Enrolling, secret: Text, code: Text, next: Text = "/account"
) -> Response:
    """Set the second factor once a code of it was typed, and show the recovery codes."""
    try:
        codes = OwnAccount(console, seen, address_of(request)).enrol(secret, code)
    except Wrong:
        return _enrol(request, console, seen, secret, next, problem=True, status=422)
    answer = render(request, "recovery.html", codes=codes, next=safe_next(next))
    if not seen.session.stage:
        return answer
    name = seen.person.name
    audit.record(console.store, name, "sign_in", how="enrolled", address=address_of(request))
    return enter(request, console, answer, console.people.get(name))


@router.post("/second-factor/remove")
def remove(request: Request, console: TheConsole, seen: AtBrowser, own: Own, code: Text) -> Response:
    """Remove the second factor for one of its codes, unless the role needs it."""
    try:
        own.remove_second_factor(code)
    except TooMany:
        return _page(request, console, seen, own, errors={"code": "account.too_many"}, status=429)
    except Wrong as wrong:
        return _page(request, console, seen, own, errors=wrong.fields, status=422)
    return RedirectResponse("/account", 303)


@router.post("/sessions")
def end_sessions(own: Own, session: Text = "") -> Response:
    """Revoke one of one's sessions, or all others."""
    own.end_session(session)
    return RedirectResponse("/account", 303)


@router.post("/tokens")
def add_token(
    request: Request,
    console: TheConsole,
    seen: AtBrowser,
    own: Own,
    label: Text = "",
    days: Text = "",
    right: Annotated[list[str] | None, Form()] = None,
    tenant: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Make an API token and show it, once."""
    typed = {"label": label, "days": days, "rights": right or [], "tenants": tenant or []}
    errors = {}
    if not 0 < len(label.strip()) <= LABEL_CHARACTERS:
        errors["label"] = "token.bad_label"
    if not days.isdecimal() or not 0 < int(days[:6]) <= LONGEST_DAYS:
        errors["days"] = "token.bad_days"
    if errors:
        return _page(request, console, seen, own, errors=errors, typed=typed, status=422)
    text = own.add_token(label.strip(), right or [], tenant or [], int(days))[0]
    return _page(request, console, seen, own, shown=text)


@router.post("/tokens/revoke")
def end_token(console: TheConsole, seen: AtBrowser, token: Text) -> Response:
    """Revoke one of one's tokens."""
    revoke_token(console, seen.person, seen.person.name, token)
    return RedirectResponse("/account", 303)


def timed(console: Console, seen: Visitor, of: Belongings) -> dict[str, Any]:
    """Return what pages show of a person's sessions and tokens."""
    zone = console.hospitals.zone(seen.person.scope, "")
    tokens = [(one, moment(one.expires, zone), moment(one.used, zone) if one.used else None) for one in of.tokens]
    return {"sessions": [(one, moment(one.at, zone)) for one in of.sessions], "tokens": tokens}


def _page(
    request: Request,
    console: Console,
    seen: Visitor,
    own: OwnAccount,
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
        **timed(console, seen, own.belongings(person.name)),
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
    picture = Markup(second_factor.picture(secret, seen.person.name))  # noqa: S704 drawn from our own text
    values = {"secret": secret, "picture": picture, "next": safe_next(after), "problem": problem}
    return render(request, "second_factor.html", status=status, **values)
