"""Logs of Kong and APISIX."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_both_gateways_give_the_same_fields() -> None:
    names = ("source.ip", "http.request.method", "http.response.status_code", "event.outcome", "api_gateway.route")
    assert [part(doc, *names) for doc in sample("api_gateway")] == [
        ("203.0.113.124", "GET", 200, "success", "orders-v1"),
        ("198.51.100.7", "POST", 401, "failure", "7"),
    ]
    assert [doc["@timestamp"] for doc in sample("api_gateway")] == [
        "2026-02-28T18:11:09.123Z",
        "2026-02-28T18:12:09.123Z",
    ]


def test_bodies_and_other_headers_are_never_copied() -> None:
    record = '{"started_at":1772302269123,"request":{"method":"GET","uri":"/",'
    record += '"body":"secret","headers":{"cookie":"secret"}}}'
    parsed = one("api_gateway", record)
    assert parsed.logsource == LogSource("api_gateway", "webserver", "gateway")
    assert "secret" not in str(parsed.doc)


@pytest.mark.parametrize(
    "record", ["", "{}", '{"request":{"method":"GET"}}', '{"request":{"method":"GET"},"started_at":true}']
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("api_gateway", record)
