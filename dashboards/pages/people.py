"""Accounts: who may sign in, as what, for which hospitals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from dashboards.accounts import Belongings, Keeper, Kept, Wanted, Wrong
from dashboards.auth.people import Person, Role
from dashboards.console import Console
from dashboards.pages.account import timed
from dashboards.pages.render import framed
from dashboards.pages.sign_in import Text
from dashboards.visitor import AtBrowser, TheConsole, Visitor

router = APIRouter(prefix="/people")
Several = Annotated[list[str] | None, Form()]


class Typed:
    """What a form about an account holds."""

    def __init__(
        self,
        account: Text = "",
        display: Text = "",
        role: Several = None,
        every: Annotated[bool, Form()] = False,
        tenant: Several = None,
        lang: Text = "",
        disabled: Annotated[bool, Form()] = False,
        password: Text = "",
        version: Text = "",
    ) -> None:
        self.name = account.strip()
        self.display = display.strip()
        self.roles = role or []
        self.every = every
        self.tenants = tenant or []
        self.lang = lang
        self.disabled = disabled
        self.password = password
        self.version = version

    @property
    def wanted(self) -> Wanted:
        """What the account is to be."""
        tenants = None if self.every else frozenset(self.tenants)
        return Wanted(self.display, self.roles, tenants, self.lang, self.disabled)


Filled = Annotated[Typed, Depends()]


@router.get("")
def show(request: Request, console: TheConsole, seen: AtBrowser, kept: Kept) -> Response:
    """List the accounts within the visitor's hospitals, by name."""
    names = {one.tenant: one for one in console.hospitals.visible(seen.person.scope)}
    return framed(request, console, seen, "people.html", people=kept.every(), names=names)


@router.get("/+new")
def blank(request: Request, console: TheConsole, seen: AtBrowser, kept: Kept) -> Response:
    """Show the form of a new account."""
    return _form(request, console, seen, kept, Typed(role=[Role.ANALYST.value]), None)


@router.post("")
def add(request: Request, console: TheConsole, seen: AtBrowser, kept: Kept, typed: Filled) -> Response:
    """Add an account."""
    try:
        person = kept.add(typed.name, typed.password, typed.wanted)
    except Wrong as wrong:
        return _form(request, console, seen, kept, typed, None, errors=wrong.fields)
    return RedirectResponse(f"/people/{person.name}", 303)


@router.get("/{name}")
def one(request: Request, console: TheConsole, seen: AtBrowser, kept: Kept, name: str) -> Response:
    """Show one account."""
    person, version = kept.read(name)
    return _form(request, console, seen, kept, _as_is(person, version), person)


@router.post("/{name}")
def change(request: Request, console: TheConsole, seen: AtBrowser, kept: Kept, name: str, typed: Filled) -> Response:
    """Change an account as of the version that the form showed; raises Conflict."""
    try:
        kept.change(name, typed.version, typed.wanted)
    except Wrong as wrong:
        return _form(request, console, seen, kept, typed, kept.read(name)[0], errors=wrong.fields)
    return RedirectResponse(f"/people/{name}", 303)


@router.post("/{name}/password")
def reset_password(
    request: Request, console: TheConsole, seen: AtBrowser, kept: Kept, name: str, password: Text = ""
) -> Response:
    """Set a new password and end the person's sessions."""
    try:
        kept.reset_password(name, password)
    except Wrong as wrong:
        person, version = kept.read(name)
        return _form(request, console, seen, kept, _as_is(person, version), person, errors=wrong.fields)
    return RedirectResponse(f"/people/{name}", 303)


@router.post("/{name}/second-factor")
def reset_second_factor(kept: Kept, name: str) -> Response:
    """Remove a lost second factor and end the person's sessions."""
    kept.reset_second_factor(name)
    return RedirectResponse(f"/people/{name}", 303)


@router.post("/{name}/sessions")
def end_sessions(kept: Kept, name: str, session: Text = "") -> Response:
    """Revoke a session of the person, or all."""
    kept.end_session_of(name, session)
    return RedirectResponse(f"/people/{name}", 303)


@router.post("/{name}/tokens")
def end_token(kept: Kept, name: str, token: Text) -> Response:
    """Revoke a token of the person."""
    kept.revoke_token_of(name, token)
    return RedirectResponse(f"/people/{name}", 303)


def _as_is(person: Person, version: str) -> Typed:
    every, tenants = person.tenants is None, sorted(person.tenants or ())
    roles = sorted(role.value for role in person.roles)
    return Typed(person.name, person.display, roles, every, tenants, person.lang, person.disabled, "", version)


def _form(
    request: Request,
    console: Console,
    seen: Visitor,
    kept: Keeper,
    typed: Typed,
    person: Person | None,
    *,
    errors: dict[str, str] | None = None,
) -> Response:
    of = kept.belongings(person.name) if person else Belongings([], [])
    return framed(
        request,
        console,
        seen,
        "person.html",
        status=422 if errors else 200,
        typed=typed,
        errors=errors or {},
        person=person,
        roles=list(Role),
        **timed(console, seen, of),
    )
