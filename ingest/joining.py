"""Joining the lines of one event that a log writes one after another, between those of others.

The parser says of a line to which event it belongs (``Part``). An event is complete with its last line; where none
says that it is the last, when the log's own clock is LOG_S further, when nothing more of it came for WAIT_S seconds, or
when too much is open. A file read whole and one tailed give the same events, unless its writer pauses for WAIT_S.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

LOG_S = 2.0
"""Seconds after which auditd's own readers take an event for complete (auditd.conf(5), end_of_event_timeout)."""
WAIT_S = 3.0
OPEN_EVENTS = 64
OPEN_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Part:
    """What a line is part of: ``key`` names the event, b"" one of this line alone; ``time`` in seconds; ``ends`` it."""

    key: bytes
    time: float
    ends: bool = False


Parts = Callable[[bytes], Part | None]
"""Tells what a line is part of; None for a line that says nothing of it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """One event: its lines, who sent them, and the offset of the first."""

    data: bytes
    origin: str
    begin: int


@dataclass(slots=True)
class _Open:
    """An event that may not be complete: its lines from ``begin`` to ``end``, the last one added at ``touched``."""

    origin: str
    begin: int
    time: float
    end: int = 0
    touched: float = 0.0
    lines: list[bytes] = field(default_factory=list)


class Joiner:
    """Joins the lines of one stream; ``now`` is seconds of a clock that only runs forward.

    Without ``parts`` each line is an event.
    """

    def __init__(self, parts: Parts | None) -> None:
        self._parts = parts
        self._open: OrderedDict[tuple[str, bytes], _Open] = OrderedDict()  # in the order of their first lines
        self._spans: list[tuple[int, int]] = []  # of closed events that others may lie between
        self._bytes = 0

    def feed(self, line: bytes, now: float = 0.0, *, origin: str = "", begin: int = 0, end: int = 0) -> list[Joined]:
        """Take a line, of a file with its offsets, and return the events that are complete now."""
        part = self._parts(line) if self._parts else None
        if part is None:
            return [Joined(line, origin, begin)]
        closed = self._close(lambda one: one.origin == origin and one.time + LOG_S <= part.time)
        if not part.key:
            return [*closed, Joined(line, origin, begin)]
        key = (origin, part.key)
        event = self._open.setdefault(key, _Open(origin, begin, part.time))
        event.lines.append(line)
        event.end, event.touched = end, now
        self._bytes += len(line)
        if part.ends:
            closed.append(self._closed(key))
        while len(self._open) > OPEN_EVENTS or (self._open and self._bytes > OPEN_BYTES):
            closed.append(self._closed(next(iter(self._open))))
        return closed

    def expire(self, now: float) -> list[Joined]:
        """Return the events of which nothing came for WAIT_S seconds."""
        return self._close(lambda one: now - one.touched >= WAIT_S)

    def flush(self) -> list[Joined]:
        """Return the events that are open, as they are."""
        return self._close(lambda one: True)

    def settled(self, end: int) -> int:
        """Return the last offset up to ``end`` such that each event that begins before it is closed and ends before it.

        Reading again from there yields what was open, and once more, alike, what was closed behind it.
        """
        least = min((one.begin for one in self._open.values()), default=end)
        for begin, last in sorted(self._spans, reverse=True):
            least = begin if begin < least < last else least
        self._spans = [span for span in self._spans if span[1] > least]
        return least

    def _close(self, is_over: Callable[[_Open], bool]) -> list[Joined]:
        return [self._closed(key) for key in [key for key, one in self._open.items() if is_over(one)]]

    def _closed(self, key: tuple[str, bytes]) -> Joined:
        event = self._open.pop(key)
        self._bytes -= sum(map(len, event.lines))
        self._spans.append((event.begin, event.end))
        return Joined(b"\n".join(event.lines), event.origin, event.begin)


def joined(lines: Iterator[bytes], parts: Parts) -> Iterator[bytes]:
    """Yield the events of all lines of a file."""
    joiner = Joiner(parts)
    for line in lines:
        yield from (one.data for one in joiner.feed(line))
    yield from (one.data for one in joiner.flush())
