"""Cisco ISE messages."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_every_category_becomes_an_event() -> None:
    assert [(doc["event.action"], doc["event.outcome"], doc["user.name"]) for doc in sample("cisco_ise")] == [
        ("network-login", "success", "zhang.wei"),
        ("network-login", "failure", "li.na"),
        ("network-session", "success", "zhang.wei"),
        ("administration", "success", "admin"),
    ]


def test_a_login_names_machine_switch_port_and_reason() -> None:
    accepted, refused = sample("cisco_ise")[:2]
    assert part(accepted, "client.mac", "client.ip", "observer.name", "observer.ingress.interface.name") == (
        "00-16-31-EC-17-C4",
        "10.3.1.5",
        "sw-ward3",
        "FastEthernet0/9",
    )
    assert str(refused["event.reason"]).startswith("22056")


def test_its_own_time_goes_before_that_of_syslog() -> None:
    record = "<181>Mar  1 02:12:09 ise1 CISE_Failed_Attempts 1 1 0 "
    record += "2026-03-01 02:11:09.5 +09:00 1 5400 NOTICE A: b, UserName=x"
    parsed = one("cisco_ise", record)
    assert parsed.logsource == LogSource("cisco", "authentication", "ise")
    assert parsed.doc["@timestamp"] == "2026-02-28T17:11:09.500Z"


@pytest.mark.parametrize(
    "record",
    [
        "",
        "CISE_Passed_Authentications 1 3 1 UserName=second segment",
        "CISE_A 1 1 0 2026-02-30 02:11:09.5 +08:00 1 5200 NOTICE A: b, c=d",
    ],
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("cisco_ise", record)
