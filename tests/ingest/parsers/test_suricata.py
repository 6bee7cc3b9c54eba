"""Suricata EVE."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_an_alert_names_its_signature_and_both_ends() -> None:
    doc = sample("suricata")[0]
    assert part(doc, "event.kind", "rule.id", "rule.name", "source.ip", "destination.port", "network.direction") == (
        "alert",
        "2019401",
        "ET WEB_SERVER SQL injection",
        "198.51.100.7",
        80,
        "inbound",
    )


def test_queries_of_old_and_new_dns_objects_are_the_same_field() -> None:
    old, new = sample("suricata")[1:3]
    assert part(old, "dns.question.name", "dns.answers.data") == ("update.example", ["203.0.113.9"])
    assert part(new, "dns.question.name", "dns.question.type") == ("c2.example", "TXT")


def test_categories_are_those_of_sigma() -> None:
    record = '{"timestamp":"2026-03-01T02:11:09+0800","event_type":"%s"}'
    found = {kind: one("suricata", record % kind).logsource for kind in ("dns", "http", "alert", "ikev2")}
    assert found == {
        "dns": LogSource("suricata", "dns", "dns"),
        "http": LogSource("suricata", "proxy", "http"),
        "alert": LogSource("suricata", "", "alert"),
        "ikev2": LogSource("suricata", "", "ikev2"),
    }


def test_packets_and_payloads_are_never_copied() -> None:
    record = '{"timestamp":"2026-03-01T02:11:09+0800","event_type":"alert","payload":"c2VjcmV0","packet":"secret"}'
    assert "secret" not in str(one("suricata", record).doc)


@pytest.mark.parametrize(
    "record", ["", "{}", '{"event_type":"alert"}', '{"event_type":"alert","timestamp":"x"}', "[1]"]
)
def test_what_is_no_eve_object_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("suricata", record)
