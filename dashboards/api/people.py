"""Accounts: those one keeps, and one's own. A browser's session is needed; a token is refused.

Answers are not kept for an Idempotency-Key: some hold secrets, and each change sent twice is made once anyway.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from dashboards.accounts import Accounts, Kept, Own, Wanted
from dashboards.api.once import ApiRoute
from dashboards.api.tokens import TokenInfo, info
from dashboards.auth import second_factor
from dashboards.auth.people import Person, Role
from dashboards.auth.sessions import Session
from dashboards.visitor import AtBrowser

router = APIRouter(tags=["accounts"], route_class=ApiRoute)
Short = Annotated[str, Field(max_length=100)]
Password = Annotated[str, Field(max_length=1000)]
Code = Annotated[str, Field(max_length=100)]


class AccountView(BaseModel):
    """An account; ``tenants`` null are all hospitals, ``external`` means that an OpenID provider keeps it."""

    name: str
    display: str
    roles: list[Role]
    tenants: list[str] | None
    lang: str
    disabled: bool
    external: bool
    second_factor: bool


class SessionInfo(BaseModel):
    """A browser that signed in: when, from where, and what it calls itself; ``own`` is the one that asks."""

    id: str
    at: str
    address: str
    agent: str
    own: bool


class WholeAccount(BaseModel):
    """An account, the ``version`` that a change names, and what belongs to it."""

    account: AccountView
    version: str
    sessions: list[SessionInfo]
    tokens: list[TokenInfo]


class Settings(BaseModel):
    """What an account is to be; ``tenants`` null are all hospitals, ``display`` "" is the name."""

    display: Short = ""
    roles: list[Role] = Field(min_length=1)
    tenants: list[Short] | None
    lang: Literal["", "zh", "en"] = ""

    def wanted(self, *, disabled: bool = False) -> Wanted:
        """Return what is asked for."""
        tenants = None if self.tenants is None else frozenset(self.tenants)
        return Wanted(self.display.strip(), self.roles, tenants, self.lang, disabled)


class NewAccount(Settings):
    """An account to add."""

    name: Annotated[str, Field(max_length=64)]
    password: Password


class ChangedAccount(Settings):
    """An account as it is to be; ``version`` is the one that was read."""

    version: Annotated[str, Field(max_length=100)]
    disabled: bool = False


class NewPassword(BaseModel):
    """A password to set: 10 to 200 characters."""

    password: Password


class OwnPassword(BaseModel):
    """One's present password, and the one to set."""

    old: Password
    new: Password


class Secret(BaseModel):
    """A secret for an authenticator app: Base32, and as the address that apps read."""

    secret: str
    uri: str


class Enrolment(BaseModel):
    """A secret, and a code that an app made of it."""

    secret: Code
    code: Code


class Recovery(BaseModel):
    """Codes that each sign in once when the phone is lost: shown this once."""

    recovery_codes: list[str]


class OneCode(BaseModel):
    """A code of the second factor, or a recovery code."""

    code: Code


@router.get("/people")
def accounts(kept: Kept) -> list[AccountView]:
    """List the accounts within one's hospitals, by name."""
    return [_view(person) for person in kept.every()]


@router.post("/people", status_code=201)
def add(kept: Kept, body: NewAccount) -> AccountView:
    """Add an account."""
    return _view(kept.add(body.name, body.password, body.wanted()))


@router.get("/people/{name}")
def account(kept: Kept, seen: AtBrowser, name: str) -> WholeAccount:
    """Return an account with its sessions and tokens."""
    person, version = kept.read(name)
    return _whole(kept, person, version, seen.session)


@router.put("/people/{name}")
def change(kept: Kept, name: str, body: ChangedAccount) -> AccountView:
    """Change an account, unless somebody did since it was read; a disabled one is signed out."""
    return _view(kept.change(name, body.version, body.wanted(disabled=body.disabled)))


@router.put("/people/{name}/password", status_code=204)
def reset_password(kept: Kept, name: str, body: NewPassword) -> Response:
    """Set a new password and end the person's sessions."""
    kept.reset_password(name, body.password)
    return Response(status_code=204)


@router.delete("/people/{name}/second-factor", status_code=204)
def reset_second_factor(kept: Kept, name: str) -> Response:
    """Remove a lost second factor and end the person's sessions."""
    kept.reset_second_factor(name)
    return Response(status_code=204)


@router.delete("/people/{name}/sessions", status_code=204)
def end_sessions(kept: Kept, name: str) -> Response:
    """Revoke every session of the person but one's own."""
    kept.end_session_of(name, "")
    return Response(status_code=204)


@router.delete("/people/{name}/sessions/{session}", status_code=204)
def end_session(kept: Kept, name: str, session: str) -> Response:
    """Revoke a session of the person."""
    kept.end_session_of(name, session)
    return Response(status_code=204)


@router.post("/people/{name}/tokens/{token}/revoke")
def revoke_token(kept: Kept, name: str, token: str) -> TokenInfo:
    """Refuse a token of the person from now on."""
    return info(kept.revoke_token_of(name, token))


@router.get("/account")
def own_account(own: Own, seen: AtBrowser) -> WholeAccount:
    """Return one's own account; its ``version`` is "", for others change it."""
    return _whole(own, seen.person, "", seen.session)


@router.put("/account/password", status_code=204)
def change_password(own: Own, body: OwnPassword) -> Response:
    """Set one's new password and end one's other sessions."""
    own.change_password(body.old, body.new)
    return Response(status_code=204)


@router.get("/account/second-factor")
def new_secret(seen: AtBrowser) -> Secret:
    """Return a new secret, which counts once it is sent back with a code of it."""
    secret = second_factor.new_secret()
    return Secret(secret=secret, uri=second_factor.uri(secret, seen.person.name))


@router.put("/account/second-factor")
def enrol(own: Own, body: Enrolment) -> Recovery:
    """Set one's second factor for a code of it."""
    return Recovery(recovery_codes=own.enrol(body.secret, body.code))


@router.post("/account/second-factor/remove", status_code=204)
def remove_second_factor(own: Own, body: OneCode) -> Response:
    """Remove one's second factor for a code of it, unless the role needs it."""
    own.remove_second_factor(body.code)
    return Response(status_code=204)


@router.delete("/account/sessions", status_code=204)
def end_own_sessions(own: Own) -> Response:
    """Revoke one's sessions but the one that asks."""
    own.end_session("")
    return Response(status_code=204)


@router.delete("/account/sessions/{session}", status_code=204)
def end_own_session(own: Own, session: str) -> Response:
    """Revoke one of one's sessions."""
    own.end_session(session)
    return Response(status_code=204)


def _view(person: Person) -> AccountView:
    return AccountView(
        name=person.name,
        display=person.display,
        roles=sorted(person.roles),
        tenants=None if person.tenants is None else sorted(person.tenants),
        lang=person.lang,
        disabled=person.disabled,
        external=bool(person.subject),
        second_factor=bool(person.totp),
    )


def _whole(of: Accounts, person: Person, version: str, asking: Session) -> WholeAccount:
    belongings = of.belongings(person.name)
    sessions = [
        SessionInfo(id=one.id, at=one.at, address=one.address, agent=one.agent, own=one.id == asking.id)
        for one in belongings.sessions
    ]
    return WholeAccount(
        account=_view(person), version=version, sessions=sessions, tokens=[info(one) for one in belongings.tokens]
    )
