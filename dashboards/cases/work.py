"""What analysts do with cases: open them from alerts, keep facts, notes, tasks, close, reopen, merge, split, link."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dashboards import workflow
from dashboards.auth.people import Person, Right
from dashboards.cases import case as cases
from dashboards.cases.case import Case, Note, Request, Task
from dashboards.workflow import Done
from wardwatch.alert import OPEN, AlertDocument, Severity, Status, Verdict, parse_alert_id, severity_of
from wardwatch.errors import Conflict, NotFound, RecordError
from wardwatch.event import rfc3339
from wardwatch.service_levels import Clock
from wardwatch.store import Find, Store, Stored
from wardwatch.text import safe_text

NEW, LAST = "new", "last"
ClockOf = Callable[[AlertDocument], Clock]
_LANGUAGES = ("en", "zh")
_STEP = re.compile(r"[\n;；]+")
_RECENT = 20
_ROUNDS = 5
MOST_ALERTS = 200


@dataclass(frozen=True, slots=True)
class AlertRef:
    """An alert and the state that somebody decided on."""

    id: str
    state: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What heads a case, as somebody wants it to be."""

    title: str
    severity: Severity
    owner: str = ""
    next_step: str = ""
    blockers: str = ""
    lessons: str = ""


@dataclass(frozen=True, slots=True)
class Escalated:
    """The case that alerts became part of, and their changes, by which each can be undone."""

    case: Case
    done: list[Done]


def escalate(
    store: Store,
    person: Person,
    alerts: Sequence[AlertRef],
    clock_of: ClockOf,
    lang: str,
    *,
    case: str = NEW,
    title: str = "",
) -> Escalated:
    """Make open alerts of one hospital part of a case, with the tasks that their rules advise.

    ``case`` is NEW, LAST (the open one that the person changed last in that hospital) or a case's id; the ``title`` is
    of a new one. Raises Forbidden, NotFound, Conflict, RecordError.
    """
    if case == NEW:
        return _escalate_new(store, person, alerts, clock_of, lang, title)
    if case == LAST:
        [first, *_] = _escalatable(store, person, alerts, "case_add")
        case = last_used(store, person, parse_alert_id(first.doc["event"]["id"])[0]).id
    return _escalate_to(store, person, alerts, clock_of, case)


def _escalate_new(
    store: Store, person: Person, alerts: Sequence[AlertRef], clock_of: ClockOf, lang: str, title: str
) -> Escalated:
    found = _escalatable(store, person, alerts, "case_open")
    worst = max(found, key=lambda item: severity_of(item.doc).number)
    tenant = parse_alert_id(alerts[0].id)[0]
    moment = cases.now()
    made = Case(
        id=f"{tenant}-{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}",
        tenant=tenant,
        at=moment,
        by=person.name,
        change="",
        created_at=moment,
        created_by=person.name,
        title=cases.line(title or _title(worst.doc, lang), what="the title", needed=True),
        severity=severity_of(worst.doc),
        owner=person.name,
        tasks=tuple(_advised(found, person, clock_of, ())),
    )
    made = cases.create(store, person, made, "case_open", alerts=[one.id for one in alerts])
    try:
        return Escalated(made, _hand_over(store, person, alerts, made))
    except Conflict:
        _discard_untouched(store, person, made.id)
        raise


def _escalate_to(
    store: Store, person: Person, alerts: Sequence[AlertRef], clock_of: ClockOf, identifier: str
) -> Escalated:
    found = _escalatable(store, person, alerts, "case_add")

    def add(before: Case) -> Case:
        cases.demand_open(before, "case_add")
        _demand_tenant(before, alerts)
        tasks = (*before.tasks, *_advised(found, person, clock_of, before.tasks))
        worst = max([before.severity, *(severity_of(item.doc) for item in found)], key=lambda one: one.number)
        return before.model_copy(update={"tasks": tasks, "severity": worst})

    case = cases.change(store, person, identifier, "case_add", add, alerts=[one.id for one in alerts])
    done = _hand_over(store, person, alerts, case)
    settle_clocks(store, person, case, clock_of)
    return Escalated(case, done)


def last_used(store: Store, person: Person, tenant: str) -> Case:
    """Return the open case of a hospital that the person changed last; raises RecordError where there is none."""
    mine: dict[str, str | bool] = {"actor": person.name, "kind": "case", "tenant": tenant}
    for entry in store.documents("audit").find(Find(fields=mine, limit=_RECENT)).items:
        try:
            case = cases.read(store, person, str(entry.doc["case"]))
        except NotFound:
            continue
        if case.open:
            return case
    raise RecordError("you have no open case of this hospital yet", step="cases")


def undo(store: Store, person: Person, alert: str, audit_id: str) -> Done:
    """Take back one's own last change of an alert; a case that was opened for it and has nothing else goes with it."""
    belonged = workflow.workflow_of(workflow.read(store, person, alert).doc).get("case_id")
    done = workflow.undo(store, person, alert, audit_id)
    belongs = workflow.workflow_of(done.alert.doc).get("case_id")
    if belonged and belonged != belongs:
        _discard_untouched(store, person, str(belonged))
    return done


def edit(store: Store, person: Person, identifier: str, state: str, facts: Facts, able: Sequence[Person]) -> Case:
    """Change what heads an open case; raises Forbidden, NotFound, Overtaken, RecordError."""
    wanted = {
        "title": cases.line(facts.title, what="the title", needed=True),
        "severity": facts.severity,
        "owner": facts.owner,
        "next_step": cases.text(facts.next_step, what="the next step"),
        "blockers": cases.text(facts.blockers, what="the blockers"),
        "lessons": cases.text(facts.lessons, what="the lessons"),
    }

    def rewrite(before: Case) -> Case:
        cases.demand_open(before, "case_edit")
        if facts.owner != before.owner:
            _demand_able(facts.owner, able)
        return before.model_copy(update=wanted)

    return cases.change(store, person, identifier, "case_edit", rewrite, state=state)


def note(store: Store, person: Person, identifier: str, words: str) -> Case:
    """Write a note, also in a closed case; raises Forbidden, NotFound, RecordError."""
    written = Note(
        id=cases.new_id(),
        at=cases.now(),
        by=person.name,
        side=cases.side_of(person),
        text=cases.text(words, what="a note", needed=True),
    )
    return cases.change(
        store,
        person,
        identifier,
        "case_note",
        lambda before: before.model_copy(update={"notes": (*before.notes, written)}),
        right=Right.ANSWER,
    )


def add_task(
    store: Store,
    person: Person,
    identifier: str,
    words: str,
    lang: str,
    able: Sequence[Person],
    *,
    owner: str = "",
    due_at: datetime | None = None,
) -> Case:
    """Add something to do to an open case; raises Forbidden, NotFound, Overtaken, RecordError."""
    task = Task(
        id=cases.new_id(),
        at=cases.now(),
        by=person.name,
        words={lang: cases.text(words, what="a task", needed=True)},
        owner=owner,
        due_at=rfc3339(due_at) if due_at else None,
    )

    def add(before: Case) -> Case:
        cases.demand_open(before, "case_task")
        _demand_able(owner, able)
        return before.model_copy(update={"tasks": (*before.tasks, task)})

    return cases.change(store, person, identifier, "case_task", add)


def change_task(
    store: Store,
    person: Person,
    identifier: str,
    task: str,
    state: str,
    able: Sequence[Person],
    *,
    owner: str,
    due_at: datetime | None,
    is_done: bool,
) -> Case:
    """Change owner and due time of a task, finish it or take it up again.

    Raises Forbidden, NotFound, Overtaken when the task changed since it was in this ``state``, RecordError.
    """

    def rewrite(before: Case) -> Case:
        cases.demand_open(before, "case_task")
        found = next((one for one in before.tasks if one.id == task), None)
        if found is None:
            raise NotFound(f"no task {task[:40]!r}", step="cases", record=identifier)
        if found.state != state:
            raise cases.Overtaken(before, step="case_task", by=found.changed_by, at=found.changed_at)
        if owner != found.owner:
            _demand_able(owner, able)
        finished = {"done_at": found.done_at or cases.now(), "done_by": found.done_by or person.name}
        changes: dict[str, Any] = finished if is_done else {"done_at": None, "done_by": ""}
        changes |= {"owner": owner, "due_at": rfc3339(due_at) if due_at else None}
        changes |= {"changed_at": cases.now(), "changed_by": person.name}
        changed = found.model_copy(update=changes)
        return before.model_copy(update={"tasks": tuple(changed if one.id == task else one for one in before.tasks)})

    return cases.change(store, person, identifier, "case_task", rewrite)


def close(
    store: Store,
    person: Person,
    identifier: str,
    state: str,
    verdict: Verdict,
    reason: str = "",
    *,
    with_alerts: bool = True,
) -> Case:
    """Close an open case with a verdict, and ``with_alerts`` its open alerts first, with the same one.

    Requests that nobody answered are withdrawn. Raises Forbidden, NotFound, Overtaken, RecordError without a note for
    a true positive, or when alerts are still open that are not to be closed.
    """
    person.demand(Right.WORK, "case_close", identifier)
    words = workflow.checked_note(cases.text(reason, workflow.NOTE_CHARACTERS, what="a note"), verdict, identifier)
    found = cases.read(store, person, identifier)
    cases.demand_open(found, "case_close")
    if found.state != state:
        raise cases.Overtaken(found, step="case_close")
    if with_alerts:
        _close_alerts(store, person, found, verdict, words)
    elif any(cases.alerts_of(store, person, found, OPEN)):
        raise RecordError("the case has open alerts: close them with it, or first", step="case_close")

    def finish(before: Case) -> Case:
        cases.demand_open(before, "case_close")
        requests = tuple(_withdrawn(one, person) for one in before.requests)
        facts = {"open": False, "verdict": verdict, "reason": words, "closed_at": cases.now(), "requests": requests}
        return before.model_copy(update=facts)

    return cases.change(store, person, identifier, "case_close", finish, state=state)


def reopen(store: Store, person: Person, identifier: str, state: str) -> Case:
    """Open a closed case again; its alerts stay closed. Raises Forbidden, NotFound, Overtaken, RecordError."""

    def again(before: Case) -> Case:
        if before.open:
            raise cases.Overtaken(before, step="case_reopen")
        if before.merged_into:
            raise RecordError(f"it was merged into {before.merged_into}", step="case_reopen", record=identifier)
        return before.model_copy(update={"open": True, "verdict": None, "reason": "", "closed_at": None})

    return cases.change(store, person, identifier, "case_reopen", again, state=state)


def merge(store: Store, person: Person, identifier: str, state: str, into: str, clock_of: ClockOf) -> Case:
    """Move everything of an open case into another open one of its hospital; return the other.

    Raises Forbidden, NotFound, Overtaken, RecordError. When it ends in between, merging again does the rest.
    """
    person.demand(Right.WORK, "case_merge", identifier)
    taken = _of_one_hospital(store, person, identifier, into)
    cases.demand_open(taken, "case_merge")
    if taken.state != state:
        raise cases.Overtaken(taken, step="case_merge")

    def take_over(before: Case) -> Case:
        cases.demand_open(before, "case_merge")
        names = ("notes", "tasks", "requests", "files")
        return before.model_copy(update={name: _union(getattr(before, name), getattr(taken, name)) for name in names})

    def hand_over(before: Case) -> Case:
        requests = tuple(_withdrawn(one, person) for one in before.requests)
        closed = {"open": False, "merged_into": into, "closed_at": cases.now(), "requests": requests}
        return before.model_copy(update=closed)

    whole = cases.change(store, person, into, "case_merge", take_over, merged=identifier)
    _move(store, person, list(cases.alerts_of(store, person, taken)), into)
    cases.change(store, person, identifier, "case_merged", hand_over, state=state, into=into)
    settle_clocks(store, person, whole, clock_of)
    return whole


def split(
    store: Store,
    person: Person,
    identifier: str,
    state: str,
    alerts: Iterable[str],
    clock_of: ClockOf,
    lang: str,
    *,
    title: str = "",
) -> Case:
    """Move some alerts of an open case into a new one; return the new one.

    Raises Forbidden, NotFound, Overtaken, RecordError for no alert or one that is not the case's.
    """
    person.demand(Right.WORK, "case_split", identifier)
    whole = cases.read(store, person, identifier)
    cases.demand_open(whole, "case_split")
    if whole.state != state:
        raise cases.Overtaken(whole, step="case_split")
    chosen = [workflow.read(store, person, one) for one in _some(alerts)]
    if any(workflow.workflow_of(item.doc).get("case_id") != identifier for item in chosen):
        raise RecordError("an alert is not of this case", step="case_split", record=identifier)
    worst = max(chosen, key=lambda item: severity_of(item.doc).number)
    moment = cases.now()
    part = Case(
        id=f"{whole.tenant}-{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}",
        tenant=whole.tenant,
        at=moment,
        by=person.name,
        change="",
        created_at=moment,
        created_by=person.name,
        title=cases.line(title or _title(worst.doc, lang), what="the title", needed=True),
        severity=severity_of(worst.doc),
        owner=whole.owner,
        split_from=identifier,
    )
    ids = [item.doc["event"]["id"] for item in chosen]
    part = cases.create(store, person, part, "case_split", alerts=ids)
    cases.change(store, person, identifier, "case_split", lambda before: before, alerts=ids, into=part.id)
    _move(store, person, chosen, part.id)
    settle_clocks(store, person, part, clock_of)
    return part


def link(store: Store, person: Person, identifier: str, other: str) -> Case:
    """Name another case of the same hospital as related; raises Forbidden, NotFound, RecordError."""
    person.demand(Right.WORK, "case_link", identifier)
    _of_one_hospital(store, person, identifier, other)

    def add(before: Case) -> Case:
        return before.model_copy(update={"links": tuple(dict.fromkeys((*before.links, other)))})

    return cases.change(store, person, identifier, "case_link", add)


def settle_clocks(store: Store, person: Person, case: Case, clock_of: ClockOf) -> None:
    """Stop the clocks of a waiting case's open alerts, let those of any other go on."""
    waits = case.status is cases.CaseStatus.WAITING
    for _ in range(_ROUNDS):
        behind = [
            item
            for item in cases.alerts_of(store, person, case, OPEN)
            if bool(workflow.workflow_of(item.doc).get("paused_at")) is not waits
        ]
        if not behind:
            return
        for item in behind:
            _settle(store, person, item, clock_of, waits)


def _settle(store: Store, person: Person, item: Stored, clock_of: ClockOf, waits: bool) -> None:
    identifier, state = item.doc["event"]["id"], workflow.state_of(item.doc)
    try:
        if waits:
            workflow.pause(store, person, identifier, state, right=Right.ANSWER)
        else:
            workflow.resume(store, person, identifier, state, clock_of(item.doc), right=Right.ANSWER)
    except workflow.Overtaken:
        return  # the next round sees it as it is now


def _close_alerts(store: Store, person: Person, case: Case, verdict: Verdict, note: str) -> None:
    for _ in range(_ROUNDS):
        still_open = list(cases.alerts_of(store, person, case, OPEN))
        if not still_open:
            return
        for item in still_open:
            try:
                workflow.close(store, person, item.doc["event"]["id"], workflow.state_of(item.doc), verdict, note)
            except workflow.Overtaken:
                continue  # the next round sees it as it is now
    raise Conflict("its alerts change too fast, try again", step="case_close", record=case.id)


def _escalatable(store: Store, person: Person, alerts: Sequence[AlertRef], action: str) -> list[Stored]:
    """Return the alerts; raises before anything is written what would stop them from becoming a case."""
    person.demand(Right.WORK, action)
    found = [workflow.read(store, person, one) for one in _some(one.id for one in alerts)]
    if len({parse_alert_id(one.id)[0] for one in alerts}) > 1:
        raise RecordError("a case belongs to one hospital", step=action)
    for one, item in zip(alerts, found, strict=True):
        fields = workflow.workflow_of(item.doc)
        if workflow.state_of(item.doc) != one.state or Status(fields["status"]) not in OPEN:
            raise workflow.Overtaken(fields, step=action, record=one.id)
    return found


def _some(alerts: Iterable[str]) -> list[str]:
    chosen = list(dict.fromkeys(alerts))
    if not 0 < len(chosen) <= MOST_ALERTS:
        raise RecordError(f"1 to {MOST_ALERTS} alerts at a time", step="cases")
    return chosen


def _hand_over(store: Store, person: Person, alerts: Sequence[AlertRef], case: Case) -> list[Done]:
    return [workflow.escalate(store, person, one.id, one.state, case.id) for one in alerts]


def _move(store: Store, person: Person, items: Iterable[Stored], case: str) -> None:
    for item in items:
        workflow.move(store, person, item.doc["event"]["id"], workflow.state_of(item.doc), case)


def _discard_untouched(store: Store, person: Person, identifier: str) -> None:
    case = cases.read(store, person, identifier)
    first = store.documents("audit").get(case.change).doc
    if first["action"] == "case_open" and not any(cases.alerts_of(store, person, case)):
        cases.discard(store, person, case)


def _title(doc: AlertDocument, lang: str) -> str:
    words = doc["wardwatch"]["alert"].get("title") or {}
    title = str(words.get(lang) or words.get("en") or doc.get("message") or doc["event"]["id"])
    return safe_text(" ".join(title.split()))[: cases.LINE_CHARACTERS]


def _advised(found: Sequence[Stored], person: Person, clock_of: ClockOf, known: Iterable[Task]) -> Iterable[Task]:
    """Yield the steps that the alerts' rules advise and that are not known, due when their alert is to be decided."""
    seen = {tuple(sorted(task.words.items())) for task in known}
    for item in found:
        due_at = clock_of(item.doc).started(datetime.now(UTC))["decide_due"]
        for words in _steps(item.doc["wardwatch"]["alert"].get("response")):
            if (key := tuple(sorted(words.items()))) not in seen:
                seen.add(key)
                yield Task(
                    id=cases.new_id(),
                    at=cases.now(),
                    by=person.name,
                    words=words,
                    owner=person.name,
                    due_at=due_at,
                    alert=item.doc["event"]["id"],
                )


def _steps(response: object) -> list[dict[str, str]]:
    """Return the steps of a rule's response; texts of two languages are cut only where both have as many steps."""
    words = {lang: str(response[lang]) for lang in _LANGUAGES if isinstance(response, dict) and response.get(lang)}
    parts = {lang: [_step(one) for one in _STEP.split(text) if one.strip()] for lang, text in words.items()}
    if len({len(steps) for steps in parts.values()}) > 1:
        parts = {lang: [_step(text)] for lang, text in words.items()}
    return [dict(zip(parts, step, strict=True)) for step in zip(*parts.values(), strict=True)]


def _step(text: str) -> str:
    clean = " ".join(text.split()).rstrip(".。")
    return safe_text(clean[:1].upper() + clean[1:])[: cases.TEXT_CHARACTERS]


def _withdrawn(request: Request, person: Person) -> Request:
    if not request.waits:
        return request
    return request.model_copy(update={"withdrawn_at": cases.now(), "withdrawn_by": person.name})


def _union(own: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, ...]:
    have = {one.id for one in own}
    return tuple(sorted((*own, *(one for one in other if one.id not in have)), key=lambda one: one.at))


def _of_one_hospital(store: Store, person: Person, identifier: str, other: str) -> Case:
    one, two = cases.read(store, person, identifier), cases.read(store, person, other)
    if identifier == other or one.tenant != two.tenant:
        raise RecordError("two different cases of one hospital are needed", step="cases", record=identifier)
    return one


def _demand_tenant(case: Case, alerts: Sequence[AlertRef]) -> None:
    if {parse_alert_id(one.id)[0] for one in alerts} != {case.tenant}:
        raise RecordError("the alert is of another hospital than the case", step="case_add", record=case.id)


def _demand_able(owner: str, able: Sequence[Person]) -> None:
    if owner and owner not in {one.name for one in able}:
        raise RecordError(f"{owner[:80]!r} can't work this hospital's cases", step="cases")
