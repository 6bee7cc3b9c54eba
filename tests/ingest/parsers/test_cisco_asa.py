"""Cisco ASA messages."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_an_outbound_connection_goes_from_the_inner_to_the_outer_end() -> None:
    doc = sample("cisco_asa")[0]
    assert part(doc, "source.ip", "source.nat.ip", "destination.ip", "observer.ingress.interface.name") == (
        "10.3.1.5",
        "192.0.2.1",
        "203.0.113.80",
        "inside",
    )


def test_the_sample_is_understood_line_by_line() -> None:
    assert [(doc["event.action"], doc["event.outcome"]) for doc in sample("cisco_asa")] == [
        ("session-start", "success"),
        ("session-end", "success"),
        ("firewall-denied", "failure"),
        ("firewall-allowed", "success"),
        ("network-login", "failure"),
        ("vpn-login", "success"),
        ("vpn-logout", "success"),
        ("firewall-login", "failure"),
        ("firewall-command", "success"),
        ("firewall-denied", "failure"),
    ]


def test_a_vpn_session_names_person_group_address_and_volume() -> None:
    doc = sample("cisco_asa")[6]
    assert part(doc, "user.name", "user.group.name", "source.ip", "source.bytes", "destination.bytes") == (
        "zhang.wei",
        "Doctors",
        "203.0.113.124",
        34000,
        120000,
    )


def test_ports_of_every_spelling_are_found() -> None:
    ends = [part(doc, "source.port", "destination.port") for doc in sample("cisco_asa")[2:4] + sample("cisco_asa")[9:]]
    assert ends == [(51000, 3389), (52213, 80), (4012, 445)]


def test_a_message_of_ftd_is_read_too() -> None:
    parsed = one(
        "cisco_asa", "<166>2026-02-28T18:11:09Z ftd1 : %FTD-6-113004: AAA user authentication Successful : user = li.na"
    )
    assert part(parsed.doc, "event.outcome", "user.name", "observer.name") == ("success", "li.na", "ftd1")
    assert parsed.logsource == LogSource("cisco", "firewall", "asa")


@pytest.mark.parametrize("record", ["", "%ASA-6: x", "%ASA-6-30: x", "<166>Feb 30 2026 02:11:09 a : %ASA-6-302013: x"])
def test_what_is_no_asa_message_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("cisco_asa", record)


def test_long_hostile_text_takes_no_long_time() -> None:
    for text in (
        "for a:1.1.1.1/1 " * 3_000,
        "from 1.1.1.1 " * 5_000,
        "src x " * 20_000,
        "executed '" * 5_000,
        "1" * 100_000,
    ):
        assert one("cisco_asa", f"%ASA-6-302013: {text}").doc["event.code"] == "302013"
