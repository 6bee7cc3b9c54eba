"""PAN-OS logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_a_connection_has_both_ends_before_and_behind_nat() -> None:
    doc = sample("paloalto")[0]
    assert part(doc, "@timestamp", "source.ip", "source.nat.ip", "user.name", "user.domain", "source.bytes") == (
        "2026-02-28T18:11:09.000Z",
        "10.3.1.5",
        "192.0.2.1",
        "zhang.wei",
        "hosp",
        2228,
    )


def test_the_sample_is_understood_line_by_line() -> None:
    assert [(doc["event.action"], doc.get("event.outcome")) for doc in sample("paloalto")] == [
        ("firewall-allowed", "success"),
        ("firewall-denied", "failure"),
        ("intrusion-detected", None),
        ("url-filter", "failure"),
        ("vpn-login", "failure"),
        ("firewall-login", "failure"),
        ("firewall-command", "success"),
    ]


def test_a_value_in_quotes_may_hold_commas() -> None:
    record = '1,2026/03/01 02:11:10,1,TRAFFIC,end,1,2026/03/01 02:11:09,10.3.1.5,10.3.1.6,,,"a, b",,,ssl,v'
    parsed = one("paloalto", record)
    assert parsed.doc["rule.name"] == "a, b"
    assert parsed.logsource == LogSource("paloalto", "firewall", "traffic")


@pytest.mark.parametrize(
    "record",
    [
        "",
        "1,2026/03/01 02:11:10,1,OTHER,x",
        "1,2026/03/01 02:11:10,1,TRAFFIC,end",
        "1,2026/03/01 02:11:10,1,TRAFFIC,a,1,x,1,2,3",
    ],
)
def test_what_is_no_pan_os_log_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("paloalto", record)
