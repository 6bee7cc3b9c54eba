"""Bulk changes on a real store: what is done, skipped, cancelled, taken over and taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import audit, bulk, workflow
from dashboards.bulk import Job, Jobs, Order
from dashboards.queue import Desk
from tests.dashboards.site import STORIES, VIP, clock, document
from wardwatch.alert import Verdict
from wardwatch.errors import Conflict, Forbidden, NotFound, RecordError
from wardwatch.event import rfc3339
from wardwatch.store import AlertQuery, AlertWrite, Find, Scope, Store
from wardwatch.testing.ports import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dashboards.auth.people import Person
    from dashboards.console import Console

EVERYBODY = Scope("test")
CLOSING = Order(key="k" * 8, action="close", verdict=Verdict.BENIGN_POSITIVE, note="planned work", filter={})


@pytest.fixture
def lin(console: Console) -> Iterator[Person]:
    yield console.people.get("lin")
    console.close()


def desk(store: Store, person: Person) -> Desk:
    return Desk(store, person, datetime.now(UTC))


def ended(console: Console, person: Person, job: Job) -> Job:
    wait_until(lambda: console.jobs.get(person, job.id).ended, what="job")
    return console.jobs.get(person, job.id)


def many(store: Store, number: int) -> list[str]:
    """Write so many more alerts of one hospital and return their ids."""
    stories = [replace(STORIES[2], group=f"g{each}") for each in range(number)]
    store.alerts.write([AlertWrite(each.id, document(each), None, clock(each)) for each in stories])
    return [each.id for each in stories]


def own(store: Store, alert: str) -> dict[str, Any]:
    found: dict[str, Any] = store.alerts.get(EVERYBODY, [alert])[alert].doc["wardwatch"]["alert"]
    return found


def verdicts(store: Store) -> dict[str, int]:
    return store.alerts.count(EVERYBODY, AlertQuery(), "verdict")


def test_every_alert_that_the_filter_finds_is_closed_with_one_record_for_each_chunk(
    store: Store, console: Console, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 50)
    ids = many(store, 120)
    done = ended(console, lin, console.jobs.start(desk(store, lin), CLOSING))
    total = len(ids) + len(STORIES)
    assert (done.state, done.total, done.done, done.skipped, done.failed) == ("done", total, total, 0, 0)
    assert verdicts(store) == {"benign_positive": total}
    closed = own(store, ids[7])
    assert (closed["reason"], closed["assignee"], closed.get("due_at")) == ("planned work", "lin", None)
    (entry,) = audit.of_alert(store, ids[7], closed["change"])
    assert (entry["actor"], entry["action"], len(entry["alert"])) == ("lin", "close", 50)


def test_a_filter_and_a_scope_bound_what_is_changed(store: Store, console: Console) -> None:
    ren = console.people.get("ren")
    order = CLOSING.model_copy(update={"filter": {"severity": "medium"}})
    done = ended(console, ren, console.jobs.start(desk(store, ren), order))
    assert done.done == 1
    assert [story.rule for story in STORIES if own(store, story.id)["status"] == "closed"] == ["linux_ssh_root_login"]
    everything = console.jobs.start(desk(store, ren), CLOSING.model_copy(update={"key": "other-key"}))
    ended(console, ren, everything)
    assert {story.tenant for story in STORIES if own(store, story.id)["status"] == "closed"} == {"renai"}
    console.close()


def test_asking_twice_with_one_key_is_one_job(store: Store, console: Console, lin: Person) -> None:
    first = console.jobs.start(desk(store, lin), CLOSING)
    assert console.jobs.start(desk(store, lin), CLOSING).id == first.id
    assert ended(console, lin, first).done == len(STORIES)
    assert console.jobs.start(desk(store, lin), CLOSING).done == len(STORIES)


def test_what_is_chosen_but_closed_or_of_another_hospital_is_skipped(store: Store, console: Console) -> None:
    ren = console.people.get("ren")
    mine = [story for story in STORIES if story.tenant == "renai"]
    state = workflow.state_of(workflow.read(store, ren, mine[0].id).doc)
    workflow.close(store, ren, mine[0].id, state, Verdict.DUPLICATE)
    order = Order(key="chosen-ones", action="acknowledge", alerts=[VIP.id, *(story.id for story in mine)])
    done = ended(console, ren, console.jobs.start(desk(store, ren), order))
    assert (done.total, done.done, done.skipped) == (3, 1, 2)
    assert own(store, VIP.id)["status"] == "new"
    console.close()


def test_alerts_are_given_only_to_those_who_may_work_them(store: Store, console: Console, lin: Person) -> None:
    order = Order(key="to-ren-all", action="assign", assignee="ren", filter={})
    done = ended(console, lin, console.jobs.start(desk(store, lin), order))
    assert (done.done, done.failed) == (2, 2)
    assert {own(store, story.id).get("assignee") for story in STORIES if story.tenant == "renai"} == {"ren"}
    assert {own(store, story.id).get("assignee") for story in STORIES if story.tenant != "renai"} == {None}


def test_undo_restores_what_nobody_changed_since(store: Store, console: Console, lin: Person) -> None:
    before = {story.id: workflow.workflow_of(workflow.read(store, lin, story.id).doc) for story in STORIES}
    closed = ended(console, lin, console.jobs.start(desk(store, lin), CLOSING))
    touched = STORIES[3].id
    found = workflow.read(store, lin, touched)
    workflow.reopen(store, lin, touched, workflow.state_of(found.doc), console.clock(found.doc))
    undone = ended(console, lin, console.jobs.undo(lin, closed.id, "undo-key-1"))
    assert (undone.undoes, undone.done, undone.skipped) == (closed.id, 3, 1)
    for story in STORIES[:3]:
        after = workflow.workflow_of(workflow.read(store, lin, story.id).doc)
        assert {k: v for k, v in after.items() if k != "change"} == before[story.id]
    assert own(store, touched)["assignee"] == "lin"


def test_later_windows_of_closed_alerts_are_closed_and_opened_with_them(
    store: Store, console: Console, lin: Person
) -> None:
    heads = [story.id for story in STORIES]
    later = [replace(story, group="later") for story in STORIES]
    store.alerts.write(
        [
            AlertWrite(each.id, document(each), None, {**clock(each), "continues": head})
            for each, head in zip(later, heads, strict=True)
        ]
    )
    done = ended(console, lin, console.jobs.start(desk(store, lin), CLOSING))
    assert done.done == len(heads)
    assert {own(store, each.id)["verdict"] for each in later} == {"benign_positive"}
    ended(console, lin, console.jobs.undo(lin, done.id, "undo-them"))
    assert {own(store, each)["status"] for each in [*heads, *(each.id for each in later)]} == {"new"}


def test_a_cancelled_job_ends_after_the_chunks_at_hand_and_counts_them(
    store: Store, console: Console, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 10)
    many(store, 60)
    write = store.alerts.workflows
    started: list[bool] = []

    def cancelling(scope: Scope, changes: Any) -> Any:
        if not started:
            started.append(True)
            console.jobs.cancel(lin, job_id())
        return write(scope, changes)

    def job_id() -> str:
        (item,) = store.documents("jobs").find(Find({"actor": "lin"})).items
        return str(item.doc["id"])

    monkeypatch.setattr(store.alerts, "workflows", cancelling)
    done = ended(console, lin, console.jobs.start(desk(store, lin), CLOSING))
    assert (done.state, done.done) == ("cancelled", 10 * bulk.AT_ONCE)
    assert store.alerts.count(lin.scope, AlertQuery(), "status")["closed"] == done.done


def test_a_job_whose_console_is_gone_is_taken_over(store: Store, console: Console, lin: Person) -> None:
    before = rfc3339(datetime.now(UTC) - timedelta(minutes=1))
    job = Job(id="gone", actor="lin", order=CLOSING, at=rfc3339(datetime.now(UTC)), beat=before, runner="dead", total=4)
    store.documents("jobs").create("gone", job.document())
    console.jobs.adopt()
    assert ended(console, lin, job).done == len(STORIES)


def test_a_job_that_is_at_work_elsewhere_is_left_alone(store: Store, console: Console, lin: Person) -> None:
    now = rfc3339(datetime.now(UTC))
    job = Job(id="busy", actor="lin", order=CLOSING, at=now, beat=now, runner="another", total=4)
    store.documents("jobs").create("busy", job.document())
    console.jobs.adopt()
    assert console.jobs.get(lin, "busy").runner == "another"
    with pytest.raises(Conflict, match="still at work"):
        console.jobs.undo(lin, "busy", "undo-key-2")


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (CLOSING.model_copy(update={"verdict": None}), "verdict"),
        (CLOSING.model_copy(update={"verdict": Verdict.TRUE_POSITIVE, "note": " "}), "note"),
        (CLOSING.model_copy(update={"filter": None}), "no alert is chosen"),
        (CLOSING.model_copy(update={"filter": {"colour": "red"}}), "no filter: colour"),
        (CLOSING.model_copy(update={"filter": {"severity": "awful"}}), "no severity"),
    ],
)
def test_an_order_that_cannot_be_is_refused(
    order: Order, why: str, store: Store, console: Console, lin: Person
) -> None:
    with pytest.raises(RecordError, match=why):
        console.jobs.start(desk(store, lin), order)


def test_closing_more_than_twenty_needs_a_note(store: Store, console: Console, lin: Person) -> None:
    many(store, 20)
    with pytest.raises(RecordError, match="more than 20"):
        console.jobs.start(desk(store, lin), CLOSING.model_copy(update={"note": ""}))


def test_a_viewer_may_not_and_a_job_is_its_owners_alone(store: Store, console: Console, lin: Person) -> None:
    with pytest.raises(Forbidden):
        console.jobs.start(desk(store, console.people.get("zhou")), CLOSING)
    job = console.jobs.start(desk(store, lin), CLOSING)
    with pytest.raises(NotFound):
        console.jobs.get(console.people.get("ren"), job.id)


def test_two_consoles_do_not_both_run_a_job(store: Store, console: Console, lin: Person) -> None:
    other = Jobs(store, console.people.get, console.workers, console.outdate)
    job = console.jobs.start(desk(store, lin), CLOSING)
    other.adopt()
    assert ended(console, lin, job).done == len(STORIES)
    other.close()
