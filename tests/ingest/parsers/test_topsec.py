"""Topsec logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_a_permitted_connection_has_its_ends_its_interfaces_and_its_rule() -> None:
    doc = sample("topsec")[0]
    assert part(doc, "@timestamp", "source.ip", "source.mac", "observer.name", "rule.id", "event.outcome") == (
        "2026-02-28T18:11:09.000Z",
        "10.3.1.5",
        "74-25-8A-EB-F6-0E",
        "外网防火墙",
        "8003",
        "success",
    )


def test_the_sample_is_understood_line_by_line() -> None:
    assert [(doc["event.action"], doc.get("event.outcome")) for doc in sample("topsec")] == [
        ("firewall-allowed", "success"),
        ("firewall-denied", "failure"),
        ("firewall-command", "success"),
        ("firewall-login", "failure"),
        ("vpn-login", "success"),
        ("intrusion-detected", "failure"),
    ]


def test_gbk_is_read_though_the_site_says_utf8() -> None:
    record = 'id=tos time="2026-03-01 02:11:09" fw=外网 pri=6 type=ac src=10.3.1.5 dst=10.3.1.6 rule=accept'
    parsed = one("topsec", record.encode("gbk"))
    assert parsed.doc["observer.name"] == "外网"
    assert parsed.logsource == LogSource("topsec", "firewall", "tos")


@pytest.mark.parametrize("record", ["", "id=tos", "id=tos pri=5", 'id=tos time="yesterday" type=ac'])
def test_what_is_no_topsec_log_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("topsec", record)
