"""Huawei USG firewall logs."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsers import Parsed, Record, Site
from ingest.parsers.huawei_usg import PARSER
from wardwatch.errors import ParseError
from wardwatch.event import LogSource, encode

SITE = Site(ZoneInfo("Asia/Shanghai"))
RECEIVED = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
POLICY = (
    "vsys=public, protocol=6, source-ip=10.3.1.5, source-port=40123, destination-ip=203.0.113.80, "
    "destination-port=443, source-zone=trust, destination-zone=untrust, application-name=, rule-name=诊区外联."
)


def one(line: str | bytes) -> Parsed:
    data = line if isinstance(line, bytes) else line.encode()
    (parsed,) = PARSER.parse(Record(data, received=RECEIVED), SITE)
    encode(parsed.doc)
    return parsed


def test_a_permitted_connection_has_both_ends_its_zones_and_its_rule() -> None:
    parsed = one(f"<190>2026-03-01 02:11:09 fw-east %%01POLICY/6/POLICYPERMIT(l): {POLICY}")
    assert parsed.logsource == LogSource("huawei", "firewall", "usg")
    assert parsed.doc == {
        "@timestamp": "2026-02-28T18:11:09.000Z",
        "event.kind": "event",
        "event.module": "huawei",
        "event.dataset": "huawei.usg",
        "event.code": "POLICY/POLICYPERMIT",
        "event.severity": 6,
        "event.category": ["network"],
        "event.type": ["connection", "allowed"],
        "event.action": "firewall-allowed",
        "event.outcome": "success",
        "observer.vendor": "Huawei",
        "observer.product": "USG",
        "observer.type": "firewall",
        "observer.name": "fw-east",
        "observer.vsys": "public",
        "observer.ingress.zone": "trust",
        "observer.egress.zone": "untrust",
        "source.ip": "10.3.1.5",
        "source.port": 40123,
        "destination.ip": "203.0.113.80",
        "destination.port": 443,
        "network.transport": "tcp",
        "network.direction": "outbound",
        "rule.name": "诊区外联",
    }


@pytest.mark.parametrize(
    "header",
    [
        "2026-03-01 02:11:09 fw-east ",
        "2026-3-1 02:11:09 fw-east ",
        "<190>2026-03-01 02:11:09+08:00 fw-east ",
        "<190>Mar  1 02:11:09 fw-east ",
        "<190>Mar  1 2026 02:11:09 fw-east ",
        "Mar 01 2026 02:11:09 fw-east ",
        "<190>1 2026-02-28T18:11:09Z fw-east USG 1 - - ",
        "<190>Mar  1 02:11:10 relay 2026-03-01 02:11:09 fw-east ",
    ],
)
def test_every_header_gives_time_and_name(header: str) -> None:
    doc = one(f"{header}%%01POLICY/6/POLICYDENY(l)[7]: {POLICY}").doc
    assert (doc["@timestamp"], doc["observer.name"]) == ("2026-02-28T18:11:09.000Z", "fw-east")
    assert (doc["event.outcome"], doc["event.sequence"]) == ("failure", 7)


def test_a_log_without_header_has_the_time_it_was_received() -> None:
    assert one(f"%%01POLICY/6/POLICYDENY(l): {POLICY}").doc["@timestamp"] == "2026-03-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("source", "destination", "direction"),
    [
        ("10.1.1.1", "192.168.7.7", "internal"),
        ("10.1.1.1", "198.51.100.7", "outbound"),
        ("198.51.100.7", "10.1.1.1", "inbound"),
        ("198.51.100.7", "2001:db8::1", "external"),
    ],
)
def test_direction_is_the_hospitals(source: str, destination: str, direction: str) -> None:
    line = f"%%01SECLOG/6/SESSION_SETUP(l): Protocol=tcp,SourceIP={source},DestinationIP={destination}."
    assert one(line).doc["network.direction"] == direction


def test_a_session_end_has_addresses_behind_nat_and_volume() -> None:
    doc = one(PARSER.sample().splitlines()[2]).doc
    assert (doc["source.nat.ip"], doc["source.bytes"], doc["destination.bytes"]) == ("192.0.2.1", 1200, 8000)
    assert doc["event.type"] == ["connection", "end"]


@pytest.mark.parametrize(
    ("text", "user", "source", "outcome"),
    [
        ("SHELL/4/LOGIN(l): access type:console vsys:root user:admin login from con0", "admin", None, "success"),
        (
            "SHELL/4/LOGIN(l): access type:ssh vsys:root user:admin login from 10.3.9.14",
            "admin",
            "10.3.9.14",
            "success",
        ),
        (
            "SHELL/4/LOGINFAILED(s)[2]: Failed to login. (Ip=10.3.9.14, UserName=admin, Times=1)",
            "admin",
            "10.3.9.14",
            "failure",
        ),
    ],
)
def test_logins_name_account_and_address(text: str, user: str, source: str | None, outcome: str) -> None:
    doc = one(f"2026-03-01 02:11:09 fw %%01{text}").doc
    assert doc["event.category"] == ["authentication"]
    assert (doc["user.name"], doc.get("source.ip"), doc["event.outcome"]) == (user, source, outcome)


def test_threats_are_alerts_with_their_signature() -> None:
    intrusion, virus, web = (one(line).doc for line in PARSER.sample().splitlines()[5:8])
    assert (intrusion["event.kind"], intrusion["threat.signature.name"]) == ("alert", "Generic traversal, path")
    assert intrusion["event.type"] == ["denied"]
    assert (virus["event.category"][0], virus["file.name"]) == ("malware", "scan.exe")
    assert (web["url.domain"], web["event.type"]) == ("games.example", ["access", "denied"])


def test_gbk_text_is_read_though_the_site_says_utf8() -> None:
    line = f"2026-03-01 02:11:09 fw %%01POLICY/6/POLICYPERMIT(l): {POLICY}".encode("gbk")
    assert one(line).doc["rule.name"] == "诊区外联"


def test_a_brief_nobody_knows_keeps_its_text_for_the_scrub() -> None:
    doc = one("2026-03-01 02:11:09 fw %%01HRP/4/CHANGED(l): The state changed to active").doc
    assert (doc["event.code"], doc["message"]) == ("HRP/CHANGED", "The state changed to active")


@pytest.mark.parametrize(
    "line",
    ["", "no log", "%%01POLICY", "2026-02-30 02:11:09 fw %%01A/4/B(l): x=1", "Feb 29 2025 02:11:09 fw %%01A/4/B: x"],
)
def test_what_is_no_huawei_log_is_refused(line: str) -> None:
    with pytest.raises(ParseError):
        one(line)


@given(
    st.binary(max_size=300) | st.text().map(lambda text: b"<190>%%01POLICY/6/POLICYDENY(l): source-ip=" + text.encode())
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        one(data)


def test_long_hostile_text_takes_no_long_time() -> None:
    for part in ("a=" * 50_000, "a" * 200_000, '"' * 100_000, "a:b " * 30_000, "user:a login " * 20_000, " " * 200_000):
        assert one(f"%%01A/4/B(l): {part}").doc["event.code"] == "A/B"
