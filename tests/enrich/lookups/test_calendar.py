"""The hospital's clock, compared with days that a calendar on the wall confirms."""

from typing import Any

import pytest

from enrich.context import Context
from enrich.lookups.calendar import Calendar
from wardwatch.errors import DecodeError
from wardwatch.event import Event


class Tenants:
    """The table of tenants in memory."""

    def __init__(self, **zones: object) -> None:
        self.zones = zones

    def rows(self, table: str, tenant: str = "") -> dict[str, dict[str, Any]]:
        return {slug: {"zone": zone} for slug, zone in self.zones.items()} if table == "tenants" else {}

    def version(self, table: str) -> int:
        return len(self.zones)


def at(time: str, zone: object = "Asia/Shanghai") -> tuple[int, bool]:
    event = Event({"@timestamp": time}, "ward", "hl7v2")
    Calendar(Tenants(ward=zone)).enrich(event)
    return event.doc["hospital.local_hour"], event.doc["hospital.off_hours"]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-03-02T22:59:59Z", (6, True)),  # Tuesday, 06:59 in Shanghai
        ("2026-03-02T23:00:00Z", (7, False)),
        ("2026-03-03T10:59:59Z", (18, False)),
        ("2026-03-03T11:00:00Z", (19, True)),
        ("2026-03-07T02:00:00Z", (10, True)),  # Saturday
        ("2026-03-06T18:00:00Z", (2, True)),
        ("2026-03-03T10:00:00+08:00", (10, False)),
    ],
)
def test_nights_and_weekends_are_off_hours(time: str, expected: tuple[int, bool]) -> None:
    assert at(time) == expected


@pytest.mark.parametrize(
    ("time", "hour"),
    [
        ("2026-03-29T00:59:00Z", 1),  # Berlin leaves standard time at 01:00 UTC: 02:xx does not exist
        ("2026-03-29T01:00:00Z", 3),
        ("2026-10-25T00:30:00Z", 2),  # and has 02:30 twice in autumn
        ("2026-10-25T01:30:00Z", 2),
    ],
)
def test_summer_time_moves_the_hour(time: str, hour: int) -> None:
    assert at(time, "Europe/Berlin")[0] == hour


@pytest.mark.parametrize("zone", ["", None, "Nowhere/At-All", "../../etc/passwd", "/etc/localtime", 7, "\0"])
def test_a_zone_that_does_not_exist_is_that_of_most_hospitals(zone: object) -> None:
    assert at("2026-03-03T02:00:00Z", zone) == (10, False)


@pytest.mark.parametrize("time", ["yesterday", "2026-03-03T02:00:00", "9999-12-31T23:59:59Z"])
def test_a_time_that_can_not_be_read_is_a_decode_error(time: str) -> None:
    with pytest.raises(DecodeError):
        at(time)


def test_a_zone_changed_in_the_table_is_in_force_for_the_next_event() -> None:
    tenants = Tenants()
    context = Context(tenants)
    event = Event({"@timestamp": "2026-03-03T02:00:00Z"}, "ward", "hl7v2")
    context.enrich(event)
    before = event.doc["hospital.local_hour"]
    tenants.zones["ward"] = "Europe/Berlin"
    context.enrich(event)
    assert (before, event.doc["hospital.local_hour"]) == (10, 3)
