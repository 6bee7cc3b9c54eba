"""Tomcat access logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_the_common_and_the_combined_format_are_read() -> None:
    common, login, combined = sample("tomcat")
    assert part(common, "url.original", "http.response.body.bytes", "event.outcome") == (
        "/emr/index.jsp",
        512,
        "success",
    )
    assert part(login, "user.name", "http.response.body.bytes") == ("li.na", None)
    assert part(combined, "http.request.method", "user_agent.original") == ("PUT", "python-requests/2.31")


def test_its_events_are_a_web_servers() -> None:
    line = '10.3.1.5 - - [01/Mar/2026:02:11:09 +0000] "GET / HTTP/1.1" 500 5'
    parsed = one("tomcat", line)
    assert parsed.logsource == LogSource("apache", "webserver", "tomcat")
    assert part(parsed.doc, "@timestamp", "event.outcome") == ("2026-03-01T02:11:09.000Z", "failure")


@pytest.mark.parametrize(
    "record", ["", "10.3.1.5 - - no time", "01-Mar-2026 02:11:09.123 INFO [main] org.apache.catalina Server startup"]
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("tomcat", record)
