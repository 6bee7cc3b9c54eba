"""What stands around an alert: events, processes, related alerts, history, verdicts on its rule, who may have it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
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
from dashboards.visitor import Signed, TheConsole, Visitor
from wardwatch.alert import Verdict, parse_alert_id

router = APIRouter(prefix="/alerts/{alert}", tags=["alerts"], route_class=ApiRoute)


class Process(BaseModel):
    """One line of a tree of processes; ``depth`` counts from the oldest known parent, ``hit`` are the alert's own."""

    name: str
    command: str
    user: str
    pid: str
    at: str
    hit: bool
    depth: int


class Relation(BaseModel):
    """Other alerts of seven days with one thing in common: the rule or an entity; at most the newest ten of them."""

    kind: str
    value: str
    total: int
    alerts: list[Alert]


class Share(BaseModel):
    """A verdict's part of the rule's closed alerts of 90 days."""

    verdict: Verdict
    count: int
    share: float


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
    found = processes.tree(console.store, seen.person.scope, _view(console, seen, alert))
    return [Process.model_validate(each, from_attributes=True) for each in found]


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
    found = verdicts.of_rule(console.store, seen.person, rule)
    return [Share.model_validate(each, from_attributes=True) for each in found]


@router.get("/people")
def people(console: TheConsole, seen: Signed, alert: str) -> list[str]:
    """Return the names of those who may be given the alert."""
    workflow.read(console.store, seen.person, alert)
    return [one.name for one in console.workers(parse_alert_id(alert)[0])]


@router.get("/markdown", response_class=PlainTextResponse)
def text(console: TheConsole, seen: Signed, alert: str) -> PlainTextResponse:
    """Return the alert as Markdown, in the account's language."""
    return as_markdown(console, seen, alert)
