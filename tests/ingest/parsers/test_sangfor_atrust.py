"""Sangfor aTrust logs."""

from __future__ import annotations

import pytest

from ingest.parsers import parser
from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource

FIRST = next(parser("sangfor_atrust").split(parser("sangfor_atrust").sample())).decode()


def test_every_kind_of_log_says_who_did_what() -> None:
    assert [
        part(doc, "event.action", "event.outcome", "user.name", "event.kind") for doc in sample("sangfor_atrust")
    ] == [
        ("vpn-login", "success", "chen.jing", "event"),
        ("vpn-login", "failure", "admin", "event"),
        ("vpn-attack", "failure", "admin", "alert"),
        ("vpn-logout", "success", "ops", "event"),
        ("vpn-configuration", "success", "ops", "event"),
        ("vpn-access", "failure", "chen.jing", "event"),
    ]


def test_a_login_has_its_time_its_addresses_and_its_machine() -> None:
    parsed = one("sangfor_atrust", FIRST)
    assert parsed.logsource == LogSource("sangfor", "", "atrust")
    assert part(
        parsed.doc,
        "@timestamp",
        "source.ip",
        "source.nat.ip",
        "source.mac",
        "source.domain",
        "observer.ip",
        "atrust.risk",
    ) == (
        "2026-02-28T18:11:09.501Z",
        "203.0.113.24",
        "10.250.1.7",
        "00-00-5E-00-53-23",
        "YJK-07",
        "10.9.1.4",
        False,
    )


def test_an_access_has_both_ends_the_application_and_the_address_of_the_page() -> None:
    doc = sample("sangfor_atrust")[5]
    assert part(
        doc,
        "destination.ip",
        "destination.port",
        "atrust.app",
        "url.original",
        "destination.bytes",
        "network.direction",
    ) == ("10.9.7.20", 443, "HIS", "https://his.example/api/patient/M204871", 7397, "inbound")


@pytest.mark.parametrize("kind", ["user.modify_password", "user.reset_pwd"])
def test_a_change_of_a_password_is_one_of_an_identity(kind: str) -> None:
    doc = one("sangfor_atrust", FIRST.replace("user.login", kind)).doc
    assert part(doc, "event.category", "event.action") == (["iam"], "password-change")


@pytest.mark.parametrize(
    "record",
    [
        "",
        "{}",
        FIRST.replace('"aTrust"', '"other"'),
        FIRST.replace('"user.login"', '""'),
        FIRST.replace("1772302269501", '"x"'),
        FIRST[:-20],
    ],
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("sangfor_atrust", record)
