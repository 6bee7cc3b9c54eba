"""What alerts are over days, and over the hours of a week, in the time of a hospital."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo

from pydantic import BaseModel

from dashboards.spread import Spread, spread
from dashboards.workflow import workflow_of
from wardwatch.alert import AlertDocument, Severity, severity_of
from wardwatch.event import parse_time


class Day(BaseModel):
    """One day's alerts, by when they were raised; the times are those of ``Figures``."""

    severities: dict[Severity, int]
    acknowledge: Spread
    decide: Spread


def daily(docs: list[AlertDocument], start: datetime, end: datetime, zone: tzinfo) -> dict[str, Day]:
    """Return every day from start to end (YYYY-MM-DD in the zone), those without alerts too."""
    first, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    days: dict[str, list[AlertDocument]] = defaultdict(list)
    for doc in docs:
        days[raised(doc).astimezone(zone).date().isoformat()].append(doc)
    each = ((first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1))
    return {day: _day(days[day]) for day in each}


def hours(docs: list[AlertDocument], zone: tzinfo) -> list[list[int]]:
    """Return how many alerts were raised on each weekday, Monday first, in each of its 24 hours."""
    counts = Counter((at.weekday(), at.hour) for at in (raised(doc).astimezone(zone) for doc in docs))
    return [[counts[weekday, hour] for hour in range(24)] for weekday in range(7)]


def since_raised(docs: Iterable[AlertDocument], name: str) -> Spread:
    """Return the times from raised until a moment of the workflow, of the alerts that have it."""
    done = ((workflow_of(doc).get(name), raised(doc)) for doc in docs)
    return spread(parse_time(str(at)) - start for at, start in done if at)


def raised(doc: AlertDocument) -> datetime:
    """Return when an alert was raised."""
    return parse_time(doc["event"]["created"])


def _day(docs: list[AlertDocument]) -> Day:
    return Day(
        severities=dict(Counter(severity_of(doc) for doc in docs)),
        acknowledge=since_raised(docs, "ack_at"),
        decide=since_raised(docs, "decided_at"),
    )
