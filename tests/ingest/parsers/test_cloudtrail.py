"""AWS CloudTrail events."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_events_one_by_one_and_in_files_are_read() -> None:
    assert [(doc["event.action"], doc["event.outcome"], doc["event.category"][0]) for doc in sample("cloudtrail")] == [
        ("ConsoleLogin", "failure", "authentication"),
        ("StopLogging", "success", "configuration"),
        ("GetObject", "failure", "file"),
        ("CreateUser", "success", "iam"),
    ]


def test_who_called_is_told_without_copying_parameters() -> None:
    doc = sample("cloudtrail")[3]
    assert part(doc, "user.name", "user.target.name", "event.provider", "cloud.account.id") == (
        "admin",
        "backdoor",
        "iam.amazonaws.com",
        "111122223333",
    )
    record = '{"eventName":"PutItem","eventSource":"dynamodb.amazonaws.com","eventTime":"2026-03-01T02:11:09Z",'
    parsed = one("cloudtrail", record + '"requestParameters":{"item":"secret"}}')
    assert parsed.logsource == LogSource("aws", "", "cloudtrail")
    assert "secret" not in str(parsed.doc)


@pytest.mark.parametrize(
    "record", ["", "{}", '{"Records":[]}', '{"Records":[1]}', '{"eventName":"a","eventSource":"b","eventTime":"x"}']
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("cloudtrail", record)
