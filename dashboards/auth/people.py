"""The people who may sign in, in the store's ``users``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from wardwatch.errors import Forbidden, NotFound, SettingsError
from wardwatch.event import Document, rfc3339
from wardwatch.passwords import hash_password
from wardwatch.store import Documents, Find, Scope, Store
from wardwatch.topics import check_tenant

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_EVERY_TENANT = "*"


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
    """One account; ``tenants`` None means every hospital."""

    name: str
    display: str
    password_hash: str
    roles: frozenset[Role]
    tenants: frozenset[str] | None
    lang: str = ""
    disabled: bool = False

    @property
    def scope(self) -> Scope:
        """Whose data the person sees."""
        return Scope(self.name, self.tenants)

    def may(self, right: Right | str) -> bool:
        """Tell whether one of the person's roles has the right."""
        return any(right in RIGHTS[role] for role in self.roles)

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
    )


def new_person(
    name: str, password: str, role: Role, tenants: list[str], *, display: str = "", lang: str = ""
) -> Person:
    """Return an account with a hashed password; no tenants means every hospital. Raises SettingsError."""
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{name[:70]!r} is no user name: 1 to 64 of a-z, 0-9 and . _ @ -", step="users")
    within = frozenset(map(check_tenant, tenants)) or None
    return Person(name, display or name, hash_password(password), frozenset({role}), within, lang)


class People:
    """The accounts in a store."""

    def __init__(self, store: Store) -> None:
        self._users: Documents = store.documents("users")

    def get(self, name: str) -> Person:
        """Return the account; raises NotFound."""
        if not _NAME.fullmatch(name):
            raise NotFound(f"no user {name[:70]!r}", step="users")
        return person_of(self._users.get(name).doc)

    def add(self, person: Person) -> None:
        """Store a new account; raises Conflict when the name is taken."""
        self._users.create(person.name, person.document())

    def replace(self, person: Person) -> None:
        """Store the account over the one of the same name; raises NotFound, Conflict."""
        version = self._users.get(person.name).version
        self._users.replace(person.name, person.document(), version=version)

    def disable(self, name: str) -> None:
        """Refuse the person from the next request on; raises NotFound."""
        self.replace(replace(self.get(name), disabled=True))

    def set_password(self, name: str, password: str) -> None:
        """Give the account a new password; raises NotFound, SettingsError."""
        self.replace(replace(self.get(name), password_hash=hash_password(password)))

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
