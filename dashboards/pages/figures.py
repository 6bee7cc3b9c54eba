"""How the shift does, and what is to be mended: rules for those who tune, sources for their owners."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from dashboards import tuning
from dashboards.charts import charts, shades
from dashboards.figures import DAYS, Report, report
from dashboards.pages.queue import Chosen
from dashboards.pages.render import render
from dashboards.present import duration
from dashboards.visitor import Signed, TheConsole

router = APIRouter()
MADE_EVERY_S = 60
Days = Annotated[int, Query(ge=1, le=90)]


def reported(console: TheConsole, seen: Signed, filters: Chosen, days: Days = 30) -> Report:
    """Return the figures, at most MADE_EVERY_S old."""
    scope, tenant = seen.person.scope, filters.tenant
    zone = console.hospitals.zone(scope, tenant)
    key = (scope.tenants, tenant, zone, days, int(time.monotonic() / MADE_EVERY_S))
    return console.reports.of(key, lambda: report(console.store, scope, tenant, days, datetime.now(UTC), zone))


Reported = Annotated[Report, Depends(reported)]


@router.get("/figures")
def show(request: Request, console: TheConsole, seen: Signed, filters: Chosen, found: Reported) -> Response:
    """Show times, service levels and verdicts."""
    return render(
        request,
        "figures.html",
        section="figures",
        home="/figures",
        found=found,
        charts=charts(found, seen.lang),
        hours=shades(found.hours),
        zone=console.hospitals.zone(seen.person.scope, filters.tenant).key,
        every_days=DAYS,
        said=lambda seconds: "—" if seconds is None else duration(timedelta(seconds=seconds), seen.lang),
        hospital_of=console.hospitals.get,
        filters=filters,
        hospitals=console.hospitals.visible(seen.person.scope),
        hospital=console.hospitals.get(filters.tenant) if filters.tenant else None,
    )


@router.get("/tuning")
def show_tuning(request: Request, console: TheConsole, seen: Signed, filters: Chosen) -> Response:
    """Show the rules and the sources that false positives came from."""
    scope = seen.person.scope
    return render(
        request,
        "tuning.html",
        section="tuning",
        home="/tuning",
        rules=tuning.rules(console.store, scope, filters.tenant),
        sources=tuning.sources(console.store, scope, filters.tenant),
        hospital_of=console.hospitals.get,
        filters=filters,
        hospitals=console.hospitals.visible(scope),
        hospital=console.hospitals.get(filters.tenant) if filters.tenant else None,
    )
