"""The alert: as a page of its own and as the queue's panel; its evidence, and what people do with it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from dashboards import audit, processes, queue, reviews, suppressions, verdicts, workflow
from dashboards.cases import work
from dashboards.cases.work import AlertRef
from dashboards.console import Console
from dashboards.pages.queue import Chosen, TheDesk, Word, overview, shared, view
from dashboards.pages.render import render
from dashboards.present import AlertView, dig, moment, shown
from dashboards.queue import Desk, QueueFilter
from dashboards.related import related
from dashboards.summary import markdown
from dashboards.visitor import Signed, TheConsole, Visitor
from dashboards.workflow import Done
from wardwatch.alert import Verdict, parse_alert_id
from wardwatch.service_levels import Clock

router = APIRouter(prefix="/alerts/{alert}")
Text = Annotated[str, Form(max_length=4000)]
Tab = Literal["evidence", "process", "related", "rule", "history", "raw"]


@router.get("", name="alert_page")
def show(
    request: Request,
    console: TheConsole,
    seen: Signed,
    desk: TheDesk,
    filters: Chosen,
    alert: str,
    done: str = "",
    tab: Tab = "evidence",
) -> Response:
    """Show one alert on a page of its own, with the way to its neighbours in the queue."""
    found = workflow.read(console.store, seen.person, alert)
    asked = ("nearest", filters.query(desk), filters.sort)
    before, after = queue.neighbours(shared(console, desk, asked, lambda: queue.nearest(desk, filters)), alert)
    return render(
        request,
        "alert.html",
        alert=view(console, seen, found.doc),
        done=done,
        before=before,
        after=after,
        full=True,
        filters=filters,
        hospitals=console.hospitals.visible(seen.person.scope),
        hospital=None,
        **_tab(console, seen, view(console, seen, found.doc), tab),
    )


@router.get("/panel")
def panel(request: Request, console: TheConsole, seen: Signed, filters: Chosen, alert: str) -> Response:
    """Show one alert in the queue's panel."""
    found = workflow.read(console.store, seen.person, alert)
    return render(request, "_panel.html", alert=view(console, seen, found.doc), filters=filters)


@router.get("/tab/{tab}")
def tab(request: Request, console: TheConsole, seen: Signed, filters: Chosen, alert: str, tab: Tab) -> Response:
    """Show one tab of the alert; the evidence reads its events only now."""
    shown_alert = view(console, seen, workflow.read(console.store, seen.person, alert).doc)
    return render(request, "_tab.html", alert=shown_alert, filters=filters, **_tab(console, seen, shown_alert, tab))


@router.post("/acknowledge")
def acknowledge(
    request: Request, console: TheConsole, seen: Signed, desk: TheDesk, filters: Chosen, alert: str, state: Text
) -> Response:
    """Take the alert."""
    done = workflow.acknowledge(console.store, seen.person, alert, state)
    return answer(request, console, seen, desk, filters, done, "acknowledge")


@router.post("/close")
def close(
    request: Request,
    console: TheConsole,
    seen: Signed,
    desk: TheDesk,
    filters: Chosen,
    alert: str,
    state: Text,
    verdict: Annotated[Verdict, Form()],
    note: Text = "",
) -> Response:
    """Close the alert with a verdict."""
    done = workflow.close(console.store, seen.person, alert, state, verdict, note)
    return answer(request, console, seen, desk, filters, done, "close")


@router.post("/reopen")
def reopen(
    request: Request, console: TheConsole, seen: Signed, desk: TheDesk, filters: Chosen, alert: str, state: Text
) -> Response:
    """Open a closed alert again."""
    done = workflow.reopen(console.store, seen.person, alert, state, _clock(console, seen, alert))
    return answer(request, console, seen, desk, filters, done, "reopen")


@router.post("/assign")
def assign(
    request: Request,
    console: TheConsole,
    seen: Signed,
    desk: TheDesk,
    filters: Chosen,
    alert: str,
    state: Text,
    assignee: Text = "",
) -> Response:
    """Give the alert to somebody, or to nobody."""
    able = console.workers(parse_alert_id(alert)[0])
    done = workflow.assign(console.store, seen.person, alert, state, assignee, able)
    return answer(request, console, seen, desk, filters, done, "assign")


@router.post("/pause")
def pause(
    request: Request, console: TheConsole, seen: Signed, desk: TheDesk, filters: Chosen, alert: str, state: Text
) -> Response:
    """Stop the clock while the hospital is asked."""
    done = workflow.pause(console.store, seen.person, alert, state)
    return answer(request, console, seen, desk, filters, done, "pause")


@router.post("/resume")
def resume(
    request: Request, console: TheConsole, seen: Signed, desk: TheDesk, filters: Chosen, alert: str, state: Text
) -> Response:
    """Let the clock go on."""
    done = workflow.resume(console.store, seen.person, alert, state, _clock(console, seen, alert))
    return answer(request, console, seen, desk, filters, done, "resume")


@router.post("/escalate")
def escalate(
    request: Request,
    console: TheConsole,
    seen: Signed,
    desk: TheDesk,
    filters: Chosen,
    alert: str,
    state: Text,
    case: Text = work.NEW,
) -> Response:
    """Make the alert part of a new case, of the last-used one, or of one by its number."""
    chosen = [AlertRef(alert, state)]
    made = work.escalate(console.store, seen.person, chosen, console.clock, seen.lang, case=case.strip())
    return answer(request, console, seen, desk, filters, made.done[0], "escalate")


@router.get("/verdicts")
def mix(request: Request, console: TheConsole, seen: Signed, alert: str) -> Response:
    """Show what others found in alerts of the rule, for the menu that closes."""
    found = workflow.read(console.store, seen.person, alert)
    shares = verdicts.of_rule(console.store, seen.person, str(found.doc["rule"]["id"]))
    return render(request, "_verdicts.html", shares=shares)


@router.get("/markdown")
def text(request: Request, console: TheConsole, seen: Signed, alert: str) -> Response:
    """Return the alert as Markdown, to be copied."""
    return as_markdown(request, console, seen, alert)


@router.get("/look")
def look(
    request: Request, console: TheConsole, seen: Signed, filters: Chosen, alert: str, state: Word = ""
) -> Response:
    """Show who else looks at the alert, and whether it has changed since the page has it; remember who asks."""
    now = view(console, seen, workflow.read(console.store, seen.person, alert).doc)
    others = console.presence.look(seen.person, alert)
    return render(request, "_look.html", alert=now, others=others, changed=state != now.state, filters=filters)


@router.get("/people")
def people(console: TheConsole, seen: Signed, alert: str) -> list[str]:
    """Return who may be given the alert, for the menu's choices."""
    workflow.read(console.store, seen.person, alert)
    return [one.name for one in console.workers(parse_alert_id(alert)[0])]


@router.post("/undo")
def undo(
    request: Request, console: TheConsole, seen: Signed, desk: TheDesk, filters: Chosen, alert: str, audit_id: Text
) -> Response:
    """Take back one's own last change."""
    done = suppressions.undo(console.store, console.tables, seen.person, alert, audit_id)
    return answer(request, console, seen, desk, filters, done, "undo")


def answer(
    request: Request, console: Console, seen: Visitor, desk: Desk, filters: QueueFilter, done: Done, action: str
) -> Response:
    """Return the panel, row, counts and toast to htmx, or lead a plain form to the alert's page."""
    changed = view(console, seen, done.alert.doc)
    undoable = done.audit_id if action != "undo" else ""
    if request.headers.get("HX-Request") != "true" or request.headers.get("HX-Target") != "panel":
        return RedirectResponse(f"/alerts/{changed.id}{filters.url(after=filters.after)}&done={undoable}", 303)
    return render(
        request,
        "_changed.html",
        alert=changed,
        action=action,
        done=undoable,
        **overview(desk, filters, queue.counts(desk, filters.tenant)),
    )


def as_markdown(request: Request, console: Console, seen: Visitor, alert: str) -> PlainTextResponse:
    """Return the alert as Markdown; its link is its own, or this console's."""
    found = workflow.read(console.store, seen.person, alert)
    link = dig(found.doc, "event.url") or request.url_for("alert_page", alert=alert)
    return PlainTextResponse(markdown(view(console, seen, found.doc), str(link)), media_type="text/markdown")


def _clock(console: Console, seen: Visitor, alert: str) -> Clock:
    return console.clock(workflow.read(console.store, seen.person, alert).doc)


def _tab(console: Console, seen: Visitor, alert: AlertView, tab: Tab) -> dict[str, Any]:
    values: dict[str, Any] = {"tab": tab, "has_processes": processes.concerns(alert)}
    if tab == "evidence":
        tenant = parse_alert_id(alert.id)[0]
        docs = console.store.events.get(seen.person.scope, tenant, alert.evidence_ids)
        matched = dict(alert.matched)
        values["events"] = [_event(doc, alert, matched) for doc in docs]
    elif tab == "process":
        zone = alert.hospital.zone
        found = processes.tree(console.store, seen.person.scope, alert)
        values["processes"] = [(each, moment(each.at, zone)) for each in found]
    elif tab == "related":
        values["related"] = [
            (group, [view(console, seen, item.doc) for item in group.newest])
            for group in related(console.store, seen.person.scope, alert)
        ]
    elif tab == "rule":
        values["shares"] = verdicts.of_rule(console.store, seen.person, str(alert.doc["rule"]["id"]))
    elif tab == "history":
        zone = alert.hospital.zone
        second = reviews.of_alert(console.store, alert.doc)
        values["review"] = second and {**second, "when": moment(second["at"], zone)}
        values["history"] = [
            {**entry, "when": moment(entry["at"], zone), "changed": audit.changed(entry)}
            for entry in audit.of_alert(console.store, alert.id, workflow.last_change(alert.doc))
        ]
    return values


def _event(doc: dict[str, Any], alert: AlertView, matched: dict[str, list[str]]) -> dict[str, Any]:
    fields = [(shown(name, 80), shown(value), name in matched) for name, value in sorted(doc.items())]
    bookkeeping = ("event.", "ecs.", "observer.", "log.", "wardwatch.", "@")
    return {
        "when": moment(doc.get("@timestamp"), alert.hospital.zone),
        "action": shown(doc.get("event.action") or doc.get("message") or doc.get("event.dataset"), 160),
        "fields": sorted(fields, key=lambda field: (not field[2], field[0].startswith(bookkeeping))),
    }
