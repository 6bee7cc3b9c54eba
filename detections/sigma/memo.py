"""Answers given before, remembered within a bound of memory.

Values of logs repeat: of a field's next values four in five were seen shortly before. All memos of a ruleset share one
bound; when half of it is used each starts anew and moves over what it meets again, so what is used stays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import ref

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MEMO_BYTES = 96 << 20
LONG_BYTES = 16_384  # a longer key seldom repeats and is not kept
_ENTRY_BYTES = 120  # of a place in a dictionary, with the room that a growing one keeps


class Memory:
    """The bound that memos share; ``limit`` is in bytes, of which one generation may use half."""

    def __init__(self, limit: int = MEMO_BYTES) -> None:
        self._half = limit // 2
        self._used = 0
        self._lock = Lock()  # a new ruleset joins from another thread
        self._memos: list[ref[Memo[Any, Any]]] = []

    def join(self, memo: Memo[Any, Any]) -> None:
        """Let a memo use the memory."""
        with self._lock:
            self._memos.append(ref(memo))

    def take(self, size: int) -> None:
        """Count what a memo is about to keep; starts a new generation of all memos when half the limit is used."""
        self._used += size
        if self._used > self._half:
            self._used = size
            with self._lock:
                self._memos = [each for each in self._memos if each() is not None]
                memos = [memo for each in self._memos if (memo := each()) is not None]
            for memo in memos:
                memo.age()


class Memo(dict[K, V], Generic[K, V]):
    """Key → answer: ``memo[key]`` remembers it, ``of`` asks anew. ``misses`` counts the latter.

    Of scalars only texts and integers are keys: to a dictionary ``True``, ``1`` and ``1.0`` are one, to a rule three.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__

    def __init__(self, answer: Callable[[K], V], memory: Memory) -> None:
        super().__init__()
        self.misses = 0
        self._answer = answer
        self._memory = memory
        self._before: dict[K, V] = {}
        memory.join(self)

    def __missing__(self, key: K) -> V:
        size = sys.getsizeof(key)
        if size > LONG_BYTES:
            return self.of(key)
        found = self._before[key] if key in self._before else self.of(key)
        self._memory.take(size + sys.getsizeof(found) + _ENTRY_BYTES)
        self[key] = found
        return found

    def of(self, key: K) -> V:
        """Return the answer as it is asked for now."""
        self.misses += 1
        return self._answer(key)

    def age(self) -> None:
        """Start a new generation; the one before is asked once more for each key."""
        self._before = dict(self)
        super().clear()

    def clear(self) -> None:
        """Forget every answer, of both generations."""
        super().clear()
        self._before = {}
