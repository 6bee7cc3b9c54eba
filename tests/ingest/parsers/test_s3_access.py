"""S3 server access logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_reads_writes_and_deletions_are_told_apart() -> None:
    assert [part(doc, "event.type", "event.outcome", "user.name", "file.path") for doc in sample("s3_access")] == [
        (["access"], "success", "zhang.wei", "/exports/patients.zip"),
        (["deletion"], "failure", None, "/exports/a.zip"),
        (["creation"], "success", "job1", "/nightly/db.dmp"),
    ]


def test_a_key_may_be_missing() -> None:
    record = 'a b [28/Feb/2026:18:11:09 +0000] 10.3.1.5 - R REST.GET.BUCKET - "GET /b HTTP/1.1" 200 - 1 - 1 1 "-" "x" -'
    parsed = one("s3_access", record)
    assert parsed.logsource == LogSource("aws", "", "s3")
    assert part(parsed.doc, "file.path", "aws.s3.bucket", "url.original") == (None, "b", "/b")


@pytest.mark.parametrize(
    "record",
    [
        "",
        "a b [yesterday then]",
        'a b [32/Feb/2026:18:11:09 +0000] 10.3.1.5 - R REST.GET.OBJECT k "GET /k HTTP/1.1" 200 - 1 1 1 1 "-" "x" -',
    ],
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("s3_access", record)
