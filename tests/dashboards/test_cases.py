from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson
import pytest

from dashboards import audit, workflow
from dashboards.auth.people import Person, Role, new_person
from dashboards.cases import case as cases
from dashboards.cases import report, requests, timeline, work
from dashboards.cases.case import Case, CaseStatus, Operator, RequestKind
from dashboards.cases.report import Written
from dashboards.cases.work import AlertRef, Facts
from tests.dashboards.site import PASSWORD, STORIES, VIP, Story, source_event
from wardwatch.alert import Severity, Verdict
from wardwatch.errors import Conflict, Forbidden, NotFound, RecordError, StoreUnavailable
from wardwatch.event import parse_time
from wardwatch.store import Find, Store

if TYPE_CHECKING:
    from dashboards.console import Console

OTHER = STORIES[1]
FOREIGN = STORIES[2]


@pytest.fixture
def lin(console: Console) -> Person:
    return console.people.get("lin")


@pytest.fixture
def zhou(console: Console) -> Person:
    """A viewer: the hospital's own."""
    return console.people.get("zhou")


def ref(store: Store, person: Person, story: Story = VIP) -> AlertRef:
    return AlertRef(story.id, workflow.state_of(workflow.read(store, person, story.id).doc))


def fields(store: Store, person: Person, story: Story = VIP) -> dict[str, object]:
    return workflow.workflow_of(workflow.read(store, person, story.id).doc)


def opened(console: Console, person: Person, *stories: Story) -> Case:
    refs = [ref(console.store, person, story) for story in stories or (VIP,)]
    return work.escalate(console.store, person, refs, console.clock, "en").case


def alerts(store: Store, person: Person, case: Case) -> set[str]:
    return {item.doc["event"]["id"] for item in cases.alerts_of(store, person, case)}


def history(store: Store, case: Case) -> list[str]:
    return [entry["action"] for entry in audit.of_case(store, case.id, case.change)]


def facts(case: Case, **changes: object) -> Facts:
    now = Facts(case.title, case.severity, case.owner, case.next_step, case.blockers, case.lessons)
    return replace(now, **changes)  # type: ignore[arg-type]


def test_alerts_become_a_case_with_the_tasks_of_their_rules_and_are_decided(console: Console, lin: Person) -> None:
    case = opened(console, lin, VIP, OTHER)
    assert (case.title, case.severity, case.owner, case.status) == (VIP.title["en"], Severity.CRITICAL, "lin", "open")
    assert [task.words for task in case.tasks] == [{"en": "Call the ward", "zh": "致电病区核实"}]
    assert case.tasks[0].owner == "lin"
    assert parse_time(str(case.tasks[0].due_at)) > datetime.now(UTC)
    assert alerts(console.store, lin, case) == {VIP.id, OTHER.id}
    found = fields(console.store, lin)
    assert (found["status"], found["case_id"], found["assignee"]) == ("escalated", case.id, "lin")
    assert found["decided_at"]
    assert "due_at" not in found


def test_undo_gives_the_alert_back_and_leaves_no_empty_case(console: Console, lin: Person) -> None:
    store = console.store
    workflow.acknowledge(store, lin, VIP.id, ref(store, lin).state)
    before = fields(store, lin)
    escalated = work.escalate(store, lin, [ref(store, lin)], console.clock, "en")
    work.undo(store, lin, VIP.id, escalated.done[0].audit_id)
    after = fields(store, lin)
    assert {**after, "change": None} == {**before, "change": None}
    with pytest.raises(NotFound):
        cases.read(store, lin, escalated.case.id)


def test_undo_keeps_a_case_that_somebody_wrote_in(console: Console, lin: Person) -> None:
    escalated = work.escalate(console.store, lin, [ref(console.store, lin)], console.clock, "en")
    work.note(console.store, lin, escalated.case.id, "the ward was called")
    work.undo(console.store, lin, VIP.id, escalated.done[0].audit_id)
    assert cases.read(console.store, lin, escalated.case.id).notes[0].text == "the ward was called"


def test_the_last_used_case_of_the_hospital_takes_the_next_alert(console: Console, lin: Person) -> None:
    store = console.store
    with pytest.raises(RecordError, match="no open case"):
        work.last_used(store, lin, "zhongxin")
    case = opened(console, lin)
    opened(console, lin, FOREIGN)
    assert work.last_used(store, lin, "zhongxin").id == case.id
    added = work.escalate(store, lin, [ref(store, lin, OTHER)], console.clock, "en", case=case.id)
    assert alerts(store, lin, added.case) == {VIP.id, OTHER.id}
    assert history(store, added.case) == ["case_add", "case_open"]
    with pytest.raises(RecordError, match="another hospital"):
        work.escalate(store, lin, [ref(store, lin, STORIES[3])], console.clock, "en", case=case.id)


def test_a_case_is_of_one_hospital_and_of_alerts_as_they_are(console: Console, lin: Person) -> None:
    store = console.store
    with pytest.raises(RecordError, match="one hospital"):
        opened(console, lin, VIP, FOREIGN)
    old = ref(store, lin)
    workflow.close(store, lin, VIP.id, old.state, Verdict.DUPLICATE)
    for stale in (old, ref(store, lin)):
        with pytest.raises(workflow.Overtaken):
            work.escalate(store, lin, [stale], console.clock, "en")
    assert cases.listed(store, lin).total == 0


def test_a_change_of_the_facts_decided_on_an_older_state_is_a_conflict_that_says_whose(
    console: Console, lin: Person
) -> None:
    store, able = console.store, console.workers("zhongxin")
    case = opened(console, lin)
    first = work.edit(store, lin, case.id, case.state, facts(case, next_step="Ask the ward"), able)
    work.note(store, console.people.get("zhou"), case.id, "a note is no change of the facts")
    with pytest.raises(cases.Overtaken, match="lin changed it at"):
        work.edit(store, lin, case.id, case.state, facts(case, next_step="Close it"), able)
    assert cases.read(store, lin, case.id).next_step == "Ask the ward"
    with pytest.raises(RecordError, match="nobody"):
        work.edit(store, lin, case.id, first.state, facts(first, owner="nobody"), able)


def test_notes_of_two_people_at_once_both_stay(console: Console, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    store = console.store
    case = opened(console, lin)
    recorded = audit.record

    def meanwhile(*args: object, **details: object) -> str:
        monkeypatch.setattr(audit, "record", recorded)
        work.note(store, lin, case.id, "first")
        return recorded(*args, **details)  # type: ignore[arg-type]

    monkeypatch.setattr(audit, "record", meanwhile)
    after = work.note(store, lin, case.id, "second")
    assert [note.text for note in after.notes] == ["first", "second"]
    assert history(store, after) == ["case_note", "case_note", "case_open"]


def test_no_change_is_made_when_its_record_can_not_be_written(
    console: Console, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = opened(console, lin)

    def absent(*_: object, **__: object) -> None:
        raise StoreUnavailable("connection reset")

    monkeypatch.setattr(audit, "record", absent)
    with pytest.raises(StoreUnavailable):
        work.note(console.store, lin, case.id, "lost?")
    assert cases.read(console.store, lin, case.id) == case


def test_an_audit_record_holds_what_changed_and_nothing_else(console: Console, lin: Person) -> None:
    case = opened(console, lin)
    work.note(console.store, lin, case.id, "one")
    after = work.note(console.store, lin, case.id, "two")
    entry = console.store.documents("audit").get(after.change).doc
    assert (entry["actor"], entry["tenant"], entry["case"]) == ("lin", "zhongxin", case.id)
    assert orjson.loads(entry["before"]) == {"notes": []}
    assert [note["text"] for note in orjson.loads(entry["after"])["notes"]] == ["two"]


def test_a_task_is_given_finished_and_not_finished_twice_by_surprise(console: Console, lin: Person) -> None:
    store, able = console.store, console.workers("zhongxin")
    case = opened(console, lin)
    due = datetime(2026, 12, 1, 8, tzinfo=UTC)
    task = work.add_task(store, lin, case.id, "Keep the disk", "en", able, owner="lin", due_at=due).tasks[-1]
    assert (task.owner, task.due_at) == ("lin", "2026-12-01T08:00:00.000Z")
    change = {"owner": "", "due_at": None, "is_done": True}
    done = work.change_task(store, lin, case.id, task.id, task.state, able, **change).tasks[-1]  # type: ignore[arg-type]
    assert (done.done_by, done.owner, done.due_at) == ("lin", "", None)
    with pytest.raises(cases.Overtaken):
        work.change_task(store, lin, case.id, task.id, task.state, able, **change)  # type: ignore[arg-type]


def test_closing_needs_a_verdict_and_takes_its_alerts_with_it(console: Console, lin: Person) -> None:
    store = console.store
    case = opened(console, lin, VIP, OTHER)
    with pytest.raises(RecordError, match="needs a note"):
        work.close(store, lin, case.id, case.state, Verdict.TRUE_POSITIVE)
    with pytest.raises(RecordError, match="open alerts"):
        work.close(store, lin, case.id, case.state, Verdict.DUPLICATE, with_alerts=False)
    assert fields(store, lin)["status"] == "escalated"
    closed = work.close(store, lin, case.id, case.state, Verdict.TRUE_POSITIVE, "the pharmacist looked")
    assert (closed.status, closed.verdict) == (CaseStatus.CLOSED, Verdict.TRUE_POSITIVE)
    for story in (VIP, OTHER):
        found = fields(store, lin, story)
        assert (found["status"], found["verdict"], found["case_id"]) == ("closed", "true_positive", case.id)
    with pytest.raises(cases.Overtaken):
        work.edit(store, lin, case.id, closed.state, facts(closed, title="Late"), [])
    again = work.reopen(store, lin, case.id, closed.state)
    assert (again.status, again.verdict) == (CaseStatus.OPEN, None)


def test_a_reopened_alert_of_a_case_has_a_clock_again(console: Console, lin: Person) -> None:
    store = console.store
    case = opened(console, lin)
    work.close(store, lin, case.id, case.state, Verdict.DUPLICATE)
    clock = console.clock(workflow.read(store, lin, VIP.id).doc)
    workflow.reopen(store, lin, VIP.id, ref(store, lin).state, clock)
    found = fields(store, lin)
    assert found["due_at"] == found["decide_due"]


def test_the_case_and_its_clocks_wait_until_the_hospital_has_answered(
    console: Console, lin: Person, zhou: Person
) -> None:
    store = console.store
    case = opened(console, lin)
    work.close(store, lin, case.id, case.state, Verdict.DUPLICATE)
    case = work.reopen(store, lin, case.id, cases.read(store, lin, case.id).state)
    clock = console.clock(workflow.read(store, lin, VIP.id).doc)
    workflow.reopen(store, lin, VIP.id, ref(store, lin).state, clock)
    running = fields(store, lin)["due_at"]

    ask = [requests.ask(store, lin, case.id, RequestKind.QUESTION, words, console.clock) for words in ("Who?", "Why?")]
    assert ask[1].status is CaseStatus.WAITING
    assert fields(store, lin)["paused_at"]
    assert "due_at" not in fields(store, lin)
    who, why = (one.id for one in ask[1].requests)
    requests.answer(store, zhou, case.id, who, "Dr Wang", console.clock)
    assert cases.read(store, lin, case.id).status is CaseStatus.WAITING
    after = requests.answer(store, zhou, case.id, why, "A consultation", console.clock)
    assert after.status is CaseStatus.OPEN
    assert (after.requests[0].answered_by, after.requests[0].answered_side) == ("zhou", "hospital")
    assert after.requests[0].answered_at
    assert "paused_at" not in fields(store, lin)
    assert str(fields(store, lin)["due_at"]) >= str(running)
    work.note(store, lin, case.id, "thanks")
    with pytest.raises(cases.Overtaken, match="zhou changed it at"):
        requests.answer(store, lin, case.id, who, "Somebody else", console.clock)


def test_a_decided_alert_is_marked_as_waiting_and_keeps_its_deadlines(
    console: Console, lin: Person, zhou: Person
) -> None:
    store = console.store
    case = opened(console, lin)
    before = fields(store, lin)
    asked = requests.ask(store, lin, case.id, RequestKind.QUESTION, "Who?", console.clock)
    assert fields(store, lin)["paused_at"]
    work.escalate(store, lin, [ref(store, lin, OTHER)], console.clock, "en", case=case.id)
    assert fields(store, lin, OTHER)["paused_at"]  # it came into a case that waits
    requests.answer(store, zhou, case.id, asked.requests[0].id, "Dr Wang", console.clock)
    for story in (VIP, OTHER):
        assert not {"paused_at", "due_at"} & fields(store, lin, story).keys()
    assert fields(store, lin)["decide_due"] == before["decide_due"]


def test_only_the_hospital_approves_and_a_step_is_done_or_not(console: Console, lin: Person, zhou: Person) -> None:
    store = console.store
    case = opened(console, lin)
    case = requests.ask(store, lin, case.id, RequestKind.APPROVAL, "May we cut the line?", console.clock)
    case = requests.ask(store, lin, case.id, RequestKind.CONTAINMENT, "Unplug the modality", console.clock)
    approval, step = case.requests
    assert (approval.department, step.department) == ("", "clinical_engineering")  # the asset is diagnostic
    with pytest.raises(Forbidden, match="hospital"):
        requests.answer(store, lin, case.id, approval.id, "", console.clock, agreed=True)
    with pytest.raises(RecordError, match="yes or no"):
        requests.answer(store, zhou, case.id, approval.id, "perhaps", console.clock)
    requests.answer(store, zhou, case.id, approval.id, "", console.clock, agreed=True)
    case = requests.answer(store, lin, case.id, step.id, "by telephone: Ms Li", console.clock, agreed=False)
    assert (case.requests[1].agreed, case.requests[1].answered_side) == (False, "provider")


def test_the_hospital_asks_the_provider_and_the_case_does_not_wait(console: Console, lin: Person, zhou: Person) -> None:
    store = console.store
    case = opened(console, lin)
    case = requests.ask(store, zhou, case.id, RequestKind.QUESTION, "Was data lost?", console.clock)
    assert (case.requests[0].to, case.status) == ("provider", CaseStatus.OPEN)
    with pytest.raises(Forbidden, match="provider"):
        requests.answer(store, zhou, case.id, case.requests[0].id, "no", console.clock)
    with pytest.raises(Forbidden, match="hospital"):
        requests.withdraw(store, lin, case.id, case.requests[0].id, console.clock)
    assert requests.withdraw(store, zhou, case.id, case.requests[0].id, console.clock).awaited == []


def test_a_viewer_comments_but_changes_nothing_and_a_stranger_sees_nothing(
    console: Console, lin: Person, zhou: Person
) -> None:
    store, ren = console.store, console.people.get("ren")
    case = opened(console, lin)
    assert work.note(store, zhou, case.id, "we are looking").notes[0].side == "hospital"
    with pytest.raises(Forbidden):
        work.edit(store, zhou, case.id, case.state, facts(case, title="x"), [])
    with pytest.raises(Forbidden):
        work.close(store, zhou, case.id, case.state, Verdict.DUPLICATE)
    auditor = replace(lin, roles=frozenset({Role.AUDITOR}))
    with pytest.raises(Forbidden):
        work.note(store, auditor, case.id, "x")
    for attempt in (cases.read, timeline.whole):
        with pytest.raises(NotFound):
            attempt(store, ren, case.id, *(["en"] if attempt is timeline.whole else []))
    assert cases.listed(store, ren).total == 0
    assert cases.listed(store, ren, tenant="zhongxin").total == 0


def test_merging_moves_everything_and_can_be_done_again_after_it_was_cut_short(
    console: Console, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = console.store
    one, two = opened(console, lin), opened(console, lin, OTHER)
    one = work.note(store, lin, one.id, "of the first")
    requests.ask(store, lin, one.id, RequestKind.QUESTION, "Who?", console.clock)

    def dies(*_: object, **__: object) -> None:
        raise StoreUnavailable("connection reset")

    with monkeypatch.context() as dying:
        dying.setattr(workflow, "move", dies)
        with pytest.raises(StoreUnavailable):
            work.merge(store, lin, one.id, one.state, two.id, console.clock)
    whole = work.merge(store, lin, one.id, one.state, two.id, console.clock)
    assert [note.text for note in whole.notes] == ["of the first"]
    assert (len(whole.requests), whole.status) == (1, CaseStatus.WAITING)
    assert alerts(store, lin, whole) == {VIP.id, OTHER.id}
    assert fields(store, lin, OTHER)["paused_at"]
    gone = cases.read(store, lin, one.id)
    assert (gone.status, gone.merged_into) == (CaseStatus.CLOSED, two.id)
    assert not gone.awaited
    with pytest.raises(RecordError, match="merged into"):
        work.reopen(store, lin, gone.id, gone.state)
    assert [case.id for case in cases.linked(store, lin, whole)] == [gone.id]


def test_splitting_moves_the_chosen_alerts_and_both_cases_know_each_other(console: Console, lin: Person) -> None:
    store = console.store
    case = opened(console, lin, VIP, OTHER)
    with pytest.raises(RecordError, match="not of this case"):
        work.split(store, lin, case.id, case.state, [FOREIGN.id], console.clock, "en")
    part = work.split(store, lin, case.id, case.state, [OTHER.id], console.clock, "en")
    assert alerts(store, lin, part) == {OTHER.id}
    assert alerts(store, lin, case) == {VIP.id}
    assert part.title == OTHER.title["en"]
    assert [other.id for other in cases.linked(store, lin, part)] == [case.id]
    assert [other.id for other in cases.linked(store, lin, case)] == [part.id]


def test_cases_of_one_hospital_are_linked_from_both_sides(console: Console, lin: Person) -> None:
    store = console.store
    one, two, foreign = opened(console, lin), opened(console, lin, OTHER), opened(console, lin, FOREIGN)
    work.link(store, lin, one.id, two.id)
    assert [other.id for other in cases.linked(store, lin, cases.read(store, lin, two.id))] == [one.id]
    for other in (foreign.id, one.id):
        with pytest.raises(RecordError, match="two different cases"):
            work.link(store, lin, one.id, other)


def test_the_lists_hold_what_is_open_mine_waiting_and_closed(console: Console, lin: Person, store: Store) -> None:
    console.people.add(new_person("wu", PASSWORD, Role.ANALYST, []))
    wu = console.people.get("wu")
    mine, theirs = opened(console, lin), opened(console, wu, OTHER)
    requests.ask(store, wu, theirs.id, RequestKind.QUESTION, "Who?", console.clock)
    gone = opened(console, lin, FOREIGN)
    work.close(store, lin, gone.id, gone.state, Verdict.DUPLICATE)
    listed = {view: [case.id for case in cases.listed(store, lin, view).cases] for view in cases.VIEWS}
    assert listed == {"open": [theirs.id, mine.id], "mine": [mine.id], "waiting": [theirs.id], "closed": [gone.id]}
    assert [case.id for case in cases.listed(store, lin, "closed", tenant="zhongxin").cases] == []
    first = cases.listed(store, lin, limit=1)
    assert (len(first.cases), first.total) == (1, 2)
    assert [case.id for case in cases.listed(store, lin, after=str(first.after), limit=1).cases] == [mine.id]
    with pytest.raises(RecordError):
        cases.listed(store, lin, "x")


def test_the_timeline_merges_events_alerts_and_people_in_order_of_time(
    console: Console, lin: Person, zhou: Person
) -> None:
    store = console.store
    case = opened(console, lin)
    case = requests.ask(store, lin, case.id, RequestKind.QUESTION, "Who is st_9f2a?", console.clock)
    requests.answer(store, zhou, case.id, case.requests[0].id, "A pharmacist", console.clock)
    case = cases.read(store, lin, case.id)
    work.close(store, lin, case.id, case.state, Verdict.BENIGN_POSITIVE, "planned")
    entries = timeline.whole(store, lin, case.id, "en").timeline
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    kinds = [entry.kind for entry in entries]
    assert sorted(kinds[:2]) == ["alert", "event"]  # both at the alert's first minute
    assert sorted(kinds[2:4]) == ["case_open", "task"]
    assert kinds[4:] == ["asked_hospital", "answered", "case_close"]
    [event] = [entry for entry in entries if entry.kind == "event"]
    assert (event.text, event.alert, event.at) == (
        "dicom-instances-accessed", VIP.id, source_event(VIP).doc["@timestamp"],
    )  # fmt: skip
    assert (entries[-1].by, "Benign" in entries[-1].text, "planned" in entries[-1].text) == ("lin", True, True)


def test_hostile_text_is_kept_visible_and_too_long_text_is_refused(console: Console, lin: Person) -> None:
    store = console.store
    case = opened(console, lin)
    after = work.note(store, lin, case.id, "\u202egnp.exe \x1b[31m\r\nsecond line")
    assert after.notes[0].text == "\\u202egnp.exe \\x1b[31m\nsecond line"
    for words in ("", "  ", "x" * 4001):
        with pytest.raises(RecordError):
            work.note(store, lin, case.id, words)


def test_a_full_case_says_so_before_anything_is_recorded(console: Console, lin: Person) -> None:
    store = console.store
    case = opened(console, lin)
    while len(orjson.dumps(cases.read(store, lin, case.id).model_dump(mode="json"))) < 888_000:
        work.note(store, lin, case.id, "病" * 4000)
    with pytest.raises(RecordError, match="full"):
        work.note(store, lin, case.id, "病" * 4000)
    kept = cases.read(store, lin, case.id)
    assert len(history(store, kept)) == len(kept.notes) + 1
    recorded = store.documents("audit").find(Find(fields={"case": case.id}, limit=1000))
    assert recorded.total == len(kept.notes) + 1


@pytest.mark.parametrize(("operator", "hours"), [("critical", 1), ("central", 2), ("other", 4)])
def test_the_incident_report_has_the_laws_deadline_and_is_fixed_once_sent(
    operator: str, hours: int, console: Console, lin: Person, zhou: Person
) -> None:
    store = console.store
    case = opened(console, lin)
    known = datetime(2026, 11, 26, 1, 0, tzinfo=UTC)
    blank = report.write(store, zhou, case.id, "", Written(Operator(operator), known)).report
    assert blank
    assert report.due_at(blank) == known + timedelta(hours=hours)
    with pytest.raises(RecordError, match="what happened"):
        report.mark_sent(store, zhou, case.id, blank.state)
    with pytest.raises(cases.Overtaken):
        report.write(store, lin, case.id, "", Written(Operator(operator), known))
    full = report.write(store, zhou, case.id, blank.state, Written(Operator(operator), known, "Images were viewed"))
    assert full.report
    sent = report.mark_sent(store, zhou, case.id, full.report.state).report
    assert sent
    assert sent.sent_by == "zhou"
    with pytest.raises(Conflict):
        report.write(store, zhou, case.id, sent.state, Written(Operator(operator), known, "Nothing happened"))
