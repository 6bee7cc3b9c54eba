"""Alerts and their workflow."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dashboards import queue, suppressions, workflow
from dashboards.api.once import ONCE, ApiRoute
from dashboards.pages.queue import Chosen, TheDesk
from dashboards.visitor import Signed, TheConsole
from dashboards.workflow import Done, state_of
from wardwatch.alert import Verdict, parse_alert_id
from wardwatch.store import Stored

router = APIRouter(prefix="/alerts", tags=["alerts"], route_class=ApiRoute, dependencies=[ONCE])


class Alert(BaseModel):
    """An alert document and the state that a change of it names."""

    document: dict[str, Any]
    state: str


class AlertList(BaseModel):
    """One page; ``after`` is the parameter of the next one, null at the end."""

    total: int
    after: str | None
    alerts: list[Alert]


class Changed(BaseModel):
    """A changed alert; ``audit_id`` undoes the change."""

    alert: Alert
    audit_id: str


class Decision(BaseModel):
    """The state that the change was decided on."""

    state: Annotated[str, Field(max_length=64)]


class Closing(Decision):
    """A verdict; a true positive needs a note."""

    verdict: Verdict
    note: Annotated[str, Field(max_length=workflow.NOTE_CHARACTERS)] = ""


class Assignment(Decision):
    """Who is to have it: the name of an account, "" for nobody."""

    assignee: Annotated[str, Field(max_length=64)] = ""


class Suppressing(Decision):
    """What is to be suppressed: the rule, values of the alert's fields, or both; why, and for how many days."""

    rule: bool = True
    fields: Annotated[list[str], Field(max_length=20)] = []
    days: int = 7
    reason: Annotated[str, Field(max_length=suppressions.REASON_CHARACTERS)]


class Undoing(BaseModel):
    """One's own change to take back."""

    audit_id: Annotated[str, Field(max_length=64)]


@router.get("")
def alerts(desk: TheDesk, filters: Chosen) -> AlertList:
    """List alerts by the queue's filters, 50 at a time; pass ``after`` for the next page."""
    page = queue.page(desk, filters)
    return AlertList(total=page.total, after=page.after, alerts=[alert_of(item) for item in page.items])


@router.get("/counts")
def counts(desk: TheDesk, tenant: str = "") -> dict[str, int]:
    """Count open alerts by severity."""
    return queue.counts(desk, tenant).severities


@router.get("/{alert}")
def one(console: TheConsole, seen: Signed, alert: str) -> Alert:
    """Return one alert."""
    return alert_of(workflow.read(console.store, seen.person, alert))


@router.post("/{alert}/acknowledge")
def acknowledge(console: TheConsole, seen: Signed, alert: str, body: Decision) -> Changed:
    """Take an alert."""
    return _changed(workflow.acknowledge(console.store, seen.person, alert, body.state))


@router.post("/{alert}/close")
def close(console: TheConsole, seen: Signed, alert: str, body: Closing) -> Changed:
    """Close an alert with a verdict."""
    return _changed(workflow.close(console.store, seen.person, alert, body.state, body.verdict, body.note))


@router.post("/{alert}/reopen")
def reopen(console: TheConsole, seen: Signed, alert: str, body: Decision) -> Changed:
    """Open a closed alert again."""
    clock = console.clock(workflow.read(console.store, seen.person, alert).doc)
    return _changed(workflow.reopen(console.store, seen.person, alert, body.state, clock))


@router.post("/{alert}/assign")
def assign(console: TheConsole, seen: Signed, alert: str, body: Assignment) -> Changed:
    """Give an alert to somebody, or to nobody."""
    able = console.workers(parse_alert_id(alert)[0])
    return _changed(workflow.assign(console.store, seen.person, alert, body.state, body.assignee, able))


@router.post("/{alert}/pause")
def pause(console: TheConsole, seen: Signed, alert: str, body: Decision) -> Changed:
    """Stop an alert's clock while the hospital is asked."""
    return _changed(workflow.pause(console.store, seen.person, alert, body.state))


@router.post("/{alert}/resume")
def resume(console: TheConsole, seen: Signed, alert: str, body: Decision) -> Changed:
    """Let an alert's clock go on."""
    clock = console.clock(workflow.read(console.store, seen.person, alert).doc)
    return _changed(workflow.resume(console.store, seen.person, alert, body.state, clock))


@router.post("/{alert}/suppress")
def suppress(console: TheConsole, seen: Signed, alert: str, body: Suppressing) -> Changed:
    """Suppress alerts like this one, and this one with them."""
    done = suppressions.suppress(
        console.store,
        console.tables,
        seen.person,
        alert,
        body.state,
        rule=body.rule,
        fields=body.fields,
        days=body.days,
        reason=body.reason,
    )
    return _changed(done)


@router.post("/{alert}/undo")
def undo(console: TheConsole, seen: Signed, alert: str, body: Undoing) -> Changed:
    """Take back one's own last change."""
    return _changed(suppressions.undo(console.store, console.tables, seen.person, alert, body.audit_id))


def alert_of(item: Stored) -> Alert:
    """Return a stored alert as the API has it."""
    return Alert(document=item.doc, state=state_of(item.doc))


def _changed(done: Done) -> Changed:
    return Changed(alert=alert_of(done.alert), audit_id=done.audit_id)
