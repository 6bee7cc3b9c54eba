"""Microsoft DHCP logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_a_lease_ties_an_address_to_a_machine() -> None:
    doc = sample("ms_dhcp")[0]
    assert part(doc, "@timestamp", "client.ip", "client.mac", "client.domain", "event.action") == (
        "2026-02-28T18:11:09.000Z",
        "10.3.1.5",
        "00-16-31-EC-17-C4",
        "NURSE-PC-07.hosp.example",
        "dhcp-lease",
    )


def test_codes_become_actions() -> None:
    assert [doc["event.action"] for doc in sample("ms_dhcp")] == [
        "dhcp-lease",
        "dhcp-renew",
        "dhcp-release",
        "dhcp-denied",
        "dhcp-dns-update",
    ]


def test_a_code_that_is_not_known_and_a_year_of_four_digits_are_read() -> None:
    parsed = one("ms_dhcp", "99,03/01/2026,02:11:09,Other,10.3.1.5")
    assert parsed.logsource == LogSource("microsoft", "dhcp", "dhcp")
    assert part(parsed.doc, "event.action", "@timestamp") == ("dhcp-event", "2026-02-28T18:11:09.000Z")


@pytest.mark.parametrize(
    "record", ["", "ID,Date,Time,Description", "10,13/45/26,02:11:09,Assign,10.3.1.5", "10,03/01/26,02:11:09"]
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("ms_dhcp", record)
