"""The rows that run the service, and the log of notifications."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from dashboards import service
from dashboards.api.once import ApiRoute
from dashboards.service import States, Table
from dashboards.visitor import Signed, TheConsole

router = APIRouter(prefix="/service", tags=["service"], route_class=ApiRoute)
Tenant = Annotated[str, Query(max_length=100, description="Slug of the hospital; without it, rows that hold for all.")]


class RowView(BaseModel):
    """A row; what is secret in it is "(hidden)", and stays as it is when it is written so."""

    tenant: str
    key: str
    value: dict[str, Any]


class NewRow(BaseModel):
    """The whole row: docs/reference/tables.md has the fields."""

    value: dict[str, Any]


class DeliveryList(BaseModel):
    """One page; ``after`` is the parameter of the next one, null at the end."""

    total: int
    after: str | None
    deliveries: list[dict[str, Any]]


@router.get("/deliveries")
def deliveries(
    console: TheConsole,
    seen: Signed,
    tenant: str = "",
    state: States = "",
    after: Annotated[str, Query(max_length=300)] = "",
) -> DeliveryList:
    """List notifications with what became of them, newest first."""
    page = service.deliveries(console.store, seen.person, tenant, state, after)
    return DeliveryList(total=page.total, after=page.after, deliveries=[item.doc for item in page.items])


@router.get("/{table}")
def rows(console: TheConsole, seen: Signed, table: Table) -> list[RowView]:
    """List the rows of a table in one's hospitals."""
    tenants = [one.tenant for one in console.hospitals.visible(seen.person.scope)]
    found = service.rows(console.tables, seen.person, table, tenants)
    return [RowView(tenant=row.tenant, key=row.key, value=row.value) for row in found]


@router.put("/{table}/{key}", status_code=204)
def put(
    console: TheConsole,
    seen: Signed,
    table: Table,
    key: Annotated[str, Field(max_length=200)],
    body: NewRow,
    tenant: Tenant = "",
) -> Response:
    """Write a row; it is in force everywhere within seconds."""
    service.put(console.store, console.tables, seen.person, table, tenant, key, body.value)
    return Response(status_code=204)


@router.post("/channels/{key}/try", status_code=202)
def try_channel(console: TheConsole, seen: Signed, key: str, tenant: Tenant = "") -> Response:
    """Have the scheduler send a test message over a channel; the log of notifications says what became of it."""
    service.try_channel(console.store, console.tables, seen.person, tenant, key)
    return Response(status_code=202)


@router.delete("/{table}/{key}", status_code=204)
def delete(console: TheConsole, seen: Signed, table: Table, key: str, tenant: Tenant = "") -> Response:
    """Delete a row."""
    service.delete(console.store, console.tables, seen.person, table, tenant, key)
    return Response(status_code=204)
