"""Monthly reports of hospitals: the list, the page of one, and its downloads."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import PlainTextResponse, Response

from dashboards import audit
from dashboards.console import Console
from dashboards.hospitals import Hospital
from dashboards.monthly.report import MONTH, MonthlyReport, before, monthly
from dashboards.monthly.sections import headline, markdown, sections
from dashboards.pages.downloads import named, printed
from dashboards.pages.figures import MADE_EVERY_S
from dashboards.pages.queue import Chosen
from dashboards.pages.render import render
from dashboards.queue import QueueFilter
from dashboards.visitor import Signed, TheConsole, Visitor, address_of
from wardwatch.errors import NotFound

router = APIRouter(prefix="/reports")
MONTHS = 6
Format = Literal["html", "markdown"]
Month = Annotated[str, Path(pattern=MONTH)]


def made(console: TheConsole, seen: Signed, tenant: str, month: Month) -> MonthlyReport:
    """Return a report, at most MADE_EVERY_S old; raises NotFound."""
    hospital = _hospital(console, seen, tenant)
    key = (seen.person.scope.tenants, tenant, month, hospital.zone, int(time.monotonic() / MADE_EVERY_S))
    make = partial(monthly, console.store, seen.person.scope, hospital, month, datetime.now(UTC))
    return console.months.of(key, make)


Made = Annotated[MonthlyReport, Depends(made)]


@router.get("")
def listing(request: Request, console: TheConsole, seen: Signed, filters: Chosen) -> Response:
    """Show the last months of each hospital."""
    hospitals = console.hospitals.visible(seen.person.scope)
    shown = [each for each in hospitals if filters.tenant in ("", each.tenant)]
    now = datetime.now(UTC)
    return render(
        request,
        "reports.html",
        section="reports",
        home="/reports",
        rows=[(each, [before(f"{now.astimezone(each.zone):%Y-%m}", back) for back in range(MONTHS)]) for each in shown],
        filters=filters,
        hospitals=hospitals,
        hospital=console.hospitals.get(filters.tenant) if filters.tenant else None,
    )


@router.get("/{tenant}/{month}")
def show(request: Request, console: TheConsole, seen: Signed, found: Made) -> Response:
    """Show one month of a hospital."""
    hospital = console.hospitals.get(found.tenant)
    return render(
        request,
        "monthly.html",
        section="reports",
        home="/reports",
        found=found,
        earlier=before(found.month),
        later=before(found.month, -1) if found.end <= found.made_at else "",
        title=headline(found, hospital, seen.lang),
        parts=sections(found, hospital, seen.lang),
        filters=QueueFilter(tenant=found.tenant),
        hospitals=console.hospitals.visible(seen.person.scope),
        hospital=hospital,
    )


@router.get("/{tenant}/{month}/export/{kind}")
def exported(request: Request, console: TheConsole, seen: Signed, kind: Format, found: Made) -> Response:
    """Hand out a month as a page to print or as Markdown."""
    return export_of(request, console, seen, found, kind)


def export_of(request: Request, console: Console, seen: Visitor, found: MonthlyReport, kind: Format) -> Response:
    """Return the report as a download."""
    about = {"tenant": found.tenant, "month": found.month, "address": address_of(request)}
    audit.record(console.store, seen.person.name, "export", what="report", kind=kind, **about)
    hospital = console.hospitals.get(found.tenant)
    title, parts = headline(found, hospital, seen.lang), sections(found, hospital, seen.lang)
    if kind == "markdown":
        text = markdown(title, parts)
        answer: Response = PlainTextResponse(text, media_type="text/markdown")
    else:
        answer = printed(request, "monthly_export.html", title=title, parts=parts)
    ending = {"html": "html", "markdown": "md"}[kind]
    return named(answer, f"{found.tenant}-{found.month}.{ending}")


def _hospital(console: Console, seen: Visitor, tenant: str) -> Hospital:
    """Return a hospital that the visitor sees and that the table ``tenants`` names; raises NotFound."""
    found = next((each for each in console.hospitals.visible(seen.person.scope) if each.tenant == tenant), None)
    if found is None:
        raise NotFound(f"no hospital {tenant[:80]!r}", step="reports")
    return found
