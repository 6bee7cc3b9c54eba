"""What stands around an alert: events, processes, related alerts, history, verdicts on its rule, who may have it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from dashboards import audit, processes, verdicts, workflow
from dashboards import related as relations
from dashboards.api.alerts import Alert, alert_of
from dashboards.api.once import ApiRoute
from dashboards.console import Console
from dashboards.pages.alert import as_markdown
from dashboards.pages.queue import view
from dashboards.present import AlertView
from dashboards.processes import Process
from dashboards.verdicts import Share
from dashboards.visitor import Signed, TheConsole, Visitor
from wardwatch.alert import parse_alert_id

router = APIRouter(prefix="/alerts/{alert}", tags=["alerts"], route_class=ApiRoute)


class Relation(BaseModel):
    """Other alerts of seven days with one thing in common: the rule or an entity; at most the newest ten of them."""

    kind: str
    value: str
    total: int
    alerts: list[Alert]


def _view(console: Console, seen: Visitor, alert: str) -> AlertView:
    return view(console, seen, workflow.read(console.store, seen.person, alert).doc)


@router.get("/events")
def events(console: TheConsole, seen: Signed, alert: str) -> list[dict[str, Any]]:
    """Return the alert's sample events, oldest first: flat ECS documents."""
    ids = _view(console, seen, alert).evidence_ids
    return console.store.events.get(seen.person.scope, parse_alert_id(alert)[0], ids)


@router.get("/processes")
def process_tree(console: TheConsole, seen: Signed, alert: str) -> list[Process]:
    """Return the processes of the alert's events with parents and children, in the order of their tree."""
    return processes.tree(console.store, seen.person.scope, _view(console, seen, alert))


@router.get("/related")
def related(console: TheConsole, seen: Signed, alert: str) -> list[Relation]:
    """Return alerts of the same rule and of the same entities, from seven days before the alert on."""
    return [
        Relation(kind=each.kind, value=each.value, total=each.total, alerts=[alert_of(item) for item in each.newest])
        for each in relations.related(console.store, seen.person.scope, _view(console, seen, alert))
    ]


@router.get("/history")
def history(console: TheConsole, seen: Signed, alert: str) -> list[dict[str, Any]]:
    """Return the changes made to the alert, newest first; at most a hundred."""
    doc = workflow.read(console.store, seen.person, alert).doc
    return audit.of_alert(console.store, alert, workflow.last_change(doc))


@router.get("/verdicts")
def mix(console: TheConsole, seen: Signed, alert: str) -> list[Share]:
    """Return what others found in alerts of the rule within 90 days, most frequent first."""
    rule = str(workflow.read(console.store, seen.person, alert).doc["rule"]["id"])
    return verdicts.of_rule(console.store, seen.person, rule)


@router.get("/people")
def people(console: TheConsole, seen: Signed, alert: str) -> list[str]:
    """Return the names of those who may be given the alert."""
    workflow.read(console.store, seen.person, alert)
    return [one.name for one in console.workers(parse_alert_id(alert)[0])]


@router.get("/markdown", response_class=PlainTextResponse)
def text(request: Request, console: TheConsole, seen: Signed, alert: str) -> PlainTextResponse:
    """Return the alert as Markdown, in the account's language."""
    return as_markdown(request, console, seen, alert)
