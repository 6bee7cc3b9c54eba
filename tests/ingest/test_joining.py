"""Joining the records of one audit event, however they come: the truth is who wrote them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ingest.joining import OPEN_BYTES, OPEN_EVENTS, WAIT_S, Joined, Joiner
from ingest.parsers import Record, Site
from ingest.parsers.auditd import PARSER, part

KINDS = ("SYSCALL", "EXECVE", "CWD", "PATH", "PROCTITLE")


def line(kind: str, serial: int, second: float = 0.0) -> bytes:
    body = {
        "EXECVE": 'argc=1 a0="tar"',
        "CWD": 'cwd="/root"',
        "PATH": 'item=0 name="/opt/his"',
        "USER_LOGIN": "pid=1 res=success",
    }
    more = body.get(kind, "arch=c000003e syscall=59 success=yes pid=4188")
    return f"type={kind} msg=audit({1_772_302_269 + second:.3f}:{serial}): {more}".encode()


def event(serial: int, *, ends: bool, second: float = 0.0) -> list[bytes]:
    return [line(kind, serial, second) for kind in (*KINDS, *(["EOE"] if ends else []))]


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[bytes], set[bytes]]:
    """Draw the lines of a log, events of which lie between those of others, and its events as they were written."""
    count = draw(st.integers(1, 8))
    wanted = [event(serial, ends=draw(st.booleans()), second=serial * 0.001) for serial in range(1, count + 1)]
    wanted += [[line("USER_LOGIN", 100 + number)] for number in range(draw(st.integers(0, 3)))]
    waiting = [list(lines) for lines in wanted]
    written: list[bytes] = []
    while waiting:
        chosen = draw(st.integers(0, min(2, len(waiting) - 1)))  # as many processors as write at a time
        written.append(waiting[chosen].pop(0))
        waiting = [lines for lines in waiting if lines]
    return written, {b"\n".join(lines) for lines in wanted}


def whole(lines: Sequence[bytes]) -> list[bytes]:
    return list(PARSER.split(b"\n".join(lines) + b"\n"))


@given(logs())
def test_a_file_read_whole_gives_the_events_as_they_were_written(log: tuple[list[bytes], set[bytes]]) -> None:
    lines, events = log
    found = whole(lines)
    assert (len(found), set(found)) == (len(events), events)
    for one in found:
        PARSER.parse(Record(one), Site())


@given(logs(), st.data())
def test_a_file_tailed_through_crashes_gives_the_events_of_the_file_read_whole(
    log: tuple[list[bytes], set[bytes]], data: st.DataObject
) -> None:
    """What is durable is the mark: after a crash the reader begins there again; what it reads twice is alike."""
    lines, events = log
    ends = [0]
    for one in lines:
        ends.append(ends[-1] + len(one) + 1)
    found: list[Joined] = []
    mark = 0
    for _ in range(data.draw(st.integers(0, 4))):
        joiner, at = Joiner(part), ends.index(mark)
        while at < len(lines) and data.draw(st.booleans()):
            for _ in range(min(data.draw(st.integers(1, 5)), len(lines) - at)):
                found += joiner.feed(lines[at], begin=ends[at], end=ends[at + 1])
                at += 1
            mark = joiner.settled(ends[at])
    joiner = Joiner(part)
    for at in range(ends.index(mark), len(lines)):
        found += joiner.feed(lines[at], begin=ends[at], end=ends[at + 1])
    found += joiner.flush()
    assert {one.data for one in found} == events
    assert len({(one.begin, one.data) for one in found}) == len(events)  # what was read twice has the same position
    assert joiner.settled(ends[-1]) == ends[-1]


def test_an_event_without_end_is_complete_when_the_clock_of_the_log_or_ours_is_further() -> None:
    joiner = Joiner(part)
    for one in event(1, ends=False):
        assert joiner.feed(one, 0.0) == []
    assert joiner.feed(line("USER_LOGIN", 2, 1.9), 0.0) == [Joined(line("USER_LOGIN", 2, 1.9), "", 0)]
    closed = joiner.feed(line("SYSCALL", 3, 2.1), 0.0)
    assert [one.data for one in closed] == [b"\n".join(event(1, ends=False))]
    assert joiner.expire(WAIT_S - 0.1) == []
    assert [one.data for one in joiner.expire(WAIT_S)] == [line("SYSCALL", 3, 2.1)]


def test_what_is_open_is_bounded_and_the_oldest_is_given_up_first() -> None:
    joiner = Joiner(part)
    closed = [one for serial in range(OPEN_EVENTS + 2) for one in joiner.feed(line("SYSCALL", serial))]
    assert [one.data for one in closed] == [line("SYSCALL", 0), line("SYSCALL", 1)]
    large = line("SYSCALL", 999) + b" " + b"x" * OPEN_BYTES
    assert len(joiner.feed(large)) == OPEN_EVENTS + 1


def test_events_of_two_machines_with_one_serial_stay_apart() -> None:
    joiner = Joiner(part)
    for node in (b"lis-1", b"lis-2"):
        joiner.feed(b"<134>Mar  1 02:12:00 " + node + b" audispd: " + line("SYSCALL", 1))
        joiner.feed(b"node=" + node + b" " + line("PATH", 2))
    joiner.feed(line("SYSCALL", 1), origin="10.3.1.7")
    assert len(joiner.flush()) == 5


def test_a_mark_is_not_within_an_event_that_is_closed() -> None:
    """Read again from the first line of the open event, the second line of the closed one would be an event of it."""
    joiner = Joiner(part)
    joiner.feed(line("SYSCALL", 1), begin=0, end=10)
    joiner.feed(line("SYSCALL", 2), begin=10, end=20)
    assert len(joiner.feed(line("EOE", 1), begin=20, end=30)) == 1
    assert joiner.settled(30) == 0
    joiner.feed(line("EOE", 2), begin=30, end=40)
    assert joiner.settled(40) == 40
