"""What is suppressed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from dashboards import suppressions, workflow
from dashboards.api.once import ONCE, ApiRoute
from dashboards.suppressions import Backtest, Suppression
from dashboards.visitor import Signed, TheConsole
from wardwatch.event import rfc3339

router = APIRouter(tags=["suppressions"], route_class=ApiRoute, dependencies=[ONCE])


class SuppressionView(BaseModel):
    """One row: alerts of the ``rule`` (its UUID) whose fields have these values are suppressed; tenant "" is all."""

    tenant: str
    id: str
    rule: str
    where: dict[str, str]
    by: str
    reason: str
    expires: str


@router.get("/suppressions")
def listed(console: TheConsole, seen: Signed, tenant: str = "") -> list[SuppressionView]:
    """List suppressions, those that end first at the top."""
    hospitals = [one.tenant for one in console.hospitals.visible(seen.person.scope) if tenant in ("", one.tenant)]
    return [_row(each) for each in suppressions.every(console.tables, seen.person.scope, hospitals)]


@router.delete("/suppressions/{tenant}/{identifier}", status_code=204)
def end(console: TheConsole, seen: Signed, tenant: str, identifier: str) -> Response:
    """End a suppression now; what it made suppressed stays so."""
    suppressions.end(console.store, console.tables, seen.person, tenant, identifier)
    return Response(status_code=204)


@router.get("/alerts/{alert}/backtest")
def backtest(
    console: TheConsole,
    seen: Signed,
    alert: str,
    rule: bool = True,
    field: Annotated[list[str] | None, Query(max_length=20)] = None,
) -> Backtest:
    """Count what suppressing alerts like this one would have hidden: its rule, values of its fields, or both."""
    doc = workflow.read(console.store, seen.person, alert).doc
    where = suppressions.chosen(doc, field or [])
    return suppressions.backtest(console.store, seen.person.scope, doc, rule, where)


def _row(each: Suppression) -> SuppressionView:
    return SuppressionView(
        tenant=each.tenant,
        id=each.id,
        rule=each.rule,
        where=dict(each.where),
        by=each.by,
        reason=each.reason,
        expires=rfc3339(each.expires),
    )
