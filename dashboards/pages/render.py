"""Templates: always escaped, always with the visitor's words."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dashboards.console import Console
from dashboards.i18n import known, word
from dashboards.present import AlertView
from dashboards.queue import QueueFilter
from dashboards.visitor import Visitor, lang_of, theme_of

FOLDER = Path(__file__).parents[1]

_templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def cells(alert: AlertView, keep: str, going_on: int) -> Markup:
    """Return the cells of an alert's line in the queue; ``keep`` is the query string of its links."""
    parts: Any = _templates.get_template("_parts.html").module
    words, data = partial(word, alert.lang), partial(known, alert.lang)
    written: Markup = parts.cells(alert, keep, alert.lang, words, data, going_on)
    return written


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page in the language and colours of whoever asks."""
    seen: Visitor | None = getattr(request.state, "visitor", None)
    lang = seen.lang if seen else lang_of(request)
    text = _templates.get_template(template).render(
        _=partial(word, lang),
        known=partial(known, lang),
        lang=lang,
        theme=theme_of(request),
        visitor=seen,
        here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        **values,
    )
    return HTMLResponse(text, status)


def framed(request: Request, console: Console, seen: Visitor, template: str, **values: Any) -> HTMLResponse:
    """Return a page beside the queue within the console's frame."""
    hospitals = console.hospitals.visible(seen.person.scope)
    frame: dict[str, Any] = {"filters": QueueFilter(), "hospitals": hospitals, "hospital": None, "section": ""}
    return render(request, template, **frame, **values)
