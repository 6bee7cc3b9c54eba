"""Requests between the provider and the hospital: asked with a due time, answered or withdrawn, never rewritten.

While the hospital has a request to answer, the case waits and so do the clocks of its open alerts. Software never
isolates a medical device: a containment step for one goes to the hospital's clinical engineers (医学工程科).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from dashboards.auth.people import Person, Right
from dashboards.cases import case as cases
from dashboards.cases.case import Case, Request, RequestKind, Side
from dashboards.cases.work import ClockOf, settle_clocks
from wardwatch.alert import OPEN
from wardwatch.errors import NotFound, RecordError
from wardwatch.event import rfc3339
from wardwatch.store import Store

CLINICAL_ENGINEERING: Final = "clinical_engineering"
MEDICAL: Final = frozenset({"life_support", "therapy", "diagnostic"})
"""Criticalities of assets that are medical devices or drive them."""

Settle = Callable[[Request], dict[str, Any]]
"""From a request that waits to the fields that end its waiting."""


def ask(
    store: Store,
    person: Person,
    identifier: str,
    kind: RequestKind,
    words: str,
    clock_of: ClockOf,
    *,
    due_at: datetime | None = None,
) -> Case:
    """Ask the other side for something; raises Forbidden, NotFound, Overtaken for a closed case, RecordError."""
    from_hospital = cases.side_of(person) is Side.HOSPITAL
    right = Right.ANSWER if from_hospital else Right.WORK
    person.demand(right, "case_ask", identifier)
    found = cases.read(store, person, identifier)
    asked = Request(
        id=cases.new_id(),
        at=cases.now(),
        by=person.name,
        to=Side.PROVIDER if from_hospital else Side.HOSPITAL,
        kind=kind,
        text=cases.text(words, what="a request", needed=True),
        department=_department(store, person, found, kind),
        due_at=rfc3339(due_at) if due_at else None,
    )

    def add(before: Case) -> Case:
        cases.demand_open(before, "case_ask")
        return before.model_copy(update={"requests": (*before.requests, asked)})

    case = cases.change(store, person, identifier, "case_ask", add, right=right)
    settle_clocks(store, person, case, clock_of)
    return case


def answer(
    store: Store,
    person: Person,
    identifier: str,
    request: str,
    words: str,
    clock_of: ClockOf,
    *,
    agreed: bool | None = None,
) -> Case:
    """Answer a request; who and when stay. ``agreed`` is needed but for a question.

    The provider may write down what the hospital said by telephone, but an approval only the hospital gives. Raises
    Forbidden, NotFound, Overtaken when it no longer waits, RecordError.
    """
    said = cases.text(words, what="an answer")

    def reply(one: Request) -> dict[str, Any]:
        if one.to is Side.PROVIDER or one.kind is RequestKind.APPROVAL:
            cases.demand_side(person, one.to, "case_answer", identifier)
        if one.kind is RequestKind.QUESTION and not said:
            raise RecordError("an answer is empty", step="case_answer", record=identifier)
        if one.kind is not RequestKind.QUESTION and agreed is None:
            raise RecordError("yes or no is needed", step="case_answer", record=identifier)
        return {
            "answer": said,
            "agreed": None if one.kind is RequestKind.QUESTION else agreed,
            "answered_at": cases.now(),
            "answered_by": person.name,
            "answered_side": cases.side_of(person),
        }

    return _settle(store, person, identifier, request, "case_answer", reply, clock_of)


def withdraw(store: Store, person: Person, identifier: str, request: str, clock_of: ClockOf) -> Case:
    """Take back a request of one's own side; raises Forbidden, NotFound, Overtaken when it no longer waits."""

    def take_back(one: Request) -> dict[str, Any]:
        asker = Side.HOSPITAL if one.to is Side.PROVIDER else Side.PROVIDER
        cases.demand_side(person, asker, "case_withdraw", identifier)
        return {"withdrawn_at": cases.now(), "withdrawn_by": person.name}

    return _settle(store, person, identifier, request, "case_withdraw", take_back, clock_of)


def _settle(
    store: Store, person: Person, identifier: str, request: str, action: str, settle: Settle, clock_of: ClockOf
) -> Case:
    def rewrite(before: Case) -> Case:
        found = next((one for one in before.requests if one.id == request), None)
        if found is None:
            raise NotFound(f"no request {request[:40]!r}", step="cases", record=identifier)
        changed = found.model_copy(update=settle(found))
        if not found.waits:
            by, at = found.answered_by or found.withdrawn_by, found.answered_at or found.withdrawn_at or ""
            raise cases.Overtaken(before, step=action, by=by, at=at)
        return before.model_copy(
            update={"requests": tuple(changed if one.id == request else one for one in before.requests)}
        )

    case = cases.change(store, person, identifier, action, rewrite, right=Right.ANSWER)
    settle_clocks(store, person, case, clock_of)
    return case


def _department(store: Store, person: Person, case: Case, kind: RequestKind) -> str:
    if kind is not RequestKind.CONTAINMENT:
        return ""
    touched = {
        item.doc["wardwatch"]["alert"].get("asset_criticality") for item in cases.alerts_of(store, person, case, OPEN)
    }
    return CLINICAL_ENGINEERING if touched & MEDICAL else ""
