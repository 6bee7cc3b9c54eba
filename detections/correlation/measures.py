"""What a correlation measures over its window, kept up to date as matches enter and leave it.

Numbers are exact (integers and fractions), so that what is left after a removal is what a fresh count would give.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from fractions import Fraction
from typing import NamedTuple, Protocol

from detections.correlation.rule import All, Any, Correlation, Kind, No, Number, Seen, Sequence

_DIGITS = 300  # a longer integer is no measure of anything


class Entry(NamedTuple):
    """One match in a window: event time (Unix ms) and event id order it; ``sources`` are the rules that it met.

    ``stored`` is the index that has the event.
    """

    at_ms: int
    event_id: str
    sources: tuple[int, ...]
    values: tuple[str, ...]
    stored: str


class Measure(Protocol):
    """The measure of one window."""

    def __init__(self, correlation: Correlation) -> None: ...

    def add(self, entry: Entry) -> None:
        """Let the newest match in."""

    def remove(self, entry: Entry) -> None:
        """Let the oldest match out."""

    def holds(self) -> bool:
        """Tell whether the correlation's condition holds now."""

    def value(self) -> Number:
        """Return the number for people."""


def number(text: str) -> Number | None:
    """Return the number that a text's digits say; None for text, NaN, infinities and more than some hundred digits."""
    if len(text) > _DIGITS:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        found = float(text)
    except ValueError:
        return None
    if not math.isfinite(found):
        return None
    return Fraction(text) if found else 0  # by its digits: ten times 0.1 is 1; a tiny one would take gigabytes


class _Count:
    __slots__ = ("_met", "_size")

    def __init__(self, correlation: Correlation) -> None:
        self._met = correlation.met
        self._size = 0

    def add(self, entry: Entry) -> None:
        self._size += 1

    def remove(self, entry: Entry) -> None:
        self._size -= 1

    def holds(self) -> bool:
        return self._met(self.value())

    def value(self) -> Number:
        return self._size


class _ValueCount(_Count):
    __slots__ = ("_values",)

    def __init__(self, correlation: Correlation) -> None:
        super().__init__(correlation)
        self._values: dict[str, int] = {}

    def add(self, entry: Entry) -> None:
        for value in entry.values:
            self._values[value] = self._values.get(value, 0) + 1

    def remove(self, entry: Entry) -> None:
        for value in entry.values:
            if self._values[value] == 1:
                del self._values[value]
            else:
                self._values[value] -= 1

    def value(self) -> Number:
        return len(self._values)


class _Sum(_Count):
    __slots__ = ("_total",)

    def __init__(self, correlation: Correlation) -> None:
        super().__init__(correlation)
        self._total: Number = 0

    def add(self, entry: Entry) -> None:
        self._size += 1
        self._total += number(entry.values[0]) or 0

    def remove(self, entry: Entry) -> None:
        self._size -= 1
        self._total -= number(entry.values[0]) or 0

    def value(self) -> Number:
        return self._total


class _Average(_Sum):
    __slots__ = ()

    def value(self) -> Number:
        return Fraction(self._total) / self._size


class _Percentile(_Count):
    __slots__ = ("_percentile", "_sorted")

    def __init__(self, correlation: Correlation) -> None:
        super().__init__(correlation)
        self._percentile = correlation.percentile
        self._sorted: list[Number] = []

    def add(self, entry: Entry) -> None:
        insort(self._sorted, number(entry.values[0]) or 0)

    def remove(self, entry: Entry) -> None:
        del self._sorted[bisect_left(self._sorted, number(entry.values[0]) or 0)]

    def value(self) -> Number:
        rank = -(-self._percentile * len(self._sorted) // 100)  # nearest rank, rounded up
        return self._sorted[max(rank, 1) - 1]


class _Median(_Percentile):
    __slots__ = ()

    def value(self) -> Number:
        middle = len(self._sorted) // 2
        if len(self._sorted) % 2:
            return self._sorted[middle]
        return Fraction(self._sorted[middle - 1] + self._sorted[middle]) / 2


class _Temporal:
    """Which of the referenced rules have matched: how often each."""

    __slots__ = ("_correlation", "_seen")

    def __init__(self, correlation: Correlation) -> None:
        self._correlation = correlation
        self._seen = [0] * len(correlation.sources)

    def add(self, entry: Entry) -> None:
        for source in entry.sources:
            self._seen[source] += 1

    def remove(self, entry: Entry) -> None:
        for source in entry.sources:
            self._seen[source] -= 1

    def holds(self) -> bool:
        sequence = self._correlation.sequence
        return self._correlation.met(self.value()) if sequence is None else self._true(sequence)

    def value(self) -> Number:
        return sum(map(bool, self._seen))

    def _true(self, node: Sequence) -> bool:
        if isinstance(node, Seen):
            return self._seen[node.source] > 0
        if isinstance(node, No):
            return not self._true(node.item)
        holds = all if isinstance(node, All) else any
        return holds(self._true(item) for item in node.items)


class _Ordered:
    """At which places of the window each referenced rule has matched."""

    __slots__ = ("_first", "_next", "_places", "_sequence")

    def __init__(self, correlation: Correlation) -> None:
        sequence = correlation.sequence
        self._sequence = sequence or All(tuple(map(Seen, range(len(correlation.sources)))))
        self._places: list[list[int]] = [[] for _ in correlation.sources]
        self._next = 0
        self._first = 0

    def add(self, entry: Entry) -> None:
        for source in entry.sources:
            self._places[source].append(self._next)
        self._next += 1

    def remove(self, entry: Entry) -> None:
        for source in entry.sources:
            del self._places[source][0]
        self._first += 1

    def holds(self) -> bool:
        return self._end(self._sequence, self._first - 1) is not None

    def value(self) -> Number:
        return sum(map(bool, self._places))

    def _end(self, node: Sequence, after: int) -> int | None:
        """Return the first place at which the node is complete with matches later than ``after``, None if nowhere."""
        if isinstance(node, Seen):
            places = self._places[node.source]
            found = bisect_right(places, after)
            return places[found] if found < len(places) else None
        if isinstance(node, No):
            return after if self._end(node.item, self._first - 1) is None else None
        if isinstance(node, Any):
            return min((end for item in node.items if (end := self._end(item, after)) is not None), default=None)
        for item in node.items:
            end = self._end(item, after)
            if end is None:
                return None
            after = end
        return after


MEASURES: dict[Kind, type[Measure]] = {
    "event_count": _Count,
    "value_count": _ValueCount,
    "value_sum": _Sum,
    "value_avg": _Average,
    "value_percentile": _Percentile,
    "value_median": _Median,
    "temporal": _Temporal,
    "temporal_ordered": _Ordered,
}
"""Correlation type → what measures its window; each is made from the correlation."""
