"""Cases: the same functions as the pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, Field

from dashboards.api.once import ONCE, ApiRoute
from dashboards.cases import case as cases
from dashboards.cases import evidence, report, requests, timeline, work
from dashboards.cases.case import Case, Operator, RequestKind
from dashboards.cases.report import Written
from dashboards.cases.work import AlertRef, Facts
from dashboards.pages.cases import Format, able, export_of
from dashboards.pages.downloads import attachment
from dashboards.uploads import uploaded
from dashboards.visitor import Signed, TheConsole
from wardwatch.alert import Severity, Verdict

router = APIRouter(prefix="/cases", tags=["cases"], route_class=ApiRoute, dependencies=[ONCE])
Text = Annotated[str, Field(max_length=3 * cases.TEXT_CHARACTERS)]
State = Annotated[str, Field(max_length=64)]


class CaseView(BaseModel):
    """A case and the state that a change of its facts names; ``tasks`` and ``report`` give the states of those."""

    case: Case
    state: str
    tasks: dict[str, str]
    report: str


class CaseList(BaseModel):
    """One page; ``after`` is the parameter of the next one, null at the end."""

    total: int
    after: str | None
    cases: list[CaseView]


class Moment(BaseModel):
    """One entry of a timeline."""

    at: str
    kind: str
    text: str
    by: str
    alert: str


class WholeCase(CaseView):
    """A case with its timeline and the ids of its alerts."""

    timeline: list[Moment]
    alerts: list[str]


class EscalatedAlert(BaseModel):
    """An alert and the state that it was decided on."""

    id: Annotated[str, Field(max_length=100)]
    state: State


class Escalation(BaseModel):
    """Alerts of one hospital; ``case`` is "new", "last" or the id of an open case."""

    alerts: Annotated[list[EscalatedAlert], Field(min_length=1, max_length=200)]
    case: Annotated[str, Field(max_length=100)] = work.NEW
    title: Text = ""


class EscalatedView(CaseView):
    """The case, and by alert the audit id that undoes its escalation."""

    audit_ids: dict[str, str]


class Decision(BaseModel):
    """The state that the change was decided on."""

    state: State


class Editing(Decision):
    """What heads the case."""

    title: Text
    severity: Severity
    owner: Annotated[str, Field(max_length=64)] = ""
    next_step: Text = ""
    blockers: Text = ""
    lessons: Text = ""


class Words(BaseModel):
    """Something written."""

    text: Text


class NewTask(Words):
    """Something to do."""

    owner: Annotated[str, Field(max_length=64)] = ""
    due_at: AwareDatetime | None = None


class TaskChange(Decision):
    """A task as it should be."""

    owner: Annotated[str, Field(max_length=64)] = ""
    due_at: AwareDatetime | None = None
    done: bool = False


class Closing(Decision):
    """A verdict; a true positive needs a note."""

    verdict: Verdict
    note: Text = ""
    with_alerts: bool = True


class Other(BaseModel):
    """Another case."""

    other: Annotated[str, Field(max_length=100)]


class Merging(Decision, Other):
    """The case that everything moves into."""


class Splitting(Decision):
    """The alerts that move into a new case."""

    alerts: Annotated[list[str], Field(min_length=1, max_length=200)]
    title: Text = ""


class Asking(Words):
    """A request to the other side."""

    kind: RequestKind
    due_at: AwareDatetime | None = None


class Answering(BaseModel):
    """An answer; ``agreed`` is needed but for a question."""

    text: Text = ""
    agreed: bool | None = None


class Reporting(BaseModel):
    """The hospital's incident report; ``state`` is "" for the first version."""

    state: Annotated[str, Field(max_length=64)] = ""
    operator: Operator
    known_at: AwareDatetime
    happened: Text = ""
    impact: Text = ""
    measures: Text = ""
    contact: Text = ""


@router.get("")
def listing(
    console: TheConsole,
    seen: Signed,
    view: str = "open",
    tenant: str = "",
    q: Annotated[str, Query(max_length=300, description="A part of the title.")] = "",
    after: str = "",
) -> CaseList:
    """List cases, the last changed first: open, mine, waiting or closed."""
    page = cases.listed(console.store, seen.person, view, tenant=tenant, title=q, after=after)
    return CaseList(total=page.total, after=page.after, cases=[_view(case) for case in page.cases])


@router.post("")
def escalate(console: TheConsole, seen: Signed, body: Escalation) -> EscalatedView:
    """Make alerts part of a case."""
    alerts = [AlertRef(one.id, one.state) for one in body.alerts]
    made = work.escalate(console.store, seen.person, alerts, console.clock, seen.lang, case=body.case, title=body.title)
    undo = {done.alert.doc["event"]["id"]: done.audit_id for done in made.done}
    return EscalatedView(**dict(_view(made.case)), audit_ids=undo)


@router.get("/{case}")
def one(console: TheConsole, seen: Signed, case: str) -> WholeCase:
    """Return one case with its timeline."""
    whole = timeline.whole(console.store, seen.person, case, seen.lang)
    moments = [Moment(at=one.at, kind=one.kind, text=one.text, by=one.by, alert=one.alert) for one in whole.timeline]
    ids = [item.doc["event"]["id"] for item in whole.alerts]
    return WholeCase(**dict(_view(whole.case)), timeline=moments, alerts=ids)


@router.post("/{case}/edit")
def edit(console: TheConsole, seen: Signed, case: str, body: Editing) -> CaseView:
    """Change what heads the case."""
    facts = Facts(body.title, body.severity, body.owner, body.next_step, body.blockers, body.lessons)
    return _view(work.edit(console.store, seen.person, case, body.state, facts, able(console, seen, case)))


@router.post("/{case}/notes")
def note(console: TheConsole, seen: Signed, case: str, body: Words) -> CaseView:
    """Write a note."""
    return _view(work.note(console.store, seen.person, case, body.text))


@router.post("/{case}/tasks")
def add_task(console: TheConsole, seen: Signed, case: str, body: NewTask) -> CaseView:
    """Add something to do."""
    people = able(console, seen, case)
    return _view(
        work.add_task(
            console.store, seen.person, case, body.text, seen.lang, people, owner=body.owner, due_at=body.due_at
        )
    )


@router.post("/{case}/tasks/{task}")
def change_task(console: TheConsole, seen: Signed, case: str, task: str, body: TaskChange) -> CaseView:
    """Change owner and due time of a task, finish it or take it up again."""
    people = able(console, seen, case)
    changed = work.change_task(
        console.store,
        seen.person,
        case,
        task,
        body.state,
        people,
        owner=body.owner,
        due_at=body.due_at,
        is_done=body.done,
    )
    return _view(changed)


@router.post("/{case}/close")
def close(console: TheConsole, seen: Signed, case: str, body: Closing) -> CaseView:
    """Close the case, and its alerts with it."""
    closed = work.close(
        console.store, seen.person, case, body.state, body.verdict, body.note, with_alerts=body.with_alerts
    )
    return _view(closed)


@router.post("/{case}/reopen")
def reopen(console: TheConsole, seen: Signed, case: str, body: Decision) -> CaseView:
    """Open a closed case again."""
    return _view(work.reopen(console.store, seen.person, case, body.state))


@router.post("/{case}/merge")
def merge(console: TheConsole, seen: Signed, case: str, body: Merging) -> CaseView:
    """Move everything into another case, and return that."""
    return _view(work.merge(console.store, seen.person, case, body.state, body.other, console.clock))


@router.post("/{case}/split")
def split(console: TheConsole, seen: Signed, case: str, body: Splitting) -> CaseView:
    """Move some alerts into a new case, and return that."""
    part = work.split(
        console.store, seen.person, case, body.state, body.alerts, console.clock, seen.lang, title=body.title
    )
    return _view(part)


@router.post("/{case}/link")
def link(console: TheConsole, seen: Signed, case: str, body: Other) -> CaseView:
    """Name another case as related."""
    return _view(work.link(console.store, seen.person, case, body.other))


@router.post("/{case}/requests")
def ask(console: TheConsole, seen: Signed, case: str, body: Asking) -> CaseView:
    """Ask the other side: the provider the hospital, a viewer the provider."""
    return _view(
        requests.ask(console.store, seen.person, case, body.kind, body.text, console.clock, due_at=body.due_at)
    )


@router.post("/{case}/requests/{item}/answer")
def answer(console: TheConsole, seen: Signed, case: str, item: str, body: Answering) -> CaseView:
    """Answer a request."""
    return _view(requests.answer(console.store, seen.person, case, item, body.text, console.clock, agreed=body.agreed))


@router.post("/{case}/requests/{item}/withdraw")
def withdraw(console: TheConsole, seen: Signed, case: str, item: str) -> CaseView:
    """Take back a request of one's own side."""
    return _view(requests.withdraw(console.store, seen.person, case, item, console.clock))


@router.post("/{case}/files")
async def add_file(request: Request, console: TheConsole, seen: Signed, case: str) -> CaseView:
    """Keep the evidence file of the form's field ``file`` (multipart/form-data)."""
    name, content = await uploaded(request)
    return _view(await run_in_threadpool(evidence.add, console.store, seen.person, case, name, content))


@router.get("/{case}/files/{file}")
def download(console: TheConsole, seen: Signed, case: str, file: str) -> Response:
    """Return the bytes of an evidence file."""
    found, content = evidence.read(console.store, seen.person, case, file)
    return attachment(content, found.name)


@router.post("/{case}/report")
def write_report(console: TheConsole, seen: Signed, case: str, body: Reporting) -> CaseView:
    """Write the hospital's incident report."""
    written = Written(body.operator, body.known_at, body.happened, body.impact, body.measures, body.contact)
    return _view(report.write(console.store, seen.person, case, body.state, written))


@router.post("/{case}/report/sent")
def report_sent(console: TheConsole, seen: Signed, case: str, body: Decision) -> CaseView:
    """Say that the report was sent."""
    return _view(report.mark_sent(console.store, seen.person, case, body.state))


@router.get("/{case}/export/{kind}")
def exported(request: Request, console: TheConsole, seen: Signed, case: str, kind: Format) -> Response:
    """Return the case as HTML, Markdown or an OCSF Incident Finding."""
    return export_of(request, console, seen, case, kind)


def _view(case: Case) -> CaseView:
    states = {task.id: task.state for task in case.tasks}
    return CaseView(case=case, state=case.state, tasks=states, report=report.state_of(case))
