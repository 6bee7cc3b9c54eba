"""Common Event Format."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource

PREFIX = "CEF:0|Acme|Gate|1|7|Connection accepted|5|"


def test_a_virus_is_an_alert_of_an_antivirus_product_with_its_file() -> None:
    parsed = one(
        "cef", r"<134>Mar  1 02:11:09 av CEF:0|QAX|Tian Qing|10|1|发现病毒|8|src=10.3.1.5 fname=a b.exe act=隔离"
    )
    assert parsed.logsource == LogSource("qax", "antivirus", "tian_qing")
    assert part(parsed.doc, "event.kind", "event.category", "event.type") == ("alert", ["malware"], ["info", "denied"])
    assert part(parsed.doc, "file.name", "observer.name") == ("a b.exe", "av")


def test_pipes_equals_signs_and_backslashes_are_read_as_the_format_escapes_them() -> None:
    doc = one("cef", r"CEF:0|a\|b|c\\d|1|7|n|5|request=http://h/?a\=1&b=2 filePath=C:\temp\x.exe act=x\=y").doc
    assert part(doc, "observer.vendor", "observer.product") == ("a|b", r"c\d")
    assert part(doc, "url.original", "file.path", "rule.action") == ("http://h/?a=1&b=2", r"C:\temp\x.exe", "x=y")


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("rt=1772302269000", "2026-02-28T18:11:09.000Z"),
        ("rt=Mar 01 2026 02:11:09", "2026-02-28T18:11:09.000Z"),
        ("start=Mar 01 2026 02:11:09.250 UTC", "2026-03-01T02:11:09.250Z"),
        ("end=Mar 01 2026 02:11:09 +0900", "2026-02-28T17:11:09.000Z"),
        ("src=10.3.1.5", "2026-03-01T00:00:00.000Z"),
    ],
)
def test_times_are_read_in_every_spelling_and_else_it_is_when_the_record_came(time: str, read: str) -> None:
    assert one("cef", PREFIX + time).doc["@timestamp"] == read


def test_an_account_has_one_name_however_its_domain_is_written() -> None:
    docs = [one("cef", f"{PREFIX}suser={user}").doc for user in ("li.na", "HOSP\\li.na", "li.na@hosp.example")]
    assert {doc["user.name"] for doc in docs} == {"li.na"}


def test_free_text_is_never_copied() -> None:
    doc = one("cef", f"{PREFIX}msg=secret words reason=secret cs1=secret cs1Label=secret").doc
    assert "secret" not in str(doc)


@pytest.mark.parametrize("record", ["", "CEF:0|a|b", "CEF:x|a|b|c|d|e|f|", f"{PREFIX}rt=yesterday"])
def test_what_is_no_cef_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("cef", record)


def test_the_sample_has_an_outcome_for_each_refusal() -> None:
    assert [doc.get("event.outcome") for doc in sample("cef")] == ["failure", "failure", "failure", "success"]


def test_long_hostile_text_takes_no_long_time() -> None:
    for text in ("a=" * 50_000, "a" * 200_000, "\\" * 200_000, " a=b" * 50_000, "|" * 100_000):
        assert one("cef", PREFIX + text).doc["event.code"] == "7"
