"""BIND query log."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_queries_are_read_from_files_and_syslog() -> None:
    assert [part(doc, "dns.question.name", "dns.question.type", "event.outcome") for doc in sample("bind")] == [
        ("update.example", "A", None),
        ("c2.example", "TXT", None),
        ("his.example", "AXFR", None),
        ("his.example", "A", "failure"),
    ]


def test_a_query_has_both_ends_and_its_own_time() -> None:
    record = "01-Mar-2026 02:11:09.123 client 10.3.1.5#53211 (a.example): query: a.example. IN A + (10.9.1.1)"
    parsed = one("bind", record)
    assert parsed.logsource == LogSource("bind", "dns", "query")
    assert part(parsed.doc, "@timestamp", "source.port", "destination.ip", "dns.question.name") == (
        "2026-02-28T18:11:09.123Z",
        53211,
        "10.9.1.1",
        "a.example",
    )


@pytest.mark.parametrize(
    "record",
    [
        "",
        "01-Mar-2026 02:11:09.000 general: info: running",
        "32-Mar-2026 02:11:09 client 10.3.1.5#1 (a): query: a IN A + (10.9.1.1)",
    ],
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("bind", record)
