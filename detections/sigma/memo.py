"""Values seen before: what the tests of a field say of a value, remembered within a bound of memory.

Values of logs repeat: of a field's next values four in five were seen shortly before. All memos of a process share one
bound; when it is reached each starts anew and moves over what it meets again, so what is used stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from weakref import WeakSet

from detections.sigma.scanner import NONE, Numbers, Scanner
from detections.sigma.view import Scalar

MEMO_BYTES = 96 << 20
LONG = 16_384  # characters; a longer value seldom repeats and is not kept
_ENTRY_BYTES = 200  # of a value's text object, its entry and its place in the dictionary

Entry = tuple[Numbers, Numbers]
"""The numbers of the tests that a value meets, and the places of the rules that it makes candidates."""


class Memory:
    """The bound that memos share; ``limit`` is in bytes, of which one generation may use half."""

    def __init__(self, limit: int = MEMO_BYTES) -> None:
        self._half = limit // 2
        self._used = 0
        self._memos: WeakSet[Memo] = WeakSet()

    def join(self, memo: Memo) -> None:
        """Let a memo use the memory."""
        self._memos.add(memo)

    def take(self, size: int) -> None:
        """Count what a memo is about to keep; starts a new generation of all memos when half the limit is used."""
        self._used += size
        if self._used > self._half:
            self._used = size
            for memo in self._memos:
                memo.age()


class Memo(dict[Scalar, Entry | None]):
    """The entries of one field, None where a value meets no test: ``memo[value]`` of a text or an integer, else ``of``.

    Only those two are keys: to a dictionary ``True``, ``1`` and ``1.0`` are one, to a rule they are three.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__

    def __init__(self, scanner: Scanner, memory: Memory) -> None:
        super().__init__()
        self.misses = 0
        self._scanner = scanner
        self._witnesses: Mapping[int, Numbers] = {}
        self._memory = memory
        self._before: dict[Scalar, Entry | None] = {}
        memory.join(self)

    def __missing__(self, value: Scalar) -> Entry | None:
        if value.__class__ is str and len(value) > LONG:
            return self.of(value)
        found = self._before[value] if value in self._before else self.of(value)
        size = len(value) if value.__class__ is str else 8
        self._memory.take(size + _ENTRY_BYTES + (40 * len(found[0]) if found else 0))
        self[value] = found
        return found

    def of(self, value: Scalar) -> Entry | None:
        """Return the entry of a scalar, by the tests themselves."""
        self.misses += 1
        met = self._scanner.scan(value)
        return (met, _union(met, self._witnesses.get)) if met else None

    def begin(self, witnesses: Mapping[int, Numbers]) -> None:
        """Start anew with the places of the rules by the numbers of their witnesses."""
        self._witnesses = witnesses
        self._before = {}
        self.clear()

    def age(self) -> None:
        """Start a new generation; the one before is asked once more for each value."""
        self._before = dict(self)
        self.clear()


def _union(met: Numbers, rules: Callable[[int, Numbers], Numbers]) -> Numbers:
    return frozenset().union(*(rules(number, NONE) for number in met)) or NONE
