"""Who may turn a token back into a name, on what terms, and the record that it leaves.

The people and their roles are in the collector's folder, apart from the console's accounts at the provider. A reveal is
recorded, on disk, before its answer is given; the record goes the way of every other event (parsers/reveal.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from ingest.spool import write_durably
from ingest.vault import Vault
from wardwatch.errors import Forbidden, NotFound, SettingsError
from wardwatch.event import rfc3339
from wardwatch.passwords import hash_password, verify

MOST_TOKENS = 1000  # of one reveal
LEAST_REASON = 10  # characters
NEEDS_SECOND = "a person under special protection: a second person must agree"
SAME_PERSON = "the second person is the first"

_AUDIT_TYPE = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110106", "display": "Export"}
_LOG_USED = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110101", "display": "Audit Log Used"}
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"


@cache
def _nobody_hash() -> str:
    return hash_password("nobody has this password")


class Person(msgspec.Struct, frozen=True):
    """A person of the hospital who may reveal: the role, and the argon2id hash of the password."""

    role: str
    password_hash: str


class People:
    """The people of one file, by account."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> dict[str, Person]:
        """Return everybody by account; raises SettingsError for a damaged file."""
        if not self._path.exists():
            return {}
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Person])
        except msgspec.DecodeError as error:
            remedy = "restore it from a back-up, or remove it and add the people again"
            raise SettingsError(str(error), step="reveal", record=str(self._path), remedy=remedy) from None

    def add(self, account: str, role: str, password: str) -> None:
        """Add a person, or give one another role and password; raises SettingsError for a password too short."""
        self._write(self.all() | {account: Person(role, hash_password(password))})

    def remove(self, account: str) -> None:
        """Remove a person; raises NotFound."""
        people = self.all()
        if people.pop(account, None) is None:
            raise NotFound(f"nobody is {account}", step="reveal")
        self._write(people)

    def role(self, account: str, password: str) -> str:
        """Return the role of the person whose password it is; raises Forbidden, and takes as long for nobody."""
        person = self.all().get(account, Person("", _nobody_hash()))
        if not verify(person.password_hash, password) or not person.role:
            raise Forbidden("no such person, or another password", step="reveal")
        return person.role

    def _write(self, people: dict[str, Person]) -> None:
        self._path.touch(mode=0o600)
        write_durably(self._path, msgspec.json.encode(people))
        self._path.chmod(0o600)


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody at the keyboard: an account and what was typed as its password."""

    account: str
    password: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: tokens, for a case, for a reason; ``second`` is the person beside who agrees."""

    tokens: Sequence[str]
    case: str
    reason: str
    asker: Asker
    second: Asker | None = None


class Revealer:
    """Answers requests from a vault; ``records`` is the file of audit events, one per line."""

    def __init__(self, vault: Vault, people: People, records: Path) -> None:
        self._vault = vault
        self._people = people
        self._records = records

    def reveal(self, request: Request) -> dict[str, str]:
        """Return the values by token, after the record of it is on disk.

        Raises Forbidden for who may not (recorded, too), SettingsError for a request without case or reason, NotFound
        for a token that this vault has not.
        """
        _check(request)
        try:
            role = self._people.role(request.asker.account, request.asker.password)
            guarded = any(self._vault.is_guarded(token) for token in request.tokens)
            self._second(request, needed=guarded)
        except Forbidden:
            self._record(request, "", guarded=False, outcome="8")
            raise
        values = {token: self._vault.reveal(token) for token in request.tokens}
        self._record(request, role, guarded=guarded, outcome="0")
        return values

    def _second(self, request: Request, *, needed: bool) -> None:
        if request.second is None:
            if needed:
                raise Forbidden(NEEDS_SECOND, step="reveal")
            return
        if request.second.account == request.asker.account:
            raise Forbidden(SAME_PERSON, step="reveal")
        self._people.role(request.second.account, request.second.password)

    def _record(self, request: Request, role: str, *, guarded: bool, outcome: str) -> None:
        append(self._records, _audit_event(request, role, guarded=guarded, outcome=outcome))


def append(records: Path, event: dict[str, Any]) -> None:
    """Write an audit event behind the others and return when it is on disk."""
    descriptor = os.open(records, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(msgspec.json.encode(event) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def tap_event(account: str, source: str, *, raw: bool) -> dict[str, Any]:
    """Return the audit event of somebody of this machine who looks at the records of a source as they arrive."""
    agent = {"who": _identified(account), "requestor": True, "role": [{"text": "collector host"}]}
    reason = "records as they arrived and their events" if raw else "events without their records"
    return _event(_LOG_USED, "access", reason, [agent], [{"what": _identified(source)}])


def _check(request: Request) -> None:
    if not request.case.strip() or len(request.reason.strip()) < LEAST_REASON:
        remedy = f"give a case and a reason of at least {LEAST_REASON} characters"
        raise SettingsError("a reveal needs a case and a reason", step="reveal", remedy=remedy)
    if not 1 <= len(request.tokens) <= MOST_TOKENS:
        raise SettingsError(f"{len(request.tokens)} tokens, 1 to {MOST_TOKENS} are revealed", step="reveal")


def _audit_event(request: Request, role: str, *, guarded: bool, outcome: str) -> dict[str, Any]:
    askers = [request.asker, *([request.second] if request.second else [])]
    agents: list[dict[str, Any]] = [
        {"who": _identified(asker.account), "requestor": asker is request.asker} for asker in askers
    ]
    agents[0]["role"] = [{"text": role or "unknown"}]
    case: dict[str, Any] = {"what": _identified(request.case.strip())}
    if guarded:
        case["securityLabel"] = [{"code": "VIP"}]
    entities = [case, *({"what": _identified(token)} for token in request.tokens)]
    return _event(_AUDIT_TYPE, "reidentify", request.reason.strip(), agents, entities, outcome)


def _event(
    kind: dict[str, str],
    subtype: str,
    reason: str,
    agents: list[dict[str, Any]],
    entities: list[dict[str, Any]],
    outcome: str = "0",
) -> dict[str, Any]:
    return {
        "resourceType": "AuditEvent",
        "id": str(uuid4()),
        "type": kind,
        "subtype": [{"system": _LIFECYCLE, "code": subtype}],
        "action": "R",
        "recorded": rfc3339(datetime.now(UTC)),
        "outcome": outcome,
        "purposeOfEvent": [{"text": reason}],
        "agent": agents,
        "source": {"observer": {"display": "wardwatch"}},
        "entity": entities,
    }


def _identified(value: str) -> dict[str, Any]:
    return {"identifier": {"value": value}}
