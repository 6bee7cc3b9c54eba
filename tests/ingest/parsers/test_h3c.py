"""H3C Comware logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource

FLOW = "SrcIPAddr(1003)=10.3.1.5;SrcPort(1004)=40123;DstIPAddr(1007)=203.0.113.80;DstPort(1008)=443;Event(1048)=Deny;"
CODE = "%%10FILTER/6/FILTER_ZONE_IPV4_EXECUTION"


@pytest.mark.parametrize(
    "header",
    [
        "<190>Mar  1 02:11:09 2026 fw-east ",
        "<190>Mar 01 2026 02:11:09 fw-east ",
        "<190>2026-03-01T02:11:09 fw-east ",
        "<190>2026-02-28T18:11:09Z fw-east ",
        "<190>Mar  1 02:11:09 fw-east ",
        "%Mar  1 02:11:09:502 2026 fw-east ",
    ],
)
def test_every_header_gives_time_and_name(header: str) -> None:
    parsed = one("h3c", f"{header}{CODE}: {FLOW}")
    assert parsed.doc["@timestamp"][:19] == "2026-02-28T18:11:09"
    assert part(parsed.doc, "observer.name", "event.outcome", "source.port") == ("fw-east", "failure", 40123)
    assert parsed.logsource == LogSource("h3c", "firewall", "comware")


def test_the_sample_is_understood_line_by_line() -> None:
    assert [doc["event.action"] for doc in sample("h3c")] == [
        "firewall-allowed",
        "firewall-denied",
        "session-end",
        "intrusion-detected",
        "virus-detected",
        "firewall-login",
        "firewall-command",
        "firewall-login",
        "url-filter",
    ]


def test_logins_name_the_account_and_where_it_came_from() -> None:
    success, failure = sample("h3c")[5], sample("h3c")[7]
    assert part(success, "user.name", "source.ip", "event.outcome") == ("admin", "10.3.9.14", "success")
    assert part(failure, "user.name", "source.ip", "event.outcome") == ("admin", "10.3.9.15", "failure")


@pytest.mark.parametrize("record", ["", "no log", "%%10FILTER", "<190>Feb 30 02:11:09 2026 fw %%10A/4/B: x"])
def test_what_is_no_h3c_log_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("h3c", record)


def test_long_hostile_text_takes_no_long_time() -> None:
    for text in ("a(1)=" * 40_000, "-a=" * 60_000, "a" * 200_000, "for user a from " * 20_000, " " * 200_000):
        assert one("h3c", f"{CODE}: {text}").doc["event.module"] == "h3c"
