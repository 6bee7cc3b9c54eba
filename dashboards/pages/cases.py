"""The list of cases and the page of one; each form works alone and by htmx, which takes the new page's ``#case``."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from dashboards import audit, workflow
from dashboards.auth.people import Person, Right
from dashboards.cases import case as cases
from dashboards.cases import evidence, export, report, requests, timeline, work
from dashboards.cases.case import Case, Operator, RequestKind, Side
from dashboards.cases.report import Written
from dashboards.cases.timeline import Whole, words_of
from dashboards.cases.work import AlertRef, Facts
from dashboards.console import Console
from dashboards.pages.downloads import attachment, named, printed
from dashboards.pages.render import render
from dashboards.present import AlertView, Moment, moment
from dashboards.queue import QueueFilter
from dashboards.uploads import uploaded
from dashboards.visitor import Signed, TheConsole, Visitor, address_of
from wardwatch.alert import OPEN, Severity, Verdict
from wardwatch.errors import RecordError
from wardwatch.event import parse_time, rfc3339

router = APIRouter(prefix="/cases")
Word = Annotated[str, Query(max_length=300)]
Text = Annotated[str, Form(max_length=3 * cases.TEXT_CHARACTERS)]
Format = Literal["html", "markdown", "ocsf"]


def frame(console: Console, seen: Visitor, tenant: str = "", q: str = "") -> dict[str, Any]:
    """Return what rail and top bar show."""
    return {
        "section": "cases",
        "home": "/cases",
        "filters": QueueFilter(tenant=tenant, q=q),
        "hospitals": console.hospitals.visible(seen.person.scope),
        "hospital": console.hospitals.get(tenant) if tenant and seen.person.scope.allows(tenant) else None,
    }


@router.get("")
def listing(
    request: Request,
    console: TheConsole,
    seen: Signed,
    view: Word = "open",
    tenant: Word = "",
    q: Word = "",
    after: Word = "",
) -> Response:
    """Show a page of cases."""
    listed = partial(cases.listed, console.store, seen.person, tenant=tenant, title=q)
    page = listed(view, after=after)
    totals = {name: listed(name, limit=1).total for name in cases.VIEWS}
    rows = [(case, console.hospitals.get(case.tenant)) for case in page.cases]
    kept = {name: value for name, value in (("tenant", tenant), ("q", q)) if value}
    url = {name: "?" + urlencode({"view": name, **kept}) for name in cases.VIEWS}
    return render(
        request,
        "cases.html",
        rows=[(case, hospital, moment(case.at, hospital.zone)) for case, hospital in rows],
        page=page,
        totals=totals,
        url=url,
        view=view,
        after=after,
        **frame(console, seen, tenant, q),
    )


@router.post("")
def escalate(
    request: Request, console: TheConsole, seen: Signed, alert: Annotated[list[str], Form()], case: Text = work.NEW
) -> Response:
    """Make the alerts chosen in the queue part of a case, as they are now, and show it."""
    found = [workflow.read(console.store, seen.person, one) for one in alert[: work.MOST_ALERTS + 1]]
    chosen = [AlertRef(item.doc["event"]["id"], workflow.state_of(item.doc)) for item in found]
    made = work.escalate(console.store, seen.person, chosen, console.clock, seen.lang, case=case).case
    if request.headers.get("HX-Request") == "true":
        return Response(headers={"HX-Redirect": f"/cases/{made.id}"})
    return _done(made)


@router.get("/{case}")
def show(request: Request, console: TheConsole, seen: Signed, case: str) -> Response:
    """Show one case."""
    whole = timeline.whole(console.store, seen.person, case, seen.lang)
    return render(request, "case.html", **_values(console, seen, whole), **frame(console, seen, whole.case.tenant))


@router.post("/{case}/edit")
def edit(
    console: TheConsole,
    seen: Signed,
    case: str,
    state: Text,
    title: Text,
    severity: Annotated[Severity, Form()],
    owner: Text = "",
    next_step: Text = "",
    blockers: Text = "",
    lessons: Text = "",
) -> Response:
    """Change what heads the case."""
    facts = Facts(title, severity, owner, next_step, blockers, lessons)
    return _done(work.edit(console.store, seen.person, case, state, facts, able(console, seen, case)))


@router.post("/{case}/notes")
def note(console: TheConsole, seen: Signed, case: str, text: Text) -> Response:
    """Write a note."""
    return _done(work.note(console.store, seen.person, case, text), "notes")


@router.post("/{case}/tasks")
def add_task(console: TheConsole, seen: Signed, case: str, text: Text, owner: Text = "", due_at: Text = "") -> Response:
    """Add something to do."""
    people, due = able(console, seen, case), _local(console, seen, case, due_at)
    done = work.add_task(console.store, seen.person, case, text, seen.lang, people, owner=owner, due_at=due)
    return _done(done, "tasks")


@router.post("/{case}/tasks/{task}")
def change_task(
    console: TheConsole,
    seen: Signed,
    case: str,
    task: str,
    state: Text,
    owner: Text = "",
    due_at: Text = "",
    done: Text = "",
) -> Response:
    """Change owner and due time of a task, finish it or take it up again."""
    people, due = able(console, seen, case), _local(console, seen, case, due_at)
    changed = work.change_task(
        console.store, seen.person, case, task, state, people, owner=owner, due_at=due, is_done=bool(done)
    )
    return _done(changed, "tasks")


@router.post("/{case}/close")
def close(
    console: TheConsole,
    seen: Signed,
    case: str,
    state: Text,
    verdict: Annotated[Verdict, Form()],
    note: Text = "",
    with_alerts: Text = "",
) -> Response:
    """Close the case, and its alerts with it where the box is ticked."""
    return _done(work.close(console.store, seen.person, case, state, verdict, note, with_alerts=bool(with_alerts)))


@router.post("/{case}/reopen")
def reopen(console: TheConsole, seen: Signed, case: str, state: Text) -> Response:
    """Open a closed case again."""
    return _done(work.reopen(console.store, seen.person, case, state))


@router.post("/{case}/merge")
def merge(console: TheConsole, seen: Signed, case: str, state: Text, other: Text) -> Response:
    """Move everything into another case, and show that."""
    return _done(work.merge(console.store, seen.person, case, state, other.strip(), console.clock))


@router.post("/{case}/split")
def split(
    console: TheConsole,
    seen: Signed,
    case: str,
    state: Text,
    alert: Annotated[list[str], Form()],
    title: Text = "",
) -> Response:
    """Move the ticked alerts into a new case, and show that."""
    return _done(work.split(console.store, seen.person, case, state, alert, console.clock, seen.lang, title=title))


@router.post("/{case}/link")
def link(console: TheConsole, seen: Signed, case: str, other: Text) -> Response:
    """Name another case as related."""
    return _done(work.link(console.store, seen.person, case, other.strip()), "links")


@router.post("/{case}/requests")
def ask(
    console: TheConsole,
    seen: Signed,
    case: str,
    kind: Annotated[RequestKind, Form()],
    text: Text,
    due_at: Text = "",
) -> Response:
    """Ask the other side."""
    due = _local(console, seen, case, due_at)
    done = requests.ask(console.store, seen.person, case, kind, text, console.clock, due_at=due)
    return _done(done, "requests")


@router.post("/{case}/requests/{item}/answer")
def answer(
    console: TheConsole,
    seen: Signed,
    case: str,
    item: str,
    text: Text = "",
    agreed: Annotated[bool | None, Form()] = None,
) -> Response:
    """Answer a request."""
    done = requests.answer(console.store, seen.person, case, item, text, console.clock, agreed=agreed)
    return _done(done, "requests")


@router.post("/{case}/requests/{item}/withdraw")
def withdraw(console: TheConsole, seen: Signed, case: str, item: str) -> Response:
    """Take back a request of one's own side."""
    return _done(requests.withdraw(console.store, seen.person, case, item, console.clock), "requests")


@router.post("/{case}/files")
async def add_file(request: Request, console: TheConsole, seen: Signed, case: str) -> Response:
    """Keep an evidence file."""
    name, content = await uploaded(request)
    return _done(await run_in_threadpool(evidence.add, console.store, seen.person, case, name, content), "files")


@router.get("/{case}/files/{file}")
def download(console: TheConsole, seen: Signed, case: str, file: str) -> Response:
    """Hand out an evidence file as a download, never as a page."""
    found, content = evidence.read(console.store, seen.person, case, file)
    return attachment(content, found.name)


@router.post("/{case}/report")
def write_report(
    console: TheConsole,
    seen: Signed,
    case: str,
    operator: Annotated[Operator, Form()],
    known_at: Text,
    state: Text = "",
    happened: Text = "",
    impact: Text = "",
    measures: Text = "",
    contact: Text = "",
) -> Response:
    """Write the hospital's incident report."""
    known = _local(console, seen, case, known_at)
    if known is None:
        raise RecordError("when the incident became known is missing", step="cases")
    written = Written(operator, known, happened, impact, measures, contact)
    return _done(report.write(console.store, seen.person, case, state, written), "report")


@router.post("/{case}/report/sent")
def report_sent(console: TheConsole, seen: Signed, case: str, state: Text) -> Response:
    """Say that the report was sent."""
    return _done(report.mark_sent(console.store, seen.person, case, state), "report")


@router.get("/{case}/export/{kind}")
def exported(request: Request, console: TheConsole, seen: Signed, case: str, kind: Format) -> Response:
    """Hand out the case as a page to print, as Markdown or as an OCSF Incident Finding."""
    return export_of(request, console, seen, case, kind)


def export_of(request: Request, console: Console, seen: Visitor, case: str, kind: Format) -> Response:
    """Return the export as a download."""
    whole = timeline.whole(console.store, seen.person, case, seen.lang)
    about = {"tenant": whole.case.tenant, "case": whole.case.id, "address": address_of(request)}
    audit.record(console.store, seen.person.name, "export", what="case", kind=kind, **about)
    hospital = console.hospitals.get(whole.case.tenant)
    name, lang = hospital.name(seen.lang), seen.lang
    if kind == "ocsf":
        answer: Response = JSONResponse(export.incident_finding(whole))
    elif kind == "markdown":
        text = export.markdown(whole, name, hospital.zone, lang)
        answer = PlainTextResponse(text, media_type="text/markdown")
    else:
        facts = export.facts(whole.case, name, hospital.zone, lang)
        answer = printed(request, "case_export.html", facts=facts, **_values(console, seen, whole))
    ending = {"html": "html", "markdown": "md", "ocsf": "json"}[kind]
    return named(answer, f"{whole.case.id}.{ending}")


def _done(case: Case, part: str = "") -> Response:
    return RedirectResponse(f"/cases/{case.id}" + (f"#{part}" if part else ""), 303)


def able(console: Console, seen: Visitor, identifier: str) -> list[Person]:
    """Return who may be given work on a case."""
    return console.workers(cases.read(console.store, seen.person, identifier).tenant)


def _local(console: Console, seen: Visitor, identifier: str, text: str) -> datetime | None:
    """Return the moment that a form's time is in the hospital's zone, None for none; raises RecordError."""
    if not text:
        return None
    zone = console.hospitals.get(cases.read(console.store, seen.person, identifier).tenant).zone
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError:
        raise RecordError(f"{text[:40]!r} is no time", step="cases") from None


def _values(console: Console, seen: Visitor, whole: Whole) -> dict[str, Any]:
    case, person = whole.case, seen.person
    hospital = console.hospitals.get(case.tenant)
    alerts = [AlertView(item.doc, hospital, seen.lang) for item in whole.alerts]
    present = rfc3339(datetime.now(UTC))

    def when(text: str | None) -> Moment:
        return moment(text, hospital.zone) if text else Moment("", "")

    def local(text: str | None) -> str:
        return f"{parse_time(text).astimezone(hospital.zone):%Y-%m-%dT%H:%M}" if text else ""

    def late(due_at: str | None) -> bool:
        return bool(due_at) and str(due_at) < present

    may_work, may_answer = person.may(Right.WORK), person.may(Right.ANSWER)
    return {
        "case": case,
        "case_hospital": hospital,
        "alerts": alerts,
        "open_alerts": [alert for alert in alerts if alert.status in {status.value for status in OPEN}],
        "timeline": whole.timeline,
        "linked": cases.linked(console.store, person, case),
        "people": [one.name for one in console.workers(case.tenant)] if may_work else [],
        "when": when,
        "local": local,
        "late": late,
        "words": lambda task: words_of(task.words, seen.lang),
        "side": cases.side_of(person),
        "hospital_side": Side.HOSPITAL,
        "may_work": may_work and case.open,
        "may_answer": may_answer and case.open,
        "may_note": may_answer,
        "report_due": rfc3339(report.due_at(case.report)) if case.report else None,
        "report_hours": report.HOURS,
        "report_state": report.state_of(case),
        "limit": evidence.MAX_BYTES // 1024 // 1024,
        "kinds": ",".join(f".{kind}" for kind in evidence.KINDS),
    }
