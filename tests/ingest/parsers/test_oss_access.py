"""OSS access logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_reads_and_refused_deletions_are_told_apart() -> None:
    assert [part(doc, "event.action", "event.type", "event.outcome", "user.id") for doc in sample("oss_access")] == [
        ("GetObject", ["access"], "success", "1234567890"),
        ("DeleteObject", ["deletion"], "failure", None),
    ]


def test_a_time_without_zone_is_the_sites() -> None:
    record = '{"operation":"PutObject","bucket":"b","time":"01/Mar/2026:02:11:09","object":"a.zip"}'
    parsed = one("oss_access", record)
    assert parsed.logsource == LogSource("aliyun", "", "oss")
    assert part(parsed.doc, "@timestamp", "file.path", "event.type") == (
        "2026-02-28T18:11:09.000Z",
        "/a.zip",
        ["creation"],
    )


@pytest.mark.parametrize(
    "record", ["", "{}", '{"operation":"a","bucket":"b"}', '{"operation":"a","bucket":"b","__time__":"x"}']
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("oss_access", record)
