"""COS access logs."""

from __future__ import annotations

import pytest

from ingest.parsers import parser
from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource

FIRST = next(parser("cos_access").split(parser("cos_access").sample())).decode()


def test_reads_refused_deletions_and_uploads_are_told_apart() -> None:
    assert [part(doc, "event.action", "event.type", "event.outcome", "user.id") for doc in sample("cos_access")] == [
        ("GetObject", ["access"], "success", "100000000057"),
        ("DeleteObject", ["deletion"], "failure", None),
        ("UploadPart", ["creation"], "success", "100000000001"),
    ]


def test_a_line_says_when_what_was_read_by_whom_and_how_much() -> None:
    parsed = one("cos_access", FIRST)
    assert parsed.logsource == LogSource("tencent", "", "cos")
    assert part(
        parsed.doc,
        "@timestamp",
        "source.ip",
        "tencent.cos.bucket",
        "file.path",
        "http.response.body.bytes",
        "file.size",
    ) == ("2026-02-28T18:11:09.000Z", "203.0.113.124", "exports-1250000000", "/nightly/his.dmp", 3462992, 3462992)


def test_the_request_in_quotes_has_the_address_that_was_asked() -> None:
    doc = one("cos_access", FIRST).doc
    assert part(doc, "http.request.method", "url.original") == ("GET", "/nightly/his.dmp?response-content-type=x")


def test_values_are_percent_decoded() -> None:
    assert sample("cos_access")[1]["user_agent.original"] == "curl/8.5 (x86_64)"


def test_a_line_of_an_older_log_has_no_requester() -> None:
    parsed = one("cos_access", " ".join(FIRST.split()[:23]))
    assert part(parsed.doc, "event.action", "user.id", "cloud.account.id") == ("GetObject", None, "100000000001")


@pytest.mark.parametrize(
    "record",
    [
        "",
        "{}",
        "1.0 b",
        FIRST.replace("cos-python-sdk-v5", "a b"),
        FIRST.replace("2026-02-28", "2026-02-30"),
        FIRST.replace(" GetObject ", " - "),
    ],
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("cos_access", record)
