"""SafeLine events."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_a_blocked_attack_is_an_alert_with_its_rule_and_request() -> None:
    doc = sample("safeline")[0]
    assert part(doc, "event.kind", "event.type", "rule.id", "http.request.id", "source.ip", "url.path") == (
        "alert",
        ["denied"],
        "m_sqli/9bf31c7ff062936a96d3c8bd1f8f2ff3",
        "32be0ce3ba6c44be9ed7e1235f9eebab",
        "198.51.100.7",
        "/list.php",
    )
    assert sample("safeline")[1]["event.type"] == ["info"]


def test_it_is_read_behind_a_syslog_header_and_without_its_payload() -> None:
    record = '<30>1 2026-03-01T02:11:09+08:00 w /m/m 1 safeline_event - {"event_id":"a","req_start_time":1772302269749,'
    parsed = one("safeline", record + '"req_payload":"secret","cookie":"secret"}')
    assert parsed.logsource == LogSource("safeline", "webserver", "waf")
    assert parsed.doc["@timestamp"] == "2026-02-28T18:11:09.749Z"
    assert "secret" not in str(parsed.doc)


@pytest.mark.parametrize("record", ["", "{}", '{"event_id":"1"}', '{"event_id":"1","req_start_time":"x"}'])
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("safeline", record)
