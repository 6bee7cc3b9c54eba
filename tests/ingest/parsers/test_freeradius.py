"""FreeRADIUS logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_logins_say_who_came_from_where_and_never_with_which_password() -> None:
    accepted, refused, machine = sample("freeradius")
    assert part(accepted, "user.name", "client.mac", "event.outcome") == ("zhang.wei", "00-16-31-EC-17-C4", "success")
    assert part(refused, "user.name", "freeradius.tunnel", "event.outcome") == ("li.na", True, "failure")
    assert machine["user.name"] == "host/NURSE-PC-07"
    assert "wrongpass" not in str(refused)


def test_a_caller_without_hardware_address_may_have_an_ip_address() -> None:
    parsed = one(
        "freeradius", "Sun Mar  1 02:11:09 2026 : Auth: Login OK: [li.na] (from client vpn port 1 cli 203.0.113.9)"
    )
    assert parsed.logsource == LogSource("freeradius", "authentication", "radius")
    assert part(parsed.doc, "source.ip", "client.mac", "@timestamp") == (
        "203.0.113.9",
        None,
        "2026-02-28T18:11:09.000Z",
    )


@pytest.mark.parametrize(
    "record",
    [
        "",
        "Sun Mar  1 02:11:09 2026 : Info: Ready",
        "Sun Feb 30 02:11:09 2026 : Auth: Login OK: [a] (from client b port 1)",
    ],
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("freeradius", record)
