"""What people do with an alert: take, close with a verdict, reopen, undo. Pages and API call the same functions.

Each change names the *state* it was decided on (``state_of``). When somebody changed the workflow since, it raises
Conflict; when only detection counted further, it goes through. The audit record is written first (dashboards.audit).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import orjson

from dashboards import audit
from dashboards.auth.people import Person
from wardwatch.alert import OPEN, WORKFLOW, AlertDocument, Status, Verdict, parse_alert_id
from wardwatch.errors import Conflict, Forbidden, NotFound, RecordError
from wardwatch.event import rfc3339
from wardwatch.store import Store, Stored

NOTE_CHARACTERS = 2000
_TRIES = 5

Change = Callable[[Mapping[str, Any]], dict[str, Any]]
"""From the workflow as it is to the fields to change; None removes one."""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished change: the alert as it is now, and the audit record by which it can be undone."""

    alert: Stored
    audit_id: str


class Overtaken(Conflict):
    """Somebody changed the alert first: it is ``status`` now and ``assignee`` has it."""

    def __init__(self, workflow: Mapping[str, Any], *, step: str, record: str = "") -> None:
        self.status, self.assignee = str(workflow["status"]), str(workflow.get("assignee") or "")
        reason = f"it is {self.status} now, assigned to {self.assignee or 'nobody'}"
        super().__init__(reason, step=step, record=record)


def workflow_of(doc: AlertDocument) -> dict[str, Any]:
    """Return the fields that people own."""
    return {name: value for name, value in doc["wardwatch"]["alert"].items() if name in WORKFLOW and value is not None}


def last_change(doc: AlertDocument) -> str:
    """Return the id of the audit record of the last change, or ""."""
    return str(workflow_of(doc).get("change", ""))


def state_of(doc: AlertDocument) -> str:
    """Return a short word for the workflow's state, for a form to send back."""
    return blake2b(orjson.dumps(workflow_of(doc), option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def read(store: Store, person: Person, alert: str) -> Stored:
    """Return the alert; raises NotFound, also for another tenant's."""
    found = store.alerts.get(person.scope, [alert]).get(alert)
    if found is None:
        raise NotFound(f"no alert {alert[:80]!r}", step="console")
    return found


def acknowledge(store: Store, person: Person, alert: str, state: str) -> Done:
    """Take an open alert; raises Forbidden, NotFound, Conflict."""

    def take(before: Mapping[str, Any]) -> dict[str, Any]:
        _demand(before, Status(before["status"]) in OPEN)
        return {
            "status": Status.ACKNOWLEDGED.value,
            "assignee": person.name,
            "ack_at": before.get("ack_at") or _now(),
        }

    return _change(store, person, alert, "acknowledge", state, take)


def close(store: Store, person: Person, alert: str, state: str, verdict: Verdict, note: str = "") -> Done:
    """Close an open alert with a verdict; raises Forbidden, NotFound, Conflict, RecordError without a needed note."""
    note = note.strip()
    if verdict is Verdict.TRUE_POSITIVE and not note:
        raise RecordError("a true positive needs a note", step="close", record=alert)
    if len(note) > NOTE_CHARACTERS:
        raise RecordError(f"a note has at most {NOTE_CHARACTERS} characters", step="close", record=alert)

    def finish(before: Mapping[str, Any]) -> dict[str, Any]:
        _demand(before, Status(before["status"]) in OPEN)
        return {
            "status": Status.CLOSED.value,
            "verdict": verdict.value,
            "reason": note or None,
            "assignee": before.get("assignee") or person.name,
            "ack_at": before.get("ack_at") or _now(),
            "closed_at": _now(),
        }

    return _change(store, person, alert, "close", state, finish)


def reopen(store: Store, person: Person, alert: str, state: str) -> Done:
    """Open a closed alert again; raises Forbidden, NotFound, Conflict."""

    def again(before: Mapping[str, Any]) -> dict[str, Any]:
        _demand(before, Status(before["status"]) not in OPEN)
        status = Status.ACKNOWLEDGED if before.get("assignee") else Status.NEW
        return {"status": status.value, "verdict": None, "reason": None, "closed_at": None}

    return _change(store, person, alert, "reopen", state, again)


def undo(store: Store, person: Person, alert: str, audit_id: str) -> Done:
    """Restore the workflow before one's own change; raises Forbidden, NotFound, Conflict when it is not the last."""
    entry = store.documents("audit").get(audit_id).doc
    if entry.get("alert") != alert or entry["actor"] != person.name or "before" not in entry:
        raise NotFound("no such change of yours", step="undo", record=alert)
    found = read(store, person, alert).doc
    if last_change(found) != audit_id:
        raise Overtaken(workflow_of(found), step="undo", record=alert)
    before: dict[str, Any] = orjson.loads(entry["before"])
    restore = {name: before.get(name) for name in WORKFLOW}
    return _change(store, person, alert, "undo", state_of(found), lambda _: restore)


def _change(store: Store, person: Person, alert: str, action: str, state: str, change: Change) -> Done:
    if not person.may_change:
        raise Forbidden("your role may read alerts, not change them", step=action, record=alert)
    meant, changes = "", {}
    for _ in range(_TRIES):
        found = read(store, person, alert)
        if state_of(found.doc) != state:
            raise Overtaken(workflow_of(found.doc), step=action, record=alert)
        if not meant:
            changes = change(workflow_of(found.doc))
            meant = _record(store, person, alert, action, found.doc, changes)
        try:
            after = store.alerts.workflow(person.scope, alert, {**changes, "change": meant}, version=found.version)
        except Conflict:
            continue  # detection counted meanwhile, or somebody was faster: the state tells which
        return Done(after, meant)
    raise Conflict("the alert changes too fast, try again", step=action, record=alert)


def _record(
    store: Store, person: Person, alert: str, action: str, doc: AlertDocument, changes: Mapping[str, Any]
) -> str:
    before = workflow_of(doc)
    return audit.record(
        store,
        person.name,
        action,
        tenant=parse_alert_id(alert)[0],
        alert=alert,
        previous=last_change(doc),
        before=orjson.dumps(before).decode(),
        after=orjson.dumps({k: v for k, v in {**before, **changes}.items() if v is not None}).decode(),
    )


def _demand(workflow: Mapping[str, Any], fits: bool) -> None:
    if not fits:
        raise Overtaken(workflow, step="workflow")


def _now() -> str:
    return rfc3339(datetime.now(UTC))
