"""Headers before logs, times and pairs that several sources share."""

from __future__ import annotations

import pytest

from ingest.parsers import Record
from ingest.parsers.clock import epoch, spoken
from ingest.parsers.header import header
from ingest.parsers.key_value import pairs
from tests.ingest.parsers.reading import RECEIVED, SITE
from wardwatch.errors import ParseError

RECORD = Record(b"", received=RECEIVED)


@pytest.mark.parametrize(
    "before",
    [
        "<190>Mar  1 02:11:09 fw ",
        "Mar  1 02:11:09 fw ",
        "<190>Mar  1 2026 02:11:09 fw : ",
        "<190>Mar  1 02:11:09 2026 fw ",
        "%Mar  1 02:11:09:502 2026 fw ",
        "2026-03-01 02:11:09 fw ",
        "2026-3-1 02:11:09 fw ",
        "2026-03-01T02:11:09+08:00 fw ",
        "<190>1 2026-02-28T18:11:09.502Z fw app 1 - - ",
        "<190>Mar  1 03:00:00 relay 2026-03-01 02:11:09 fw ",
    ],
)
def test_every_header_gives_the_devices_own_time_and_name(before: str) -> None:
    time, name = header(before, RECORD, SITE, step="test")
    assert (time[:19], name) == ("2026-02-28T18:11:09", "fw")


def test_without_a_header_it_is_when_the_record_came() -> None:
    assert header("", RECORD, SITE, step="test") == ("2026-03-01T00:00:00.000Z", "")
    assert header("<190>", RECORD, SITE, step="test") == ("2026-03-01T00:00:00.000Z", "")


@pytest.mark.parametrize("before", ["2026-13-01 02:11:09 fw ", "Xyz  1 2026 02:11:09 fw ", "<999>Mar  1 02:11:09 fw "])
def test_a_time_that_there_is_not_is_refused(before: str) -> None:
    with pytest.raises(ParseError):
        header(before, RECORD, SITE, step="test")


@pytest.mark.parametrize("value", ["1772302269", 1772302269, "1772302269000", 1772302269000000, "1772302269000000000"])
def test_time_since_1970_is_told_by_its_digits(value: object) -> None:
    assert epoch(value, step="test") == "2026-02-28T18:11:09.000Z"


def test_a_fraction_of_a_second_is_kept() -> None:
    assert epoch("1772302269.25", step="test") == "2026-02-28T18:11:09.250Z"
    assert spoken("Mar 1 02:11:09.25", SITE.zone, 2026, step="test") == "2026-02-28T18:11:09.250Z"


def test_pairs_may_be_quoted_escaped_or_open_to_the_end() -> None:
    text = r'a=1 b="x y" c="q\"q" d= e=f=g a=2 h="never closed'
    assert pairs(text) == {"a": "1", "b": "x y", "c": 'q"q', "d": "", "e": "f=g", "h": "never closed"}


def test_pairs_may_be_separated_otherwise() -> None:
    assert pairs("a=1 2;b=3", ";") == {"a": "1 2", "b": "3"}


def test_long_hostile_text_takes_no_long_time() -> None:
    for text in ("a" * 300_000, 'a="' * 100_000, "a=" * 100_000, '"' * 300_000):
        assert len(pairs(text)) <= 500
