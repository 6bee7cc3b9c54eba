"""The options ``--from``, ``--to`` and ``--tenant`` of commands that read what is archived."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from detections.archive import Span

_AGO = re.compile(r"(\d{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="WHEN",
        help="2026-03-01 or 2026-03-01T02:00 in each hospital's zone, RFC 3339 with a zone, or 7d, 12h, 90m ago.",
    ),
]
To = Annotated[str, typer.Option("--to", metavar="WHEN", help="As --from; that moment itself is left out.")]
TenantNames = Annotated[
    list[str] | None, typer.Option("--tenant", help="Slug of a hospital; may be repeated. Default: all.")
]


def span(start: str, end: str) -> Span:
    """Return the span between two texts as the options take them; raises BadParameter."""
    now = datetime.now(UTC)
    return Span(_moment(start, now), _moment(end, now))


def _moment(text: str, now: datetime) -> datetime:
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text[:40]!r} is no day, no time and no 7d, 12h or 90m ago") from None
