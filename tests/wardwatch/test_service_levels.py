"""Service levels: deadlines in a hospital's business time, worked out by hand beside a calendar of 2026."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wardwatch.alert import Severity
from wardwatch.errors import SettingsError
from wardwatch.event import rfc3339
from wardwatch.service_levels import DEFAULT, KEY, Calendar, Clock, check, next_due, paused, policy_of

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
OFFICE = Calendar(
    weekdays=frozenset(range(1, 6)),
    opens=time(8),
    closes=time(17, 30),
    holidays=frozenset({date(2026, 10, 1), date(2026, 10, 2)}),
    workdays=frozenset({date(2026, 10, 10)}),
)


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("start", "minutes", "end"),
    [
        ("2026-03-02 09:00", 30, "2026-03-02 09:30"),  # a Monday
        ("2026-03-02 17:20", 30, "2026-03-03 08:20"),
        ("2026-03-02 05:00", 60, "2026-03-02 09:00"),
        ("2026-03-06 17:00", 60, "2026-03-09 08:30"),  # over a weekend
        ("2026-09-30 17:00", 45, "2026-10-05 08:15"),  # over the two holidays and a weekend
        ("2026-10-09 17:00", 60, "2026-10-10 08:30"),  # a Saturday that is worked
        ("2026-03-02 08:00", 570, "2026-03-02 17:30"),
    ],
)
def test_business_minutes_pass_in_opening_hours_only(start: str, minutes: int, end: str) -> None:
    assert OFFICE.add(at(start), timedelta(minutes=minutes), SHANGHAI) == at(end)
    assert OFFICE.between(at(start), at(end), SHANGHAI) == timedelta(minutes=minutes)


def test_a_day_of_23_hours_has_an_hour_less() -> None:
    start = at("2026-03-29 00:00", BERLIN)  # clocks go forward at 02:00
    assert Calendar().add(start, timedelta(hours=23), BERLIN) == at("2026-03-30 00:00", BERLIN)


_YEARS = (at("2025-01-01 00:00").replace(tzinfo=None), at("2027-12-31 00:00").replace(tzinfo=None))
moments = st.datetimes(*_YEARS, timezones=st.sampled_from([UTC, SHANGHAI, BERLIN]))


@given(moments, st.integers(1, 60 * 24 * 20), st.sampled_from([SHANGHAI, BERLIN]))
def test_what_is_added_has_passed(start: datetime, minutes: int, zone: ZoneInfo) -> None:
    for calendar in (OFFICE, Calendar()):
        end = calendar.add(start, timedelta(minutes=minutes), zone)
        assert calendar.between(start, end, zone) == timedelta(minutes=minutes)


def test_the_default_is_around_the_clock_by_severity() -> None:
    created = at("2026-03-07 23:50")
    for severity, acknowledge, decide in (
        (Severity.CRITICAL, 15, 60),
        (Severity.HIGH, 30, 120),
        (Severity.MEDIUM, 120, 480),
        (Severity.LOW, 480, 1440),
        (Severity.INFORMATIONAL, 480, 1440),
    ):
        started = Clock(DEFAULT, severity, SHANGHAI).started(created)
        assert started["ack_due"] == rfc3339(created + timedelta(minutes=acknowledge))
        assert started["decide_due"] == rfc3339(created + timedelta(minutes=decide))
        assert started["due_at"] == started["ack_due"]


def test_what_is_around_the_clock_does_not_wait_for_opening_hours() -> None:
    policy = DEFAULT.model_copy(update={"calendar": OFFICE, "around_the_clock": frozenset({Severity.CRITICAL})})
    created = at("2026-03-07 23:50")  # a Saturday
    assert Clock(policy, Severity.CRITICAL, SHANGHAI).started(created)["ack_due"] == rfc3339(at("2026-03-08 00:05"))
    assert Clock(policy, Severity.HIGH, SHANGHAI).started(created)["ack_due"] == rfc3339(at("2026-03-09 08:30"))


def test_the_deadline_to_decide_runs_after_the_alert_was_taken() -> None:
    workflow = Clock(DEFAULT, Severity.HIGH, SHANGHAI).started(at("2026-03-02 09:00"))
    assert next_due(workflow) == workflow["ack_due"]
    assert next_due({**workflow, "ack_at": "2026-03-02T01:10:00.000Z"}) == workflow["decide_due"]
    assert next_due({}) is None


def test_a_paused_clock_goes_on_with_what_was_left() -> None:
    policy = DEFAULT.model_copy(update={"calendar": OFFICE})
    clock = Clock(policy, Severity.HIGH, SHANGHAI)
    workflow = clock.started(at("2026-03-02 16:30")) | {"ack_at": rfc3339(at("2026-03-02 16:40"))}
    assert workflow["decide_due"] == rfc3339(at("2026-03-03 09:00"))
    workflow |= paused(at("2026-03-02 17:00"))  # 90 minutes are left
    assert workflow["due_at"] is None
    resumed = clock.resumed(workflow, at("2026-03-04 10:00"))
    assert resumed["decide_due"] == resumed["due_at"] == rfc3339(at("2026-03-04 11:30"))
    assert resumed["paused_at"] is None
    assert "ack_due" not in resumed or resumed["ack_due"] == rfc3339(at("2026-03-04 10:00"))


def test_a_deadline_that_had_passed_before_the_pause_stays_passed() -> None:
    clock = Clock(DEFAULT, Severity.CRITICAL, SHANGHAI)
    workflow = clock.started(at("2026-03-02 09:00")) | paused(at("2026-03-02 09:20"))
    resumed = clock.resumed(workflow, at("2026-03-02 12:00"))
    assert "ack_due" not in resumed
    assert resumed["decide_due"] == rfc3339(at("2026-03-02 12:40"))


def test_three_quarters_of_the_time_are_soon() -> None:
    clock = Clock(DEFAULT.model_copy(update={"calendar": OFFICE}), Severity.MEDIUM, SHANGHAI)
    assert clock.soon(at("2026-03-02 16:30"), at("2026-03-03 09:00")) == at("2026-03-03 08:30")


def test_a_row_gives_the_policy_and_a_wrong_one_the_default() -> None:
    row = {
        "acknowledge": {"critical": 5, "high": 10, "medium": 60, "low": 240},
        "decide": {"critical": 30, "high": 60, "medium": 240, "low": 960},
        "calendar": {"weekdays": [1, 2, 3, 4, 5], "opens": "08:00", "closes": "18:00", "holidays": ["2026-10-01"]},
        "around_the_clock": ["critical"],
    }
    policy = policy_of({KEY: row})
    assert policy.acknowledge.of(Severity.CRITICAL) == timedelta(minutes=5)
    assert policy.calendar.holidays == {date(2026, 10, 1)}
    assert policy_of({}) is DEFAULT
    assert policy_of({KEY: {**row, "decide": {}}}) is DEFAULT


@pytest.mark.parametrize("wrong", [{"weekdays": []}, {"weekdays": [8]}, {"opens": "18:00", "closes": "08:00"}])
def test_a_calendar_that_never_opens_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Calendar.model_validate(wrong)


def test_a_wrong_row_is_refused_by_the_field() -> None:
    with pytest.raises(SettingsError, match=r"acknowledge\.high"):
        check({"acknowledge": {"critical": 5, "high": 0, "medium": 60, "low": 240}, "decide": {}})
