"""The queue page."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from dashboards import queue, saved_views
from dashboards.console import Console
from dashboards.pages.render import cells, render
from dashboards.present import AlertView
from dashboards.queue import Counts, Desk, QueueFilter
from dashboards.visitor import Signed, TheConsole, Visitor
from wardwatch.alert import AlertDocument, parse_alert_id
from wardwatch.store import AlertSort, Page, Stored, Version

router = APIRouter()
Value = TypeVar("Value")
Word = Annotated[str, Query(max_length=300)]


def chosen(
    tenant: Word = "",
    severity: Word = "",
    status: Word = "",
    rule: Word = "",
    verdict: Word = "",
    assignee: Word = "",
    q: Word = "",
    closed: Word = "",
    due: Word = "",
    critical: Word = "",
    series: Word = "",
    sort: AlertSort = "priority",
    after: Word = "",
) -> QueueFilter:
    """Return the filter in the URL."""
    return QueueFilter(tenant, severity, status, rule, verdict, assignee, q, closed, due, critical, series, sort, after)


Chosen = Annotated[QueueFilter, Depends(chosen)]


def desk(console: TheConsole, seen: Signed, filters: Chosen) -> Desk:
    """Return who asks; their day is the chosen hospital's, else that of most of their hospitals."""
    zone = console.hospitals.zone(seen.person.scope, filters.tenant)
    midnight = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return Desk(console.store, seen.person, midnight)


TheDesk = Annotated[Desk, Depends(desk)]


def view(console: Console, seen: Visitor, doc: AlertDocument) -> AlertView:
    """Return the alert in the visitor's language with its hospital."""
    hospital = console.hospitals.get(parse_alert_id(str(doc["event"]["id"]))[0])
    return AlertView(doc, hospital, seen.lang)


def overview(desk: Desk, filters: QueueFilter, counted: Counts) -> dict[str, Any]:
    """Return what strip and tabs show."""
    tabs = queue.views(desk, filters, counted)
    return {
        "filters": filters,
        "counts": counted.severities,
        "silent": next(tab for tab in tabs if tab.name == "silent"),
        "due": next(tab for tab in tabs if tab.name == "due"),
        "tabs": tabs,
        "own": saved_views.tabs(desk, filters),
    }


def shared(console: Console, desk: Desk, asked: Hashable, read: Callable[[], Value]) -> Value:
    """Return what somebody with the same hospitals was answered a moment ago.

    It is not older than OLD_S, than the last announcement, nor than the last change made over this console.
    """
    return console.moments.of((desk.person.tenants, console.changes, console.feed.news, asked), read)


def _page(console: Console, desk: Desk, filters: QueueFilter) -> tuple[Page, dict[str, int]]:
    """Return the page of alerts, and how many others go on with each."""

    def read() -> tuple[Page, dict[str, int]]:
        found = queue.page(desk, filters)
        return found, queue.series(desk, found.items)

    return shared(console, desk, (filters.query(desk), filters.sort, filters.after), read)


def _lines(
    console: Console, seen: Visitor, filters: QueueFilter, items: Sequence[Stored], going_on: Mapping[str, int]
) -> dict[str, str]:
    keep = filters.url(after=filters.after)
    views = [view(console, seen, item.doc) for item in items]
    return {
        alert.id: line(console, alert, item.version, keep, going_on.get(alert.id, 0))
        for alert, item in zip(views, items, strict=True)
    }


def line(console: Console, alert: AlertView, version: Version, keep: str, going_on: int) -> str:
    """Return the cells of an alert's line: many analysts read the same ones, and times are told in minutes."""
    hospital = (alert.hospital.name(alert.lang), alert.hospital.zone)
    key = (alert.id, version, alert.lang, hospital, keep, going_on, int(time.time()) // 60)
    return console.lines.of(key, lambda: cells(alert, keep, going_on))


@router.get("/rows")
def rows(
    console: TheConsole,
    seen: Signed,
    desk: TheDesk,
    filters: Chosen,
    alert: Annotated[list[Word], Query(max_length=queue.PAGE)],
) -> dict[str, str]:
    """Return the cells of alerts as they are now, by id: lines change where they stand."""
    found = list(console.store.alerts.get(seen.person.scope, alert).values())
    return _lines(console, seen, filters, found, queue.series(desk, found))


@router.get("/")
def show(request: Request, console: TheConsole, seen: Signed, desk: TheDesk, filters: Chosen) -> Response:
    """Show one page of the queue; the first alert is in the panel."""
    page, going_on = _page(console, desk, filters)
    asked = ("counts", filters.tenant, desk.midnight)
    counted = shared(console, desk, asked, lambda: queue.counts(desk, filters.tenant))
    return render(
        request,
        "queue.html",
        rows=_lines(console, seen, filters, page.items, going_on).items(),
        page=page,
        key=secrets.token_urlsafe(16),
        alert=view(console, seen, page.items[0].doc) if page.items else None,
        hospitals=console.hospitals.visible(seen.person.scope),
        hospital=console.hospitals.get(filters.tenant) if filters.tenant else None,
        **overview(desk, filters, counted),
    )
