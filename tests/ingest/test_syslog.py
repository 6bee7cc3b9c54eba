from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest import syslog
from wardwatch.errors import ParseError

SHANGHAI = ZoneInfo("Asia/Shanghai")
RECEIVED = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)


def _parse(frame: bytes, received: datetime = RECEIVED) -> syslog.Syslog:
    return syslog.parse(frame, zone=SHANGHAI, received=received)


def test_an_rfc_5424_message_is_read_as_in_the_examples_of_its_section_6_5() -> None:
    found = _parse(
        b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed on /dev/pts/8"
    )
    assert (found.facility, found.severity) == (4, 2)
    assert found.timestamp == datetime(2003, 10, 11, 22, 14, 15, 3000, tzinfo=UTC)
    assert (found.host, found.app, found.process_id, found.message_id) == ("mymachine.example.com", "su", "", "ID47")
    assert found.body == b"'su root' failed on /dev/pts/8"


def test_structured_data_with_escaped_brackets_is_not_part_of_the_body() -> None:
    found = _parse(rb'<165>1 2003-08-24T05:14:15.000003-07:00 host app 8710 - [a@1 x="\]\" ["][b@1] body')
    assert found.body == b"body"
    assert found.timestamp == datetime(2003, 8, 24, 12, 14, 15, 3, tzinfo=UTC)


def test_a_message_may_end_after_its_header() -> None:
    assert _parse(b"<13>1 - - - - - -").body == b""


def test_a_bsd_message_is_read_in_the_zone_of_the_site() -> None:
    found = _parse(b"<86>Mar  1 10:11:09 gate sshd[931]: Accepted password")
    assert found.timestamp == datetime(2026, 3, 1, 2, 11, 9, tzinfo=UTC)
    assert (found.host, found.app, found.process_id, found.body) == ("gate", "sshd", "931", b"Accepted password")


def test_a_bsd_message_of_new_years_eve_received_in_the_new_year_is_of_the_old_year() -> None:
    found = _parse(b"<86>Dec 31 23:59:59 gate cron: x", datetime(2026, 1, 1, 0, 0, 30, tzinfo=SHANGHAI))
    assert found.timestamp == datetime(2025, 12, 31, 23, 59, 59, tzinfo=SHANGHAI)


def test_a_bsd_clock_a_few_hours_ahead_is_not_last_year() -> None:
    found = _parse(b"<86>Mar  1 15:00:00 gate cron: x")
    assert found.timestamp == datetime(2026, 3, 1, 15, 0, tzinfo=SHANGHAI)


def test_a_leap_day_that_the_year_does_not_have_is_refused() -> None:
    with pytest.raises(ParseError, match="time"):
        _parse(b"<86>Feb 29 10:00:00 gate cron: x")


def test_a_message_without_header_is_all_body() -> None:
    found = _parse(b"<190>2026-03-01 10:11:09 fw %%01SHELL/4/LOGIN(l): text")
    assert (found.timestamp, found.host) == (None, "")
    assert found.body.endswith(b"%%01SHELL/4/LOGIN(l): text")


@pytest.mark.parametrize("frame", [b"", b"hello", b"<>1 -", b"<192>1 - - - - - -", b"<1234>x", b"\xff<34>x"])
def test_a_frame_without_a_priority_of_0_to_191_is_refused(frame: bytes) -> None:
    with pytest.raises(ParseError, match="priority"):
        _parse(frame)


@pytest.mark.parametrize("time", [b"yesterday", b"2026-03-01T02:11:09", b"2026-13-01T02:11:09Z", b"\xff"])
def test_a_wrong_rfc_5424_time_is_refused_and_not_quoted(time: bytes) -> None:
    with pytest.raises(ParseError, match="RFC 5424 time") as refused:
        _parse(b"<34>1 " + time + b" host app - - - text")
    assert time.decode("latin-1") not in str(refused.value)


@given(st.binary(max_size=200))
@example(b"1 " + b"[" * 200)
@example(b"1 - - - - - [a][b][c")
def test_any_bytes_behind_a_priority_are_a_message_or_a_parse_error(rest: bytes) -> None:
    with suppress(ParseError):
        assert rest.endswith(_parse(b"<34>" + rest).body)
