"""What alerts are over days, and over the hours of a week, in the time of a hospital."""

from __future__ import annotations

from collections import Counter, defaultdict
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
        days[_raised(doc).astimezone(zone).date().isoformat()].append(doc)
    each = ((first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1))
    return {day: _day(days[day]) for day in each}


def hours(docs: list[AlertDocument], zone: tzinfo) -> list[list[int]]:
    """Return how many alerts were raised on each weekday, Monday first, in each of its 24 hours."""
    counts = Counter((at.weekday(), at.hour) for at in (_raised(doc).astimezone(zone) for doc in docs))
    return [[counts[weekday, hour] for hour in range(24)] for weekday in range(7)]


def _day(docs: list[AlertDocument]) -> Day:
    def since_raised(name: str) -> Spread:
        done = ((workflow_of(doc).get(name), _raised(doc)) for doc in docs)
        return spread(parse_time(str(at)) - raised for at, raised in done if at)

    return Day(
        severities=dict(Counter(severity_of(doc) for doc in docs)),
        acknowledge=since_raised("ack_at"),
        decide=since_raised("decided_at"),
    )


def _raised(doc: AlertDocument) -> datetime:
    return parse_time(doc["event"]["created"])
