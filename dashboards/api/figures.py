"""Figures of the shift, and what is to be mended."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from dashboards import tuning
from dashboards.api.once import ApiRoute
from dashboards.figures import Report
from dashboards.pages.figures import Reported
from dashboards.tuning import RuleRecord, SourceRecord
from dashboards.visitor import Signed, TheConsole

router = APIRouter(tags=["figures"], route_class=ApiRoute)


class Tuning(BaseModel):
    """Rules by faults of their logic, log sources by faults of their data, within 90 days."""

    rules: list[RuleRecord]
    sources: list[SourceRecord]


@router.get("/figures")
def figures(found: Reported) -> Report:
    """Return times, service levels and verdicts of the alerts of the last days, of one hospital or of all."""
    return found


@router.get("/tuning")
def to_tune(console: TheConsole, seen: Signed, tenant: str = "") -> Tuning:
    """Return the rules and sources that false positives came from."""
    scope = seen.person.scope
    return Tuning(
        rules=tuning.rules(console.store, scope, tenant), sources=tuning.sources(console.store, scope, tenant)
    )
