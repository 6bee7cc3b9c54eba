"""dnsmasq logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_queries_answers_and_leases_are_read() -> None:
    assert [(doc["event.action"], doc.get("dns.question.name")) for doc in sample("dnsmasq")] == [
        ("dns-query", "update.example"),
        ("dns-forward", "update.example"),
        ("dns-answer", "update.example"),
        ("dns-query", "c2.example"),
        ("dns-answer", "c2.example"),
        ("dhcp-ack", None),
    ]


def test_a_query_says_who_asked_for_what() -> None:
    parsed = one("dnsmasq", "<30>Mar  1 02:11:09 gw dnsmasq[1]: query[TXT] c2.example from 10.3.1.5")
    assert parsed.logsource == LogSource("dnsmasq", "dns", "dnsmasq")
    assert part(parsed.doc, "dns.question.type", "source.ip", "observer.name") == ("TXT", "10.3.1.5", "gw")


@pytest.mark.parametrize(
    "record",
    [
        "",
        "Mar  1 02:11:09 gw dnsmasq[1]: started, version 2.90",
        "Feb 30 02:11:09 gw dnsmasq[1]: query[A] a from 10.3.1.5",
    ],
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("dnsmasq", record)
