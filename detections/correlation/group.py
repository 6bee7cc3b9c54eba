"""The matches of one group of one correlation, evaluated one after the other in order of event time and id.

A match waits until every match that belongs before it must have come; then it is evaluated for good. So what fires is
a function of the matches alone, never of the order or the batches in which they came
(docs/decisions/0010-correlation.md).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from detections.correlation.measures import MEASURES, Entry
from detections.correlation.rule import Correlation, Number

HELD = 10_000
"""Matches held in one window: an older one makes room, and no threshold may be higher."""

Key = tuple[int, str]
_BEGINNING: Key = (-(2**63), "")


class Arrived(Enum):
    """What became of a match."""

    TAKEN = "taken"
    KNOWN = "known"
    LATE = "late"


class Waiting(NamedTuple):
    """A match that waits to be evaluated, with its event's source and fields (JSON) in case it fires."""

    entry: Entry
    source: str
    fields: bytes


@dataclass(frozen=True, slots=True)
class Firing:
    """A correlation met at one match.

    ``opened_ms`` names the alert: the start of the aligned timespan (Unix ms) in which the first firing lay.
    ``first`` is the firing that opens it. ``evidence`` are the matches that the alert has not had yet, ``source`` and
    ``fields`` (JSON) are those of the event at which it fired, ``counts`` the matches in the window by referenced rule.
    """

    correlation: Correlation
    tenant: str
    group: tuple[str, ...]
    opened_ms: int
    first: bool
    evidence: tuple[Entry, ...]
    source: str
    fields: bytes
    value: Number
    counts: tuple[int, ...]

    @property
    def last(self) -> Entry:
        """The match at which it fired."""
        return self.evidence[-1]


class Group:
    """The state of one group; ``heard_ms`` is when the bus took its latest match."""

    __slots__ = (
        *("correlation", "tenant", "group", "heard_ms", "dropped", "_waiting", "_window", "_measure"),
        *("_evaluated", "_fired_ms", "_fired_before_ms", "_told", "_told_opened_ms"),
    )

    def __init__(self, correlation: Correlation, tenant: str, group: tuple[str, ...]) -> None:
        self.correlation = correlation
        self.tenant = tenant
        self.group = group
        self.heard_ms = 0
        self.dropped = 0
        self._waiting: list[Waiting] = []
        self._window: list[Entry] = []
        self._measure = MEASURES[correlation.kind](correlation)
        self._evaluated = _BEGINNING
        self._fired_ms = self._fired_before_ms = self._told_opened_ms = _BEGINNING[0]
        self._told = _BEGINNING

    def take(self, entry: Entry, source: str, fields: bytes) -> Arrived:
        """Let a match in, to be evaluated later."""
        key = entry[:2]
        if key <= self._evaluated:
            return Arrived.KNOWN if _holds(self._window, key) else Arrived.LATE
        at = bisect_left(self._waiting, (key,))
        if at < len(self._waiting) and self._waiting[at].entry[:2] == key:
            return Arrived.KNOWN
        self._waiting.insert(at, Waiting(entry, source, fields))
        return Arrived.TAKEN

    def evaluate(self, until: Key) -> list[Firing]:
        """Evaluate what waits up to this match, in order."""
        count = bisect_right(self._waiting, until, key=_key)
        due, self._waiting = self._waiting[:count], self._waiting[count:]
        return [firing for each in due if (firing := self._step(each))]

    def _step(self, waiting: Waiting) -> Firing | None:
        entry = waiting.entry
        self._expire(entry.at_ms - self.correlation.timespan_ms)
        self._window.append(entry)
        self._measure.add(entry)
        self._evaluated = entry[:2]
        return self._fire(waiting) if self._measure.holds() else None

    def _expire(self, oldest_ms: int) -> None:
        window = self._window
        gone = bisect_left(window, (oldest_ms,))
        if gone == 0 and len(window) >= HELD:
            gone = 1
            self.dropped += 1
        for entry in window[:gone]:
            self._measure.remove(entry)
        del window[:gone]

    def _fire(self, waiting: Waiting) -> Firing:
        opened_ms = self._opened(waiting.entry.at_ms)
        first = opened_ms != self._told_opened_ms
        fresh = 0 if first else bisect_right(self._window, self._told, key=_entry_key)
        self._told, self._told_opened_ms = self._window[-1][:2], opened_ms
        return Firing(
            self.correlation,
            self.tenant,
            self.group,
            opened_ms,
            first,
            tuple(self._window[fresh:]),
            waiting.source,
            waiting.fields,
            *self.measured(),
        )

    def measured(self) -> tuple[Number, tuple[int, ...]]:
        """Return what the window measures now, and how many of its matches each referenced rule has."""
        counts = [0] * len(self.correlation.sources)
        for entry in self._window:
            for source in entry.sources:
                counts[source] += 1
        return self._measure.value(), tuple(counts)

    def _opened(self, at_ms: int) -> int:
        """Return the aligned timespan of the earliest firing that is no more than one timespan back."""
        span_ms = self.correlation.timespan_ms
        start_ms = at_ms // span_ms * span_ms
        if self._fired_ms < start_ms:
            self._fired_before_ms = self._fired_ms
        self._fired_ms = at_ms
        return start_ms - span_ms if self._fired_before_ms >= at_ms - span_ms else start_ms


def _key(waiting: Waiting) -> Key:
    return waiting.entry[:2]


def _entry_key(entry: Entry) -> Key:
    return entry[:2]


def _holds(window: list[Entry], key: Key) -> bool:
    at = bisect_left(window, key)
    return at < len(window) and window[at][:2] == key
