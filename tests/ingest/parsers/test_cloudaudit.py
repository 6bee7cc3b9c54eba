"""Tencent CloudAudit events."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_both_spellings_of_an_event_are_read() -> None:
    login, deletion = sample("cloudaudit")
    assert part(login, "event.action", "event.outcome", "user.name") == ("ConsoleLogin", "success", "root")
    assert part(deletion, "event.action", "event.outcome", "user.name", "event.category") == (
        "DeleteUser",
        "failure",
        "zhang.wei",
        ["iam"],
    )


def test_a_time_without_zone_is_the_sites() -> None:
    parsed = one("cloudaudit", '{"eventName":"GetObject","eventTime":"2026-03-01 02:11:09","resourceType":"cos"}')
    assert parsed.logsource == LogSource("tencent", "", "cloudaudit")
    assert part(parsed.doc, "@timestamp", "event.category") == ("2026-02-28T18:11:09.000Z", ["file"])


@pytest.mark.parametrize(
    "record", ["", "{}", '{"eventName":"a","eventTime":"x"}', '{"EventName":"a","CloudAuditEvent":"{"}']
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("cloudaudit", record)
