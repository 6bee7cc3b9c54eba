from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from dashboards import audit, workflow
from tests.dashboards.site import VIP, clock, document
from wardwatch.alert import Severity, Verdict
from wardwatch.errors import Conflict, Forbidden, NotFound, RecordError, StoreUnavailable
from wardwatch.service_levels import DEFAULT, Clock
from wardwatch.store import AlertWrite, Find, Store

if TYPE_CHECKING:
    from dashboards.auth.people import Person
    from dashboards.console import Console


CLOCK = Clock(DEFAULT, Severity.CRITICAL, UTC)


@pytest.fixture
def lin(console: Console) -> Person:
    return console.people.get("lin")


def state(store: Store, lin: Person) -> str:
    return workflow.state_of(workflow.read(store, lin, VIP.id).doc)


def fields(store: Store, lin: Person) -> dict[str, object]:
    """Return the workflow but for the name of its last change."""
    found = workflow.workflow_of(workflow.read(store, lin, VIP.id).doc)
    return {name: value for name, value in found.items() if name != "change"}


def history(store: Store, lin: Person) -> list[str]:
    doc = workflow.read(store, lin, VIP.id).doc
    return [entry["action"] for entry in audit.of_alert(store, VIP.id, workflow.last_change(doc))]


def absent(*_: object, **__: object) -> None:
    raise StoreUnavailable("connection reset")


def count_further(store: Store, lin: Person) -> None:
    """Write the alert again as the alerter does when more events match."""
    version = workflow.read(store, lin, VIP.id).version
    store.alerts.write([AlertWrite(VIP.id, document(VIP), version)])


def test_taking_closing_and_reopening_leave_one_audit_record_each(store: Store, lin: Person) -> None:
    workflow.acknowledge(store, lin, VIP.id, state(store, lin))
    workflow.close(store, lin, VIP.id, state(store, lin), Verdict.BENIGN_POSITIVE, "planned")
    assert fields(store, lin)["reason"] == "planned"
    workflow.reopen(store, lin, VIP.id, state(store, lin), CLOCK)
    assert fields(store, lin).keys() == {"status", "assignee", "ack_at", "ack_due", "decide_due", "due_at"}
    entries = [item.doc for item in store.documents("audit").find(Find(fields={"alert": VIP.id})).items]
    assert sorted(entry["action"] for entry in entries) == ["acknowledge", "close", "reopen"]
    assert {(entry["actor"], entry["tenant"]) for entry in entries} == {("lin", "zhongxin")}
    assert history(store, lin) == ["reopen", "close", "acknowledge"]


def test_undo_restores_exactly_what_was_before(store: Store, lin: Person) -> None:
    workflow.acknowledge(store, lin, VIP.id, state(store, lin))
    before = fields(store, lin)
    done = workflow.close(store, lin, VIP.id, state(store, lin), Verdict.TRUE_POSITIVE, "seen by the ward")
    workflow.undo(store, lin, VIP.id, done.audit_id)
    assert fields(store, lin) == before


def test_later_windows_are_closed_with_their_alert_and_open_again_with_its_undo(store: Store, lin: Person) -> None:
    later = [replace(VIP, group=f"later {number}") for number in range(3)]
    store.alerts.write([AlertWrite(one.id, document(one), None, {**clock(one), "continues": VIP.id}) for one in later])
    taken = later[2].id
    workflow.acknowledge(store, lin, taken, workflow.state_of(workflow.read(store, lin, taken).doc))
    workflow.close(store, lin, taken, workflow.state_of(workflow.read(store, lin, taken).doc), Verdict.EXERCISE)

    done = workflow.close(store, lin, VIP.id, state(store, lin), Verdict.DUPLICATE)
    assert [verdict_of(store, lin, one.id) for one in later] == ["duplicate", "duplicate", "exercise"]
    workflow.undo(store, lin, VIP.id, done.audit_id)
    assert [verdict_of(store, lin, one.id) for one in later] == [None, None, "exercise"]
    assert [workflow.workflow_of(workflow.read(store, lin, one.id).doc)["status"] for one in later[:2]] == [
        "new",
        "new",
    ]


def verdict_of(store: Store, lin: Person, alert: str) -> object:
    return workflow.workflow_of(workflow.read(store, lin, alert).doc).get("verdict")


def test_a_change_decided_on_an_older_state_is_a_conflict_and_loses_nothing(store: Store, lin: Person) -> None:
    old = state(store, lin)
    workflow.close(store, lin, VIP.id, old, Verdict.DUPLICATE)
    with pytest.raises(Conflict, match="closed now, assigned to lin"):
        workflow.acknowledge(store, lin, VIP.id, old)
    assert fields(store, lin)["verdict"] == "duplicate"


def test_undo_after_somebody_else_acted_is_a_conflict(store: Store, lin: Person) -> None:
    done = workflow.close(store, lin, VIP.id, state(store, lin), Verdict.DUPLICATE)
    workflow.reopen(store, lin, VIP.id, state(store, lin), CLOCK)
    with pytest.raises(Conflict):
        workflow.undo(store, lin, VIP.id, done.audit_id)


def test_detection_counting_further_disturbs_neither_close_nor_undo(store: Store, lin: Person) -> None:
    seen, before = state(store, lin), fields(store, lin)
    count_further(store, lin)
    done = workflow.close(store, lin, VIP.id, seen, Verdict.DUPLICATE)
    count_further(store, lin)
    workflow.undo(store, lin, VIP.id, done.audit_id)
    assert fields(store, lin) == before


def test_no_change_is_made_when_its_record_can_not_be_written(
    store: Store, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(store, lin)
    with monkeypatch.context() as broken:
        broken.setattr(audit, "record", absent)
        with pytest.raises(StoreUnavailable):
            workflow.close(store, lin, VIP.id, before, Verdict.DUPLICATE)
    assert state(store, lin) == before


def test_a_change_that_was_recorded_but_never_made_is_neither_shown_nor_undoable(
    store: Store, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow.acknowledge(store, lin, VIP.id, state(store, lin))
    taken = state(store, lin)
    with monkeypatch.context() as dying:
        dying.setattr(store.alerts, "workflow", absent)
        with pytest.raises(StoreUnavailable):
            workflow.close(store, lin, VIP.id, taken, Verdict.DUPLICATE)
    [meant] = store.documents("audit").find(Find(fields={"alert": VIP.id, "action": "close"})).items
    assert history(store, lin) == ["acknowledge"]
    with pytest.raises(Conflict):
        workflow.undo(store, lin, VIP.id, meant.doc["id"])
    assert state(store, lin) == taken
    workflow.close(store, lin, VIP.id, taken, Verdict.BENIGN_POSITIVE)
    assert history(store, lin) == ["close", "acknowledge"]


@pytest.mark.parametrize("note", ["", "   ", "x" * 2001])
def test_a_true_positive_needs_a_note_of_bounded_length(note: str, store: Store, lin: Person) -> None:
    before = fields(store, lin)
    with pytest.raises(RecordError, match="note"):
        workflow.close(store, lin, VIP.id, state(store, lin), Verdict.TRUE_POSITIVE, note)
    assert fields(store, lin) == before


def test_a_viewer_and_a_stranger_change_nothing(store: Store, lin: Person, console: Console) -> None:
    with pytest.raises(Forbidden):
        workflow.acknowledge(store, console.people.get("zhou"), VIP.id, state(store, lin))
    with pytest.raises(NotFound):
        workflow.acknowledge(store, console.people.get("ren"), VIP.id, state(store, lin))
    done = workflow.close(store, lin, VIP.id, state(store, lin), Verdict.DUPLICATE)
    with pytest.raises(NotFound):
        workflow.undo(store, console.people.get("ren"), VIP.id, done.audit_id)
    with pytest.raises(NotFound):
        workflow.undo(store, lin, VIP.id, "0" * 32)
