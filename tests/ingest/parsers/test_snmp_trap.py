"""SNMP notifications."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from ingest.parsers import Record, Site, parser
from ingest.parsers.snmp_names import TRAPS, UPS_ALARMS
from tests.ingest.parsers.reading import RECEIVED, one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import rfc3339


def test_a_link_that_went_down_names_switch_and_interface() -> None:
    doc = sample("snmp_trap")[0]
    assert part(doc, "event.action", "event.category", "host.name", "host.ip", "event.severity") == (
        "snmp-link-down",
        ["network"],
        "sw-icu-3",
        "10.3.9.11",
        4,
    )
    assert part(doc, "snmp.interface.name", "snmp.interface.oper_status", "snmp.interface.admin_status") == (
        "GigabitEthernet0/0/48",
        "down",
        "up",
    )
    assert (doc["@timestamp"], doc["host.uptime"]) == (rfc3339(RECEIVED), 86400)


def test_a_failed_authentication_names_who_asked() -> None:
    doc = sample("snmp_trap")[1]
    assert part(doc, "event.category", "event.outcome", "source.ip", "observer.vendor") == (
        ["authentication"],
        "failure",
        "10.3.1.77",
        "Cisco",
    )


def test_alarms_of_a_ups_are_alerts_as_severe_as_they_are() -> None:
    on_battery, low_battery = sample("snmp_trap")[2:4]
    names = ("event.kind", "event.action", "snmp.ups.alarm", "event.severity", "snmp.ups.minutes_remaining")
    assert part(on_battery, *names) == ("alert", "snmp-ups-on-battery", None, 4, 38)
    assert part(low_battery, *names) == ("alert", "snmp-ups-alarm-added", "low-battery", 2, None)


def test_the_well_known_alarms_are_numbered_as_in_rfc_1628() -> None:
    names = list(UPS_ALARMS)
    assert (len(names), names.index("low-battery"), names.index("output-overload")) == (24, 2, 7)
    assert (names.index("communications-lost"), names.index("shutdown-imminent")) == (19, 22)


def test_a_notification_without_a_name_here_keeps_its_oid_and_all_its_variables() -> None:
    doc = sample("snmp_trap")[4]
    assert part(doc, "event.action", "event.code") == ("snmp-trap", "1.3.6.1.4.1.40595.3.0.2")
    assert doc["snmp.variables"] == [
        "1.3.6.1.4.1.40595.3.1.1=fridge 7: 9.4 C above 8.0 C",
        "1.3.6.1.4.1.40595.3.1.2=94",
    ]


def test_octets_in_gbk_are_text_where_the_site_says_so() -> None:

    value = "温度过高".encode("gbk").hex()
    record = f'{{"trap":"1.2","variables":[{{"oid":"1.2.3","type":"hex","value":"{value}"}}]}}'.encode()
    (parsed,) = parser("snmp_trap").parse(Record(record), Site(ZoneInfo("Asia/Shanghai"), "gb18030"))
    assert parsed.doc["snmp.variables"] == ["1.2.3=温度过高"]


def test_severities_are_those_of_syslog() -> None:
    assert {trap.severity for trap in TRAPS.values()} | set(UPS_ALARMS.values()) <= set(range(8))


@pytest.mark.parametrize("record", ["", "{}", '{"trap":""}', '{"trap":[1]}', '{"variables":[]}', "[1]"])
def test_what_is_no_notification_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("snmp_trap", record)
