"""A case: what it holds, how it is read, listed and changed.

A case is one document of the store's ``cases``; an alert belongs to it by its workflow field ``case_id`` and nowhere
else. Each change is recorded before it is made, as changes of alerts are (dashboards.audit). A change of the facts that
head a case names the *state* it was decided on; what only adds, such as a note, goes through whoever else is writing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict

from dashboards import audit
from dashboards.auth.people import Person, Right, Role
from wardwatch.alert import Severity, Status, Verdict
from wardwatch.errors import Conflict, Forbidden, RecordError
from wardwatch.event import MAX_BYTES, Document, rfc3339
from wardwatch.store import AlertQuery, Find, Page, Store, Stored
from wardwatch.text import safe_text

LINE_CHARACTERS: Final = 200
TEXT_CHARACTERS: Final = 4000
PAGE: Final = 50
_TRIES = 8
_READ = 200  # alerts read at a time


class CaseStatus(StrEnum):
    """Where a case stands; it waits while the hospital has not answered a request."""

    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


class Side(StrEnum):
    """The two teams that share a case."""

    PROVIDER = "provider"
    HOSPITAL = "hospital"


class RequestKind(StrEnum):
    """What one side wants of the other: words, a yes or no, or a step that is done or not."""

    QUESTION = "question"
    APPROVAL = "approval"
    CONTAINMENT = "containment"


class Operator(StrEnum):
    """Whose network it is, which decides how soon an incident is reported."""

    CRITICAL = "critical"
    CENTRAL = "central"
    OTHER = "other"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Note(_Part):
    """What somebody wrote down; times here and below are RFC 3339."""

    id: str
    at: str
    by: str
    side: Side
    text: str


class Task(_Part):
    """Something to do, in one or both languages; ``alert`` whose rule advised it."""

    id: str
    at: str
    by: str
    words: dict[str, str]
    owner: str = ""
    due_at: str | None = None
    done_at: str | None = None
    done_by: str = ""
    changed_at: str = ""
    changed_by: str = ""
    alert: str = ""

    @property
    def state(self) -> str:
        """The task's state, for a form to send back."""
        return _digest(self.model_dump(mode="json"))


class Request(_Part):
    """What one side asks of the other; ``department`` is where in the hospital a step goes.

    ``agreed`` is the answer's yes or no, None for a question.
    """

    id: str
    at: str
    by: str
    to: Side
    kind: RequestKind
    text: str
    department: str = ""
    due_at: str | None = None
    answer: str = ""
    agreed: bool | None = None
    answered_at: str | None = None
    answered_by: str = ""
    answered_side: Side | None = None
    withdrawn_at: str | None = None
    withdrawn_by: str = ""

    @property
    def waits(self) -> bool:
        """Whether an answer is awaited."""
        return self.answered_at is None and self.withdrawn_at is None


class File(_Part):
    """One evidence file; its bytes stand in the store's ``evidence`` under case and hash."""

    id: str
    at: str
    by: str
    name: str
    size_bytes: int
    sha256: str


class Report(_Part):
    """The hospital's report of the incident to its authority; ``known_at`` begins the legal clock."""

    operator: Operator
    known_at: str
    happened: str = ""
    impact: str = ""
    measures: str = ""
    contact: str = ""
    at: str
    by: str
    sent_at: str | None = None
    sent_by: str = ""

    @property
    def state(self) -> str:
        """The report's state, for a form to send back."""
        return _digest(self.model_dump(mode="json"))


class Case(_Part):
    """One case; ``at``, ``by`` and ``change`` (an audit record) tell the last change, ``facts_*`` that of its head."""

    id: str
    tenant: str
    at: str
    by: str
    change: str
    created_at: str
    created_by: str
    facts_at: str = ""
    facts_by: str = ""
    title: str
    severity: Severity
    status: CaseStatus = CaseStatus.OPEN
    open: bool = True
    owner: str = ""
    next_step: str = ""
    blockers: str = ""
    lessons: str = ""
    verdict: Verdict | None = None
    reason: str = ""
    closed_at: str | None = None
    merged_into: str = ""
    split_from: str = ""
    links: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    tasks: tuple[Task, ...] = ()
    requests: tuple[Request, ...] = ()
    files: tuple[File, ...] = ()
    report: Report | None = None

    @property
    def state(self) -> str:
        """The state of the facts that head the case, for a form to send back."""
        return _digest({name: getattr(self, name) for name in _HEAD})

    @property
    def awaited(self) -> list[Request]:
        """The requests that wait for an answer."""
        return [request for request in self.requests if request.waits]


_HEAD = ("title", "severity", "owner", "next_step", "blockers", "lessons", "open", "verdict")
_BOOKKEEPING = frozenset({"at", "by", "change", "facts_at", "facts_by"})

Edit = Callable[[Case], Case]
"""From the case as it is to the case as it should be; raises what forbids it."""


class Overtaken(Conflict):
    """Somebody changed what heads the case, or the part of it that is meant, first: ``by`` whom and when."""

    def __init__(self, case: Case, *, step: str, by: str = "", at: str = "") -> None:
        self.by, self.at = by or case.facts_by or case.created_by, at or case.facts_at or case.created_at
        self.tenant = case.tenant
        super().__init__(f"{self.by} changed it at {self.at}", step=step, record=case.id)


def now() -> str:
    """Return the present as RFC 3339."""
    return rfc3339(datetime.now(UTC))


def new_id() -> str:
    """Return the id of a part of a case."""
    return secrets.token_hex(6)


def side_of(person: Person) -> Side:
    """Return the team of a person: only viewers are the hospital's."""
    return Side.HOSPITAL if person.roles <= {Role.VIEWER} else Side.PROVIDER


def text(value: str, limit: int = TEXT_CHARACTERS, *, what: str, needed: bool = False) -> str:
    """Return what somebody wrote as safe text; raises RecordError when it is too long, or empty where it is needed."""
    clean = safe_text(value.replace("\r\n", "\n").replace("\r", "\n").strip())
    if len(clean) > limit:
        raise RecordError(f"{what} has at most {limit} characters", step="cases")
    if needed and not clean:
        raise RecordError(f"{what} is empty", step="cases")
    return clean


def line(value: str, *, what: str, needed: bool = False) -> str:
    """Return one line of safe text; raises RecordError as ``text`` does."""
    return text(" ".join(value.split()), LINE_CHARACTERS, what=what, needed=needed)


def read(store: Store, person: Person, identifier: str) -> Case:
    """Return the case; raises NotFound, also for another hospital's."""
    return _read(store, person, identifier)[0]


def _read(store: Store, person: Person, identifier: str) -> tuple[Case, str]:
    found = store.documents("cases").get(identifier)
    case = Case.model_validate(found.doc)
    person.scope.check(case.tenant, f"case {identifier[:80]!r}")
    return case, found.version


def create(store: Store, person: Person, case: Case, action: str, **details: Any) -> Case:
    """Store a new case after its audit record."""
    meant = _record(store, person, case, action, "", {}, _facts(case), **details)
    made = case.model_copy(update={"change": meant})
    store.documents("cases").create(made.id, _document(made))
    return made


def change(
    store: Store,
    person: Person,
    identifier: str,
    action: str,
    edit: Edit,
    *,
    state: str | None = None,
    right: Right = Right.WORK,
    **details: Any,
) -> Case:
    """Make one change of a case and return it as it is now; ``details`` stand in its audit record.

    Raises Forbidden, NotFound, Overtaken when the head is no longer in this ``state``, RecordError for a full case.
    """
    person.demand(right, action, identifier)
    for _ in range(_TRIES):
        before, version = _read(store, person, identifier)
        if state is not None and before.state != state:
            raise Overtaken(before, step=action)
        after = _settled(edit(before)).model_copy(update={"at": now(), "by": person.name})
        if after.state != before.state:
            after = after.model_copy(update={"facts_at": after.at, "facts_by": after.by})
        _check_size(after)
        meant = _record(store, person, after, action, before.change, *_difference(before, after), **details)
        after = after.model_copy(update={"change": meant})
        try:
            store.documents("cases").replace(identifier, _document(after), version=version)
        except Conflict:
            continue  # somebody was faster: what was recorded is not led to, and the change is tried on theirs
        return after
    raise Conflict("the case changes too fast, try again", step=action, record=identifier)


def discard(store: Store, person: Person, case: Case) -> None:
    """Delete a case that nothing is left of."""
    _record(store, person, case, "case_discard", case.change, _facts(case), {})
    store.documents("cases").delete(case.id)


def demand_open(case: Case, step: str) -> None:
    """Raise Overtaken for a closed case."""
    if not case.open:
        raise Overtaken(case, step=step)


def demand_side(person: Person, side: Side, step: str, record: str) -> None:
    """Raise Forbidden unless the person is of this team."""
    if side_of(person) is not side:
        raise Forbidden(f"only the {side} may do this", step=step, record=record)


def alerts_of(store: Store, person: Person, case: Case, statuses: frozenset[Status] = frozenset()) -> Iterator[Stored]:
    """Yield the alerts of a case, newest first."""
    query = AlertQuery(tenants=frozenset([case.tenant]), case=case.id, statuses=statuses)
    after: str | None = None
    while True:
        page = store.alerts.search(person.scope, query, after=after, limit=_READ)
        yield from page.items
        after = page.after
        if after is None:
            return


VIEWS: Final[Mapping[str, Mapping[str, str | bool]]] = {
    "open": {"open": True},
    "mine": {"open": True, "owner": "me"},
    "waiting": {"status": CaseStatus.WAITING.value},
    "closed": {"open": False},
}
"""Tab of the list → the fields it filters by; the owner is whoever looks."""


@dataclass(frozen=True, slots=True)
class CasePage:
    """One page of the list; ``after`` is the key of the next one, None at the end."""

    cases: list[Case]
    total: int
    after: str | None


def listed(
    store: Store,
    person: Person,
    view: str = "open",
    *,
    tenant: str = "",
    title: str = "",
    after: str = "",
    limit: int = PAGE,
) -> CasePage:
    """Return a page of the cases in scope whose title contains a text, the last changed first.

    Raises RecordError for a view that is none.
    """
    if view not in VIEWS:
        raise RecordError(f"{view[:40]!r} is no view of cases", step="cases")
    fields = {name: person.name if value == "me" else value for name, value in VIEWS[view].items()}
    page = _find(store, person, fields, tenant, title=title.strip(), after=after or None, limit=limit)
    return CasePage([Case.model_validate(item.doc) for item in page.items], page.total, page.after)


def linked(store: Store, person: Person, case: Case) -> list[Case]:
    """Return the cases that this one is linked with, from either side, in scope."""
    named = [*case.links, *filter(None, [case.merged_into, case.split_from])]
    wanted = [{"links": case.id}, {"merged_into": case.id}, {"split_from": case.id}, *({"id": one} for one in named)]
    pages = [_find(store, person, fields, case.tenant, limit=PAGE) for fields in wanted]
    found = [Case.model_validate(item.doc) for page in pages for item in page.items]
    return list({one.id: one for one in found}.values())


def _find(store: Store, person: Person, fields: Mapping[str, str | bool], tenant: str, **more: Any) -> Page:
    within = person.scope.tenants
    if tenant:
        within = frozenset([tenant]) if person.scope.allows(tenant) else frozenset()
    return store.documents("cases").find(Find(fields=fields, tenants=within, **more))


def _settled(case: Case) -> Case:
    waits = any(request.to is Side.HOSPITAL for request in case.awaited)
    open_now = CaseStatus.WAITING if waits else CaseStatus.OPEN
    return case.model_copy(update={"status": open_now if case.open else CaseStatus.CLOSED})


def _document(case: Case) -> Document:
    return case.model_dump(mode="json", exclude_none=True)


def _facts(case: Case) -> dict[str, Any]:
    return {name: value for name, value in _document(case).items() if name not in _BOOKKEEPING and value}


def _check_size(case: Case) -> None:
    if len(orjson.dumps(_document(case))) > MAX_BYTES:
        raise RecordError("the case is full: open another one and link it", step="cases", record=case.id)


def _difference(before: Case, after: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that differ, before and after; of a list only the items that differ."""
    old, new = _document(before), _document(after)
    names = [name for name in old | new if name not in _BOOKKEEPING and old.get(name) != new.get(name)]
    return {name: _less(old.get(name), new.get(name)) for name in names}, {
        name: _less(new.get(name), old.get(name)) for name in names
    }


def _less(value: Any, other: Any) -> Any:
    both = isinstance(value, list) and isinstance(other, list)
    return [item for item in value if item not in other] if both else value


def _record(
    store: Store,
    person: Person,
    case: Case,
    action: str,
    previous: str,
    before: dict[str, Any],
    after: dict[str, Any],
    **details: Any,
) -> str:
    return audit.record(
        store,
        person.name,
        action,
        kind="case",
        tenant=case.tenant,
        case=case.id,
        previous=previous,
        before=orjson.dumps(before).decode(),
        after=orjson.dumps(after).decode(),
        **details,
    )


def _digest(value: Mapping[str, Any]) -> str:
    return blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
