"""Own views of the queue: forms that keep and forget them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from dashboards import saved_views
from dashboards.pages.queue import TheDesk

router = APIRouter(prefix="/views")
Text = Annotated[str, Form(max_length=4000)]


@router.post("")
def save(desk: TheDesk, name: Text, filters: Text = "") -> Response:
    """Keep the filter of the queue under a name."""
    chosen = saved_views.filter_from(filters)
    saved_views.save(desk, name, chosen)
    return RedirectResponse(f"/{chosen.url()}", 303)


@router.post("/delete")
def delete(desk: TheDesk, name: Text, filters: Text = "") -> Response:
    """Forget a view."""
    chosen = saved_views.filter_from(filters)
    saved_views.delete(desk.store, desk.person.name, name)
    return RedirectResponse(f"/{chosen.url()}", 303)
