"""Monthly reports of hospitals."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dashboards.api.once import ApiRoute
from dashboards.monthly.report import MonthlyReport
from dashboards.pages.reports import Format, Made, export_of
from dashboards.visitor import Signed, TheConsole

router = APIRouter(prefix="/reports/{tenant}/{month}", tags=["reports"], route_class=ApiRoute)


@router.get("")
def report(found: Made) -> MonthlyReport:
    """Return what was done for a hospital in a month (YYYY-MM), the present one so far."""
    return found


@router.get("/export/{kind}", response_class=Response)
def exported(request: Request, console: TheConsole, seen: Signed, kind: Format, found: Made) -> Response:
    """Return the report as a page to print or as Markdown, in the account's language."""
    return export_of(request, console, seen, found, kind)
