"""Own views of the queue."""

from __future__ import annotations

from fastapi import APIRouter

from dashboards import saved_views
from dashboards.api.once import ONCE, ApiRoute
from dashboards.pages.queue import TheDesk
from dashboards.queue import filter_of
from dashboards.saved_views import SavedView

router = APIRouter(prefix="/views", tags=["views"], route_class=ApiRoute, dependencies=[ONCE])


@router.get("")
def views(desk: TheDesk) -> list[SavedView]:
    """List one's own views."""
    return saved_views.of(desk.store, desk.person.name)


@router.post("")
def save(desk: TheDesk, body: SavedView) -> list[SavedView]:
    """Keep a filter under a name, also in place of another one of that name; return one's views."""
    saved_views.save(desk, body.name, filter_of(body.filter))
    return saved_views.of(desk.store, desk.person.name)


@router.delete("/{name}")
def delete(desk: TheDesk, name: str) -> list[SavedView]:
    """Forget a view; return those that are left."""
    saved_views.delete(desk.store, desk.person.name, name)
    return saved_views.of(desk.store, desk.person.name)
