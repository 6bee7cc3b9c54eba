"""Accounts: who may sign in, as what, for which hospitals."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from dashboards import audit
from dashboards.auth import second_factor
from dashboards.auth.people import Person, Right, Role, is_name
from dashboards.console import Console
from dashboards.i18n import LANGUAGES
from dashboards.pages.account import acceptable, belongings, revoke_sessions, revoke_token
from dashboards.pages.render import framed
from dashboards.pages.sign_in import Text
from dashboards.visitor import AtBrowser, TheConsole, Visitor, address_of
from wardwatch.errors import Conflict, Forbidden, NotFound
from wardwatch.passwords import hash_password
from wardwatch.topics import TENANT

router = APIRouter(prefix="/people")
_DISPLAY_CHARACTERS = 100
Several = Annotated[list[str] | None, Form()]


def keeper(seen: AtBrowser) -> Visitor:
    """Return who asks; raises Forbidden unless they keep accounts."""
    seen.person.demand(Right.PEOPLE, "people")
    return seen


Keeper = Annotated[Visitor, Depends(keeper)]


class Typed:
    """What a form about an account holds, and what is wrong with it: field → key of the words."""

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

    def errors(self, keeper: Person, *, new: bool, own: bool) -> dict[str, str]:
        """Return what is wrong."""
        found = {}
        if new and not is_name(self.name):
            found["name"] = "people.bad_name"
        if new and not acceptable(self.password):
            found["password"] = "account.bad_password"  # noqa: S105 the key of a text
        if len(self.display) > _DISPLAY_CHARACTERS:
            found["display"] = "people.bad_display"
        if not self.roles or not set(self.roles) <= set(Role):
            found["role"] = "people.no_role"
        if not self.every and not (self.tenants and all(map(TENANT.fullmatch, self.tenants))):
            found["tenant"] = "people.no_tenant"
        elif not keeper.oversees(self.within):
            found["tenant"] = "people.foreign_tenant"
        if own and (self.disabled or Role.ADMIN not in self.roles):
            found["role"] = "people.yourself"
        return found

    @property
    def within(self) -> frozenset[str] | None:
        """The hospitals, None all."""
        return None if self.every else frozenset(self.tenants)

    def over(self, person: Person) -> Person:
        """Return the account with what was typed; roles and hospitals of an OpenID account stay the provider's."""
        changed = replace(
            person,
            display=self.display or person.name,
            lang=self.lang if self.lang in LANGUAGES else "",
            disabled=self.disabled,
        )
        if person.subject:
            return changed
        return replace(changed, roles=frozenset(map(Role, self.roles)), tenants=self.within)


Filled = Annotated[Typed, Depends()]


@router.get("")
def show(request: Request, console: TheConsole, seen: Keeper) -> Response:
    """List the accounts within the visitor's hospitals, by name."""
    found = [one for one in console.people.every() if seen.person.oversees(one.tenants)]
    names = {one.tenant: one for one in console.hospitals.visible(seen.person.scope)}
    return framed(request, console, seen, "people.html", people=sorted(found, key=lambda one: one.name), names=names)


@router.get("/+new")
def blank(request: Request, console: TheConsole, seen: Keeper) -> Response:
    """Show the form of a new account."""
    return _form(request, console, seen, Typed(role=[Role.ANALYST.value]), None)


@router.post("")
def add(request: Request, console: TheConsole, seen: Keeper, typed: Filled) -> Response:
    """Add an account."""
    if errors := typed.errors(seen.person, new=True, own=False):
        return _form(request, console, seen, typed, None, errors=errors)
    person = typed.over(Person(typed.name, typed.name, hash_password(typed.password), frozenset(), frozenset()))
    _record(request, console, seen, "user_add", person)
    try:
        console.people.add(person)
    except Conflict:
        return _form(request, console, seen, typed, None, errors={"name": "people.taken"})
    return RedirectResponse(f"/people/{person.name}", 303)


@router.get("/{name}")
def one(request: Request, console: TheConsole, seen: Keeper, name: str) -> Response:
    """Show one account."""
    person, version = _read(console, seen, name)
    return _form(request, console, seen, _as_is(person, version), person)


@router.post("/{name}")
def change(request: Request, console: TheConsole, seen: Keeper, name: str, typed: Filled) -> Response:
    """Change an account as of the version that the form showed; raises Conflict."""
    person, _ = _read(console, seen, name)
    errors = {} if person.subject else typed.errors(seen.person, new=False, own=name == seen.person.name)
    if errors:
        return _form(request, console, seen, typed, person, errors=errors)
    if person.subject and typed.disabled and name == seen.person.name:
        return _form(request, console, seen, typed, person, errors={"role": "people.yourself"})
    changed = typed.over(person)
    _record(request, console, seen, "user_change", changed)
    console.people.replace(changed, typed.version or "-")
    if changed.disabled:
        console.sessions.close_all(name)
    return RedirectResponse(f"/people/{name}", 303)


@router.post("/{name}/password")
def reset_password(request: Request, console: TheConsole, seen: Keeper, name: str, password: Text = "") -> Response:
    """Set a new password and end the person's sessions."""
    person, version = _read(console, seen, name)
    if person.subject:
        raise Forbidden("the OpenID provider keeps this password", step="people", record=name)
    if not acceptable(password):
        return _form(request, console, seen, _as_is(person, version), person, errors={"reset": "account.bad_password"})
    _record(request, console, seen, "user_password", person)
    console.people.set_password(name, password)
    console.sessions.close_all(name, but=seen.session.id)
    return RedirectResponse(f"/people/{name}", 303)


@router.post("/{name}/second-factor")
def reset_second_factor(request: Request, console: TheConsole, seen: Keeper, name: str) -> Response:
    """Remove a lost second factor and end the person's sessions."""
    person, _ = _read(console, seen, name)
    _record(request, console, seen, "second_factor_removed", person)
    console.people.change(name, second_factor.without)
    console.sessions.close_all(name, but=seen.session.id)
    return RedirectResponse(f"/people/{name}", 303)


@router.post("/{name}/sessions")
def end_sessions(request: Request, console: TheConsole, seen: Keeper, name: str, session: Text = "") -> Response:
    """Revoke a session of the person, or all."""
    _read(console, seen, name)
    revoke_sessions(request, console, seen, name, session)
    return RedirectResponse(f"/people/{name}", 303)


@router.post("/{name}/tokens")
def end_token(console: TheConsole, seen: Keeper, name: str, token: Text) -> Response:
    """Revoke a token of the person."""
    _read(console, seen, name)
    revoke_token(console, seen, name, token)
    return RedirectResponse(f"/people/{name}", 303)


def _read(console: Console, seen: Visitor, name: str) -> tuple[Person, str]:
    person, version = console.people.read(name)
    if not seen.person.oversees(person.tenants):
        raise NotFound(f"no user {name[:70]!r}", step="people")
    return person, version


def _as_is(person: Person, version: str) -> Typed:
    every, tenants = person.tenants is None, sorted(person.tenants or ())
    roles = sorted(role.value for role in person.roles)
    return Typed(person.name, person.display, roles, every, tenants, person.lang, person.disabled, "", version)


def _record(request: Request, console: Console, seen: Visitor, action: str, person: Person) -> None:
    audit.record(
        console.store,
        seen.person.name,
        action,
        user=person.name,
        roles=sorted(person.roles),
        tenants=None if person.tenants is None else sorted(person.tenants),
        disabled=person.disabled,
        address=address_of(request),
    )


def _form(
    request: Request,
    console: Console,
    seen: Visitor,
    typed: Typed,
    person: Person | None,
    *,
    errors: dict[str, str] | None = None,
) -> Response:
    values: dict[str, Any] = belongings(console, seen, person) if person else {"sessions": [], "tokens": []}
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
        **values,
    )
