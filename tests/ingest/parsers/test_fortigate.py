"""FortiGate logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_times_are_those_of_the_event_in_every_unit() -> None:
    for time in ("1772302269", "1772302269000", "1772302269000000000"):
        assert (
            one("fortigate", f"eventtime={time} devname=a type=traffic").doc["@timestamp"] == "2026-02-28T18:11:09.000Z"
        )
    zoned = 'date=2026-03-01 time=02:11:09 tz="+0900" type="traffic"'
    assert one("fortigate", zoned).doc["@timestamp"] == "2026-02-28T17:11:09.000Z"


def test_log_sources_are_those_of_sigmahq() -> None:
    record = 'date=2026-03-01 time=02:11:09 type="%s" subtype="%s"'
    found = [one("fortigate", record % kinds).logsource for kinds in (("event", "system"), ("traffic", "local"))]
    assert found == [LogSource("fortigate", "", "event"), LogSource("fortigate", "firewall", "traffic")]


def test_the_sample_is_understood_line_by_line() -> None:
    assert [(doc["event.action"], doc["event.type"][-1]) for doc in sample("fortigate")] == [
        ("firewall-allowed", "allowed"),
        ("firewall-denied", "denied"),
        ("intrusion-detected", "denied"),
        ("virus-detected", "denied"),
        ("url-filter", "allowed"),
        ("firewall-login", "start"),
        ("vpn-login", "start"),
        ("firewall-command", "change"),
    ]


def test_a_new_administrator_can_be_found_by_its_configuration_path() -> None:
    assert part(sample("fortigate")[-1], "fortinet.cfgpath", "rule.action") == ("system.admin", "Add")


def test_a_quoted_value_may_hold_quotes_equals_signs_and_spaces() -> None:
    record = r'date=2026-03-01 time=02:11:09 type="traffic" policyname="a \"b\" c=d" srcip=10.3.1.5'
    assert part(one("fortigate", record).doc, "rule.name", "source.ip") == ('a "b" c=d', "10.3.1.5")


@pytest.mark.parametrize("record", ["", "date=2026-03-01", 'date=x time=y type="traffic"', "type=traffic"])
def test_what_is_no_fortigate_log_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("fortigate", record)
