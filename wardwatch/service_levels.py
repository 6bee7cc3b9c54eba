"""Service levels: by when an alert must be acknowledged and decided, in the business time of its hospital.

The rows of the table ``service_levels`` (docs/reference/tables.md) hold one policy per hospital under the key
``default``; a row of tenant "" holds for all that have none. Where there is no row, or a wrong one, DEFAULT holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wardwatch.alert import Severity
from wardwatch.errors import SettingsError
from wardwatch.event import Document, parse_time, rfc3339

TABLE: Final = "service_levels"
KEY: Final = "default"
WARN_AT: Final = 0.75
"""Share of a deadline's time after which it is soon over."""

_ZONE = "Asia/Shanghai"
_Minutes = Annotated[int, Field(ge=1, le=60 * 24 * 366)]
_LONGEST_DAYS = 3 * 366  # looked ahead for business time
_Model = ConfigDict(frozen=True, extra="forbid")


class Minutes(BaseModel):
    """Minutes for each severity."""

    model_config = _Model

    critical: _Minutes
    high: _Minutes
    medium: _Minutes
    low: _Minutes

    def of(self, severity: Severity) -> timedelta:
        """Return the time for a severity; informational has that of low."""
        name = "low" if severity is Severity.INFORMATIONAL else severity.value
        return timedelta(minutes=getattr(self, name))


class Calendar(BaseModel):
    """Business time: from ``opens`` to ``closes`` on ``weekdays`` (1 is Monday) and ``workdays``, not on ``holidays``.

    ``workdays`` are single days, such as a Saturday that is worked instead of a holiday. ``closes`` 00:00 is the end
    of the day.
    """

    model_config = _Model

    weekdays: frozenset[Annotated[int, Field(ge=1, le=7)]] = frozenset(range(1, 8))
    opens: time = time(0)
    closes: time = time(0)
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()

    @model_validator(mode="after")
    def _is_open_at_times(self) -> Calendar:
        if not self.weekdays:
            raise ValueError("no weekday is open")
        if self.closes != time(0) and self.closes <= self.opens:
            raise ValueError("closes is not after opens")
        return self

    def add(self, start: datetime, duration: timedelta, zone: tzinfo) -> datetime:
        """Return the moment at which so much business time has passed since the start."""
        left, day = duration, start.astimezone(zone).date()
        for _ in range(_LONGEST_DAYS):
            opens, closes = self._hours(day, zone)
            begin = max(opens, start)
            if begin < closes:
                if closes - begin >= left:
                    return begin + left
                left -= closes - begin
            day += timedelta(days=1)
        return start + duration  # a calendar that is hardly ever open

    def between(self, start: datetime, end: datetime, zone: tzinfo) -> timedelta:
        """Return the business time from start to end, zero when the end is earlier."""
        passed, day = timedelta(), start.astimezone(zone).date()
        while day <= end.astimezone(zone).date():
            opens, closes = self._hours(day, zone)
            passed += max(timedelta(), min(closes, end) - max(opens, start))
            day += timedelta(days=1)
        return passed

    def _hours(self, day: date, zone: tzinfo) -> tuple[datetime, datetime]:
        """Return when the day opens and closes, in UTC; the same moment twice for a day that does not."""
        opens = datetime.combine(day, self.opens, zone).astimezone(UTC)
        open_today = day in self.workdays or (day.isoweekday() in self.weekdays and day not in self.holidays)
        if not open_today:
            return opens, opens
        ends = day + timedelta(days=1) if self.closes == time(0) else day
        return opens, datetime.combine(ends, self.closes, zone).astimezone(UTC)


class Policy(BaseModel):
    """One row: times to acknowledge and to decide, and the calendar of what is not ``around_the_clock``."""

    model_config = _Model

    by: str = Field("", max_length=200)
    acknowledge: Minutes
    decide: Minutes
    calendar: Calendar = Calendar()
    around_the_clock: frozenset[Severity] = frozenset()

    def times(self, severity: Severity) -> Calendar:
        """Return the calendar of a severity."""
        return Calendar() if severity in self.around_the_clock else self.calendar


DEFAULT: Final = Policy(
    acknowledge=Minutes(critical=15, high=30, medium=120, low=480),
    decide=Minutes(critical=60, high=120, medium=480, low=1440),
)


@dataclass(frozen=True, slots=True)
class Clock:
    """The deadlines of one alert: how they begin, end, pause and go on, as changes of its workflow."""

    policy: Policy
    severity: Severity
    zone: tzinfo

    def started(self, created: datetime) -> dict[str, Any]:
        """Return the workflow fields of an alert that was just created."""
        acknowledge, decide = (
            rfc3339(self._times.add(created, minutes.of(self.severity), self.zone))
            for minutes in (self.policy.acknowledge, self.policy.decide)
        )
        return {"ack_due": acknowledge, "decide_due": decide, "due_at": acknowledge}

    def resumed(self, workflow: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Return the changes that let a paused clock go on: what was left then is left now.

        The deadlines of what was decided before stay what they were.
        """
        if workflow.get("decided_at"):
            return {"paused_at": None, "due_at": None}
        paused = parse_time(str(workflow["paused_at"]))
        moved = {
            name: rfc3339(self._times.add(now, self._times.between(paused, due, self.zone), self.zone))
            for name in ("ack_due", "decide_due")
            if name in workflow and (due := parse_time(str(workflow[name]))) > paused
        }
        return {**moved, "paused_at": None, "sla_state": None, "due_at": next_due({**workflow, **moved})}

    def soon(self, created: datetime, due: datetime) -> datetime:
        """Return when three quarters of the time to a deadline have passed."""
        whole = self._times.between(created, due, self.zone)
        return self._times.add(created, whole * WARN_AT, self.zone)

    @property
    def _times(self) -> Calendar:
        return self.policy.times(self.severity)


def next_due(workflow: Mapping[str, Any]) -> str | None:
    """Return the deadline that comes next of an open alert whose clock runs, None where nothing is due.

    Nothing is due of an alert that became a case: it is decided.
    """
    if workflow.get("decided_at"):
        return None
    due = workflow.get("decide_due" if workflow.get("ack_at") else "ack_due")
    return str(due) if due else None


def paused(now: datetime) -> dict[str, Any]:
    """Return the changes that stop the clock."""
    return {"paused_at": rfc3339(now), "due_at": None}


def check(row: Document) -> Policy:
    """Return the policy of a row; raises SettingsError naming the first field that is wrong."""
    try:
        return Policy.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "the row"
        remedy = "docs/reference/tables.md has an example"
        raise SettingsError(f"{name}: {first['msg']}", step=TABLE, remedy=remedy) from None


def policy_of(rows: Mapping[str, Document]) -> Policy:
    """Return the policy in the rows that hold for a hospital; DEFAULT where there is none, or a wrong one."""
    row = rows.get(KEY)
    try:
        return Policy.model_validate(row) if row is not None else DEFAULT
    except ValidationError:
        return DEFAULT


def zone_of(tenant: Document | None) -> ZoneInfo:
    """Return the time zone in a row of ``tenants``; Asia/Shanghai where it has none."""
    try:
        return ZoneInfo(str((tenant or {}).get("zone") or _ZONE))
    except (KeyError, ValueError, OSError):
        return ZoneInfo(_ZONE)
