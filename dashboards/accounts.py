"""Accounts, and what belongs to one: password, second factor, sessions, tokens. Pages and API change them by these.

People alone do so, from a browser's session: what a program holds may not become more than it was given. Each change
is in the audit trail before it is made.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Request

from dashboards import audit
from dashboards.auth import second_factor
from dashboards.auth.people import Person, Right, Role, is_name
from dashboards.auth.sessions import Session
from dashboards.auth.tokens import Token
from dashboards.console import Console
from dashboards.i18n import LANGUAGES
from dashboards.visitor import AtBrowser, TheConsole, TooMany, Visitor, address_of
from wardwatch.errors import Conflict, Forbidden, NotFound, RecordError
from wardwatch.passwords import LEAST_CHARACTERS, MOST_CHARACTERS, hash_password, verify
from wardwatch.store import Version
from wardwatch.topics import TENANT

LONGEST_DAYS = 366
LABEL_CHARACTERS = 60
_DISPLAY_CHARACTERS = 100


class Wrong(Exception):
    """What was sent is wrong: ``fields`` has for each wrong field the key of the words that say how."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields)
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an account is to be; ``tenants`` None are all hospitals."""

    display: str
    roles: Collection[str]
    tenants: frozenset[str] | None
    lang: str = ""
    disabled: bool = False

    def wrong(self, keeper: Person, *, own: bool) -> dict[str, str]:
        """Return what is wrong with it, as ``Wrong`` has it; ``own`` when it is the keeper's."""
        found = {}
        if len(self.display) > _DISPLAY_CHARACTERS:
            found["display"] = "people.bad_display"
        if not self.roles or not set(self.roles) <= set(Role):
            found["role"] = "people.no_role"
        if self.tenants is not None and not (self.tenants and all(map(TENANT.fullmatch, self.tenants))):
            found["tenant"] = "people.no_tenant"
        elif not keeper.oversees(self.tenants):
            found["tenant"] = "people.foreign_tenant"
        if own and (self.disabled or Role.ADMIN not in self.roles):
            found["role"] = "people.yourself"
        return found

    def over(self, person: Person) -> Person:
        """Return the account as wanted; roles and hospitals of an OpenID account stay the provider's."""
        changed = replace(
            person,
            display=self.display or person.name,
            lang=self.lang if self.lang in LANGUAGES else "",
            disabled=self.disabled,
        )
        if person.subject:
            return changed
        return replace(changed, roles=frozenset(map(Role, self.roles)), tenants=self.tenants)


@dataclass(frozen=True, slots=True)
class Belongings:
    """A person's sessions and tokens, newest first."""

    sessions: list[Session]
    tokens: list[Token]


class Accounts:
    """What a visitor may do with accounts, from an address."""

    def __init__(self, console: Console, seen: Visitor, address: str) -> None:
        self._console = console
        self._seen = seen
        self._address = address

    def belongings(self, name: str) -> Belongings:
        """Return what belongs to an account."""
        return Belongings(self._console.sessions.of(name), self._console.tokens.of(name))

    def _set_password(self, name: str, password: str) -> None:
        self._record("user_password", name)
        self._console.people.set_password(name, password)
        self._console.sessions.close_all(name, but=self._seen.session.id)

    def _without_second_factor(self, name: str) -> None:
        self._record("second_factor_removed", name)
        self._console.people.change(name, second_factor.without)

    def _end_sessions(self, name: str, session: str) -> None:
        self._record("sessions_revoked", name)
        if session:
            self._console.sessions.revoke(name, session)
        else:
            self._console.sessions.close_all(name, but=self._seen.session.id)

    def _record(self, action: str, name: str, **details: object) -> None:
        by, address = self._seen.person.name, self._address
        audit.record(self._console.store, by, action, user=name, **details, address=address)


class OwnAccount(Accounts):
    """One's own account."""

    def change_password(self, old: str, new: str) -> None:
        """Set one's new password and end one's other sessions; raises Wrong, TooMany."""
        console, person = self._console, self._seen.person
        self._admit("password")
        if person.subject or not verify(person.password_hash, old):
            console.throttle.failed(person.name, "password")
            raise Wrong({"old": "account.wrong_password"})
        _check_password(new, "new")
        console.throttle.passed(person.name, "password")
        self._set_password(person.name, new)

    def enrol(self, secret: str, code: str) -> list[str]:
        """Set one's second factor for a code of it and return the recovery codes, which nobody can read again.

        Raises RecordError, Forbidden where there is one, Wrong for another code.
        """
        name = self._seen.person.name
        if not second_factor.is_secret(secret):
            raise RecordError("no secret", step="second factor")
        if self._seen.person.totp:
            raise Forbidden("there is a second factor: remove it first", step="second factor")
        step = second_factor.step_of(secret, code.replace(" ", ""), 0)
        if step is None:
            raise Wrong({"code": "login.code_wrong"})
        codes = second_factor.new_recovery_codes()
        kept = tuple(map(second_factor.hashed, codes))
        self._record("second_factor_set", name)
        self._console.people.change(name, lambda now: replace(now, totp=secret, totp_step=step, recovery=kept))
        return codes

    def remove_second_factor(self, code: str) -> None:
        """Remove one's second factor for one of its codes; raises Forbidden where the role needs it, Wrong, TooMany."""
        console, name = self._console, self._seen.person.name
        if console.needs_second_factor(self._seen.person):
            raise Forbidden("your role signs in with a second factor", step="second factor")
        self._admit("code")
        try:
            second_factor.use(console.people, name, code)
        except Forbidden:
            console.throttle.failed(name, "code")
            raise Wrong({"code": "login.code_wrong"}) from None
        self._without_second_factor(name)

    def end_session(self, session: str) -> None:
        """Revoke one of one's sessions, with "" all others; raises NotFound."""
        self._end_sessions(self._seen.person.name, session)

    def add_token(self, label: str, rights: Collection[str], tenants: Collection[str], days: int) -> tuple[str, Token]:
        """Make a token of one's own rights and hospitals, and return it with its text; raises Forbidden for others."""
        person = self._seen.person
        wanted = {right for right in Right if right in rights}
        if len(wanted) != len(set(rights)) or not all(map(person.may, wanted)):
            raise Forbidden("a token has no right that you have not", step="token")
        if not all(map(person.scope.allows, tenants)):
            raise Forbidden("a token sees no hospital that you do not see", step="token")
        text, token = self._console.tokens.add(person.name, label, frozenset(wanted), frozenset(tenants) or None, days)
        details = {"label": label, "rights": sorted(wanted), "expires": token.expires}
        audit.record(self._console.store, person.name, "token_add", **details)
        return text, token

    def _admit(self, what: str) -> None:
        wait_s = self._console.throttle.wait_s(self._seen.person.name, what)
        if wait_s:
            raise TooMany(wait_s)


class Keeper(Accounts):
    """The accounts within the hospitals of who keeps them; whatever is not is NotFound."""

    def every(self) -> list[Person]:
        """Return the accounts by name."""
        seen = (one for one in self._console.people.every() if self._seen.person.oversees(one.tenants))
        return sorted(seen, key=lambda one: one.name)

    def read(self, name: str) -> tuple[Person, Version]:
        """Return an account and its version; raises NotFound."""
        person, version = self._console.people.read(name)
        if not self._seen.person.oversees(person.tenants):
            raise NotFound(f"no user {name[:70]!r}", step="people")
        return person, version

    def add(self, name: str, password: str, wanted: Wanted) -> Person:
        """Add an account; raises Wrong."""
        wrong = wanted.wrong(self._seen.person, own=False)
        if not is_name(name):
            wrong["name"] = "people.bad_name"
        if not _acceptable(password):
            wrong["password"] = "account.bad_password"  # noqa: S105 the key of a text
        if wrong:
            raise Wrong(wrong)
        person = wanted.over(Person(name, name, hash_password(password), frozenset(), frozenset()))
        self._record_person("user_add", person)
        try:
            self._console.people.add(person)
        except Conflict:
            raise Wrong({"name": "people.taken"}) from None
        return person

    def change(self, name: str, version: Version, wanted: Wanted) -> Person:
        """Make an account as wanted, as of a version, and sign it out if disabled; raises NotFound, Wrong, Conflict."""
        person, _ = self.read(name)
        own = name == self._seen.person.name
        if not person.subject and (wrong := wanted.wrong(self._seen.person, own=own)):
            raise Wrong(wrong)
        if person.subject and wanted.disabled and own:
            raise Wrong({"role": "people.yourself"})
        changed = wanted.over(person)
        self._record_person("user_change", changed)
        self._console.people.replace(changed, version or "-")
        if changed.disabled:
            self._console.sessions.close_all(name)
        return changed

    def reset_password(self, name: str, password: str) -> None:
        """Set a new password and end the person's sessions; raises NotFound, Forbidden, Wrong."""
        person, _ = self.read(name)
        if person.subject:
            raise Forbidden("the OpenID provider keeps this password", step="people", record=name)
        _check_password(password, "reset")
        self._set_password(name, password)

    def reset_second_factor(self, name: str) -> None:
        """Remove a lost second factor and end the person's sessions; raises NotFound."""
        self.read(name)
        self._without_second_factor(name)
        self._console.sessions.close_all(name, but=self._seen.session.id)

    def end_session_of(self, name: str, session: str) -> None:
        """Revoke a session of the person, with "" all but one's own; raises NotFound."""
        self.read(name)
        self._end_sessions(name, session)

    def revoke_token_of(self, name: str, token: str) -> Token:
        """Revoke a token of the person; raises NotFound."""
        self.read(name)
        return revoke_token(self._console, self._seen.person, name, token)

    def _record_person(self, action: str, person: Person) -> None:
        tenants = None if person.tenants is None else sorted(person.tenants)
        self._record(action, person.name, roles=sorted(person.roles), tenants=tenants, disabled=person.disabled)


def revoke_token(console: Console, by: Person, user: str, token: str) -> Token:
    """Revoke a token of a person; raises NotFound."""
    revoked = console.tokens.revoke(user, token)
    audit.record(console.store, by.name, "token_revoked", user=user, label=revoked.label)
    return revoked


def _acceptable(password: str) -> bool:
    return LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS


def _check_password(password: str, field: str) -> None:
    if not _acceptable(password):
        raise Wrong({field: "account.bad_password"})


def own(request: Request, console: TheConsole, seen: AtBrowser) -> OwnAccount:
    """Return one's own account."""
    return OwnAccount(console, seen, address_of(request))


def keeper(request: Request, console: TheConsole, seen: AtBrowser) -> Keeper:
    """Return the accounts that one keeps; raises Forbidden unless one keeps any."""
    seen.person.demand(Right.PEOPLE, "people")
    return Keeper(console, seen, address_of(request))


Own = Annotated[OwnAccount, Depends(own)]
Kept = Annotated[Keeper, Depends(keeper)]
