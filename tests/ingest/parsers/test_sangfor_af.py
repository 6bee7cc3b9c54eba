"""Sangfor AF logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_a_refused_connection_is_read_in_both_charsets(charset: str) -> None:
    record = "<134>Mar  1 02:11:09 fw fwlog: 日志类型:应用控制, 策略名称:拒绝, "
    record += "源IP:10.3.1.5, 目的IP:203.0.113.8, 系统动作:拒绝"
    parsed = one("sangfor_af", record.encode(charset))
    assert parsed.logsource == LogSource("sangfor", "firewall", "af")
    assert part(parsed.doc, "source.ip", "rule.name", "event.outcome", "network.direction") == (
        "10.3.1.5",
        "拒绝",
        "failure",
        "outbound",
    )


def test_the_sample_is_understood_line_by_line() -> None:
    assert [doc["event.category"][0] for doc in sample("sangfor_af")] == [
        "network",
        "network",
        "intrusion_detection",
        "intrusion_detection",
        "malware",
        "authentication",
    ]


def test_an_address_that_is_null_is_no_account() -> None:
    assert "user.name" not in sample("sangfor_af")[0]


@pytest.mark.parametrize("record", ["", "fwlog: 其他:x", "<134>Feb 30 02:11:09 fw fwlog: 日志类型:x"])
def test_what_is_no_sangfor_log_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("sangfor_af", record)


def test_long_hostile_text_takes_no_long_time() -> None:
    for text in (", 源IP:" * 30_000, "," * 200_000, "源" * 100_000):
        assert one("sangfor_af", f"日志类型:x{text}").doc["event.module"] == "sangfor"
