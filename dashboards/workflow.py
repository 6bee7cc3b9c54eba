"""What people do with an alert: take, assign, close with a verdict, reopen, pause, escalate, undo.

Pages and API call the same functions.

Each change names the *state* it was decided on (``state_of``). When somebody changed the workflow since, it raises
Conflict; when only detection counted further, it goes through. The audit record is written first (dashboards.audit).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import orjson

from dashboards import audit
from dashboards.auth.people import Person, Right
from wardwatch.alert import OPEN, WORKFLOW, AlertDocument, Status, Verdict, parse_alert_id
from wardwatch.errors import Conflict, NotFound, RecordError
from wardwatch.event import rfc3339
from wardwatch.service_levels import Clock, next_due, paused
from wardwatch.store import AlertQuery, Store, Stored, WorkflowChange

NOTE_CHARACTERS = 2000
_TRIES = 5
_SERIES = 1000

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
    """Return a short word for the workflow's state, for a form to send back.

    What was told of a deadline is not part of it: that the scheduler wrote it takes nobody's form away.
    """
    state = {name: value for name, value in workflow_of(doc).items() if name != "sla_state"}
    return blake2b(orjson.dumps(state, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def read(store: Store, person: Person, alert: str) -> Stored:
    """Return the alert; raises NotFound, also for another tenant's."""
    found = store.alerts.get(person.scope, [alert]).get(alert)
    if found is None:
        raise NotFound(f"no alert {alert[:80]!r}", step="console")
    return found


def acknowledge(store: Store, person: Person, alert: str, state: str) -> Done:
    """Take an open alert; raises Forbidden, NotFound, Conflict."""

    return _change(store, person, alert, "acknowledge", state, giving(person.name))


def assign(store: Store, person: Person, alert: str, state: str, assignee: str, able: Sequence[Person]) -> Done:
    """Give an open alert to one of those who are able to work it, "" to nobody.

    Raises Forbidden, NotFound, Conflict, RecordError for anybody else.
    """
    if assignee and assignee not in {one.name for one in able}:
        raise RecordError(f"{assignee[:80]!r} can't work this hospital's alerts", step="assign", record=alert)
    return _change(store, person, alert, "assign", state, giving(assignee))


def giving(assignee: str) -> Change:
    """Return the change that gives an open alert to somebody, "" to nobody."""

    def give(before: Mapping[str, Any]) -> dict[str, Any]:
        _demand(before, Status(before["status"]) in OPEN)
        if not assignee:
            return {"assignee": None}
        return {"status": _taken(before), "assignee": assignee, **_acknowledged(before)}

    return give


def close(store: Store, person: Person, alert: str, state: str, verdict: Verdict, note: str = "") -> Done:
    """Close an open alert with a verdict; raises Forbidden, NotFound, Conflict, RecordError without a needed note.

    Alerts that go on with it are closed with it.
    """
    note = checked_note(note, verdict, alert)
    return _change(store, person, alert, "close", state, closing(person, verdict, note))


def checked_note(note: str, verdict: Verdict, record: str) -> str:
    """Return the note of a verdict; raises RecordError where one is needed and for one that is too long."""
    note = note.strip()
    if verdict is Verdict.TRUE_POSITIVE and not note:
        raise RecordError("a true positive needs a note", step="close", record=record)
    if len(note) > NOTE_CHARACTERS:
        raise RecordError(f"a note has at most {NOTE_CHARACTERS} characters", step="close", record=record)
    return note


def closing(person: Person, verdict: Verdict, note: str) -> Change:
    """Return the change that closes an open alert."""

    def finish(before: Mapping[str, Any]) -> dict[str, Any]:
        _demand(before, Status(before["status"]) in OPEN)
        return {
            "status": Status.CLOSED.value,
            "verdict": verdict.value,
            "reason": note or None,
            "assignee": before.get("assignee") or person.name,
            **_acknowledged(before),
            "decided_at": before.get("decided_at") or _now(),
            "closed_at": _now(),
            "due_at": None,
            "paused_at": None,
        }

    return finish


def reopen(store: Store, person: Person, alert: str, state: str, clock: Clock) -> Done:
    """Open a closed alert again, its time to decide begun anew; raises Forbidden, NotFound, Conflict."""

    def again(before: Mapping[str, Any]) -> dict[str, Any]:
        _demand(before, Status(before["status"]) not in OPEN)
        status = Status.ACKNOWLEDGED if before.get("assignee") else Status.NEW
        due = clock.started(datetime.now(UTC))
        decide = {"decide_due": due["decide_due"]} if before.get("ack_at") else due
        gone = dict.fromkeys(("verdict", "reason", "closed_at", "decided_at", "sla_state", "suppression_id"))
        return {**gone, "status": status.value, **decide, "due_at": next_due({**before, **gone, **decide})}

    return _change(store, person, alert, "reopen", state, again)


def suppress(store: Store, person: Person, alert: str, state: str, suppression: str, reason: str) -> Done:
    """Make an open alert suppressed, as the alerter makes those after it; raises Forbidden, NotFound, Conflict."""

    def hide(before: Mapping[str, Any]) -> dict[str, Any]:
        _demand(before, Status(before["status"]) in OPEN)
        return {
            "status": Status.SUPPRESSED.value,
            "suppression_id": suppression,
            "reason": f"{reason} ({person.name})",
            "due_at": None,
            "paused_at": None,
        }

    return _change(store, person, alert, "suppress", state, hide, right=Right.SUPPRESS)


def escalate(store: Store, person: Person, alert: str, state: str, case: str) -> Done:
    """Make an open alert part of a case: it is decided, its clock ends. Raises Forbidden, NotFound, Conflict."""

    def hand_over(before: Mapping[str, Any]) -> dict[str, Any]:
        _demand(before, Status(before["status"]) in OPEN and before.get("case_id") != case)
        return {
            "status": Status.ESCALATED.value,
            "case_id": case,
            "assignee": before.get("assignee") or person.name,
            **_acknowledged(before),
            "decided_at": before.get("decided_at") or _now(),
            "due_at": None,
            "paused_at": None,
        }

    return _change(store, person, alert, "escalate", state, hand_over)


def move(store: Store, person: Person, alert: str, state: str, case: str) -> Done:
    """Give an alert of one case, open or closed, to another; raises Forbidden, NotFound, Conflict."""
    return _change(store, person, alert, "move", state, lambda _: {"case_id": case})


def pause(store: Store, person: Person, alert: str, state: str, *, right: Right = Right.WORK) -> Done:
    """Stop the clock of an open alert while the hospital is asked; raises Forbidden, NotFound, Conflict.

    An alert that is decided has no deadline to wait with; it is only marked as waiting.
    """

    def wait(before: Mapping[str, Any]) -> dict[str, Any]:
        has_clock = bool(before.get("due_at") or before.get("decided_at"))
        _demand(before, Status(before["status"]) in OPEN and has_clock and not before.get("paused_at"))
        return {**_acknowledged(before), **paused(datetime.now(UTC))}

    return _change(store, person, alert, "pause", state, wait, right=right)


def resume(store: Store, person: Person, alert: str, state: str, clock: Clock, *, right: Right = Right.WORK) -> Done:
    """Let a stopped clock go on; raises Forbidden, NotFound, Conflict."""

    def go_on(before: Mapping[str, Any]) -> dict[str, Any]:
        _demand(before, Status(before["status"]) in OPEN and bool(before.get("paused_at")))
        return clock.resumed(before, datetime.now(UTC))

    return _change(store, person, alert, "resume", state, go_on, right=right)


def undo(store: Store, person: Person, alert: str, audit_id: str) -> Done:
    """Restore the workflow before one's own change; raises Forbidden, NotFound, Conflict when it is not the last."""
    entry = store.documents("audit").get(audit_id).doc
    if entry.get("alert") != alert or entry["actor"] != person.name or "before" not in entry:
        raise NotFound("no such change of yours", step="undo", record=alert)
    found = read(store, person, alert).doc
    if last_change(found) != audit_id:
        raise Overtaken(workflow_of(found), step="undo", record=alert)
    before: dict[str, Any] = orjson.loads(entry["before"])
    done = _change(store, person, alert, "undo", state_of(found), lambda _: restoring(before))
    restore_series(store, person, [alert], audit_id, done.audit_id)
    return done


def restoring(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes that make the workflow as it was."""
    return {name: before.get(name) for name in WORKFLOW - {"continues"}}


def _taken(before: Mapping[str, Any]) -> str:
    return before["status"] if before["status"] != Status.NEW else Status.ACKNOWLEDGED.value


def _acknowledged(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the moment of the first acknowledgement; with it the time to decide runs."""
    taken = before.get("ack_at") or _now()
    due = None if before.get("paused_at") else next_due({**before, "ack_at": taken})
    untold = {} if due == before.get("due_at") else {"sla_state": None}
    return {"ack_at": taken, "due_at": due, **untold}


def _change(
    store: Store,
    person: Person,
    alert: str,
    action: str,
    state: str,
    change: Change,
    *,
    right: Right = Right.WORK,
) -> Done:
    person.demand(right, action, alert)
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
        if action in ("close", "suppress"):
            close_series(store, person, {alert: {**changes, "change": meant}})
        return Done(after, meant)
    raise Conflict("the alert changes too fast, try again", step=action, record=alert)


def close_series(store: Store, person: Person, closed: Mapping[str, Mapping[str, Any]]) -> None:
    """Close the open alerts that go on with closed ones, each by the changes of the one that it goes on with."""
    query = _going_on(closed, OPEN)
    while closed and (items := store.alerts.search(person.scope, query, limit=_SERIES).items):
        each = [WorkflowChange(item, closed[workflow_of(item.doc)["continues"]]) for item in items]
        store.alerts.workflows(person.scope, each)


def restore_series(store: Store, person: Person, heads: Collection[str], closed_by: str, change: str) -> None:
    """Open again the alerts that were closed with these ones by a change: nobody had touched them before."""
    open_again = restoring({"status": Status.NEW.value}) | {"change": change}
    query = _going_on(heads, frozenset([Status.CLOSED, Status.SUPPRESSED]))
    after: str | None = None
    while heads:
        page = store.alerts.search(person.scope, query, after=after, limit=_SERIES)
        with_them = [item for item in page.items if last_change(item.doc) == closed_by]
        store.alerts.workflows(person.scope, [WorkflowChange(item, open_again) for item in with_them])
        after = page.after
        if after is None:
            return


def _going_on(heads: Collection[str], statuses: frozenset[Status]) -> AlertQuery:
    tenants = frozenset(parse_alert_id(head)[0] for head in heads)
    return AlertQuery(tenants=tenants, series=frozenset(heads), statuses=statuses)


def _id(item: Stored) -> str:
    return str(item.doc["event"]["id"])


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
