"""nginx logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_a_request_has_its_parts_and_behind_a_proxy_its_first_client() -> None:
    doc = sample("nginx")[2]
    assert part(doc, "@timestamp", "source.ip", "client.ip", "user.name", "http.request.method", "url.original") == (
        "2026-02-28T18:13:09.000Z",
        "10.9.8.1",
        "203.0.113.124",
        "zhang.wei",
        "POST",
        "/admin/login",
    )
    assert part(doc, "http.response.status_code", "event.outcome", "event.type") == (
        401,
        "failure",
        ["access", "denied"],
    )


def test_escaped_quotes_and_bytes_are_read_as_they_were_sent() -> None:
    line = r'10.3.1.5 - - [01/Mar/2026:02:11:09 +0800] "GET /a?q=\x22\xE6\xAC\xA7 HTTP/1.1" 200 5 "-" "a\"b\\c"'
    assert part(one("nginx", line).doc, "url.original", "user_agent.original") == ('/a?q="欧', 'a"b\\c')


def test_what_a_scanner_sends_is_an_address_as_a_whole() -> None:
    doc = sample("nginx")[3]
    assert part(doc, "http.request.method", "http.response.status_code", "event.outcome") == (None, 400, "failure")
    assert doc["url.original"].startswith("\x16")


def test_an_error_keeps_its_kind_and_whom_it_concerned_but_not_its_words() -> None:
    doc = sample("nginx")[4]
    assert part(doc, "error.type", "source.ip", "url.original", "log.level") == (
        "open()",
        "198.51.100.7",
        "/a.php",
        "error",
    )
    assert "/var/www" not in str(doc)


def test_lines_by_syslog_are_read_too() -> None:
    line = '<190>Mar  1 02:11:09 web1 nginx: 10.3.1.5 - - [01/Mar/2026:02:11:09 +0800] "GET / HTTP/1.1" 200 5'
    assert one("nginx", line).logsource == LogSource("nginx", "webserver", "nginx")


def test_long_hostile_text_takes_no_long_time() -> None:
    for text in ('"' * 50_001, "\\" * 100_000, "GET " * 50_000, "a" * 200_000):
        with pytest.raises(ParseError):
            one("nginx", f'10.3.1.5 - - [01/Mar/2026:02:11:09 +0800] "{text}')


@pytest.mark.parametrize(
    "record",
    ["", "GET / HTTP/1.1", '10.3.1.5 - - [yesterday then] "GET /" 200 1', "2026/13/01 02:11:09 [error] 1#1: open() x"],
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("nginx", record)
