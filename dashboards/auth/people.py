"""The people who may sign in, in the store's ``users``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from wardwatch.errors import Conflict, Forbidden, NotFound, SettingsError
from wardwatch.event import Document, rfc3339
from wardwatch.passwords import hash_password
from wardwatch.store import Documents, Find, Scope, Store, Version
from wardwatch.topics import check_tenant

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_EVERY_TENANT = "*"
_TRIES = 5


class Role(StrEnum):
    """What a person is: the provider's people, and those of a hospital (``viewer``)."""

    ADMIN = "admin"
    LEAD = "lead"
    ANALYST = "analyst"
    ENGINEER = "engineer"
    VIEWER = "viewer"
    AUDITOR = "auditor"


class Right(StrEnum):
    """What a role may do beside reading what is in its hospitals."""

    WORK = "work"
    """Take, assign, close and reopen alerts; keep cases."""
    SUPPRESS = "suppress"
    ANSWER = "answer"
    """Comment on cases and answer requests."""
    AUDIT = "audit"
    """Read the audit trail."""
    SERVICE = "service"
    """Set service levels, channels and routes."""
    PEOPLE = "people"
    """Keep accounts and tokens."""


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.LEAD: frozenset({Right.WORK, Right.SUPPRESS, Right.ANSWER, Right.AUDIT, Right.SERVICE}),
    Role.ANALYST: frozenset({Right.WORK, Right.SUPPRESS, Right.ANSWER}),
    Role.ENGINEER: frozenset({Right.SUPPRESS, Right.ANSWER}),
    Role.VIEWER: frozenset({Right.ANSWER}),
    Role.AUDITOR: frozenset({Right.AUDIT}),
}


@dataclass(frozen=True, slots=True)
class Person:
    """One account; ``tenants`` None means every hospital.

    ``subject`` names an account of an OpenID provider, whose roles come from there. ``totp`` is the secret of the
    second factor in Base32, ``totp_step`` the last time step that was used, ``recovery`` the SHA-256 of the codes left.
    ``limit`` are the rights that a token leaves of the account's, never stored.
    """

    name: str
    display: str
    password_hash: str
    roles: frozenset[Role]
    tenants: frozenset[str] | None
    lang: str = ""
    disabled: bool = False
    subject: str = ""
    totp: str = ""
    totp_step: int = 0
    recovery: tuple[str, ...] = ()
    limit: frozenset[Right] | None = None

    @property
    def scope(self) -> Scope:
        """Whose data the person sees."""
        return Scope(self.name, self.tenants)

    def may(self, right: Right | str) -> bool:
        """Tell whether one of the person's roles has the right."""
        return (self.limit is None or right in self.limit) and any(right in RIGHTS[role] for role in self.roles)

    def within(self, tenants: frozenset[str] | None, rights: frozenset[Right] | None = None) -> Person:
        """Return the person with no more than these hospitals and rights; None takes nothing away."""
        both = tenants if self.tenants is None else self.tenants if tenants is None else self.tenants & tenants
        return replace(self, tenants=both, limit=rights if rights is not None else self.limit)

    def oversees(self, tenants: frozenset[str] | None) -> bool:
        """Tell whether an account of these hospitals is within the person's own."""
        return self.tenants is None or (tenants is not None and tenants <= self.tenants)

    def demand(self, right: Right, action: str, record: str = "") -> None:
        """Raise Forbidden unless the person has the right."""
        if not self.may(right):
            raise Forbidden("your role may not do this", step=action, record=record)

    def document(self) -> Document:
        """Return the account as the store keeps it."""
        return {
            "name": self.name,
            "display": self.display,
            "password_hash": self.password_hash,
            "roles": sorted(self.roles),
            "tenants": [_EVERY_TENANT] if self.tenants is None else sorted(self.tenants),
            "lang": self.lang,
            "disabled": self.disabled,
            "subject": self.subject,
            "totp": self.totp,
            "totp_step": self.totp_step,
            "recovery": list(self.recovery),
            "at": rfc3339(datetime.now(UTC)),
        }


def person_of(doc: Document) -> Person:
    """Return the account of a stored document."""
    tenants = frozenset(doc["tenants"])
    return Person(
        name=doc["name"],
        display=doc["display"],
        password_hash=doc["password_hash"],
        roles=frozenset(map(Role, doc["roles"])),
        tenants=None if _EVERY_TENANT in tenants else tenants,
        lang=doc.get("lang", ""),
        disabled=doc.get("disabled", False),
        subject=doc.get("subject", ""),
        totp=doc.get("totp", ""),
        totp_step=doc.get("totp_step", 0),
        recovery=tuple(doc.get("recovery", ())),
    )


def is_name(name: str) -> bool:
    """Tell whether an account may have the name: 1 to 64 of a-z, 0-9 and . _ @ -"""
    return _NAME.fullmatch(name) is not None


def new_person(
    name: str, password: str, role: Role, tenants: list[str], *, display: str = "", lang: str = ""
) -> Person:
    """Return an account with a hashed password; no tenants means every hospital. Raises SettingsError."""
    if not is_name(name):
        raise SettingsError(f"{name[:70]!r} is no user name: 1 to 64 of a-z, 0-9 and . _ @ -", step="users")
    within = frozenset(map(check_tenant, tenants)) or None
    return Person(name, display or name, hash_password(password), frozenset({role}), within, lang)


class People:
    """The accounts in a store."""

    def __init__(self, store: Store) -> None:
        self._users: Documents = store.documents("users")

    def get(self, name: str) -> Person:
        """Return the account; raises NotFound."""
        return self.read(name)[0]

    def read(self, name: str) -> tuple[Person, Version]:
        """Return the account and its version; raises NotFound."""
        if not is_name(name):
            raise NotFound(f"no user {name[:70]!r}", step="users")
        stored = self._users.get(name)
        return person_of(stored.doc), stored.version

    def add(self, person: Person) -> None:
        """Store a new account; raises Conflict when the name is taken."""
        self._users.create(person.name, person.document())

    def replace(self, person: Person, version: Version = "") -> None:
        """Store the account over the one of the same name, as of a version or as it is; raises NotFound, Conflict."""
        version = version or self._users.get(person.name).version
        self._users.replace(person.name, person.document(), version=version)

    def change(self, name: str, change: Callable[[Person], Person]) -> Person:
        """Store what a function makes of the account as it is; raises NotFound, and Conflict when it never rests."""
        for _ in range(_TRIES):
            person, version = self.read(name)
            after = change(person)
            try:
                self.replace(after, version)
            except Conflict:
                continue
            return after
        raise Conflict("the account changes too fast, try again", step="users", record=name)

    def disable(self, name: str) -> None:
        """Refuse the person from the next request on; raises NotFound."""
        self.change(name, lambda person: replace(person, disabled=True))

    def set_password(self, name: str, password: str) -> None:
        """Give the account a new password; raises NotFound, SettingsError."""
        hashed = hash_password(password)
        self.change(name, lambda person: replace(person, password_hash=hashed))

    def every(self) -> list[Person]:
        """Return all accounts, the newest change first."""
        found: list[Person] = []
        after: str | None = None
        while True:
            page = self._users.find(Find(after=after))
            found += [person_of(item.doc) for item in page.items]
            after = page.after
            if after is None:
                return found
