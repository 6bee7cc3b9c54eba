"""Alibaba Cloud ActionTrail events."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_bare_events_and_those_of_the_log_service_are_read() -> None:
    assert [(doc["event.action"], doc["event.outcome"], doc["event.category"][0]) for doc in sample("actiontrail")] == [
        ("ConsoleSignin", "success", "authentication"),
        ("DeleteTrail", "failure", "configuration"),
        ("GetObject", "success", "file"),
    ]


def test_an_event_says_who_called_from_where() -> None:
    record = '{"eventName":"DeleteUser","serviceName":"Ram","eventTime":"2026-03-01T02:11:09Z",'
    record += '"sourceIpAddress":"203.0.113.9",'
    parsed = one("actiontrail", record + '"userIdentity":{"type":"ram-user","userName":"li.na"}}')
    assert parsed.logsource == LogSource("aliyun", "", "actiontrail")
    assert part(parsed.doc, "user.name", "source.ip", "event.category", "event.type") == (
        "li.na",
        "203.0.113.9",
        ["iam"],
        ["deletion"],
    )


@pytest.mark.parametrize(
    "record", ["", "{}", '{"event":"{"}', '{"eventName":"a","userIdentity":{"type":"b"},"eventTime":"x"}']
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("actiontrail", record)
