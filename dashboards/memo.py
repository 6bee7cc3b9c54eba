"""What many pages show alike, made once: for as long as it holds, or for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from wardwatch.errors import Unavailable

_KEPT = 5_000
_KEPT_MOMENTS = 100
AGING_S, OLD_S = 2.0, 3.0
"""After so many seconds a value of a moment is made again for those who ask next; older than that it is not shown."""

Value = TypeVar("Value")


@dataclass(eq=False)
class _Slot(Generic[Value]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Value | None = None


class Memo(Generic[Value]):
    """Remembers at most 5,000 values by a key that holds all they are made of; when it is full it begins anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[Hashable, _Slot[Value]] = {}

    def of(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key; any thread. Who asks while it is made waits; what ``make`` raises passes."""
        with self._lock:
            if key not in self._slots and len(self._slots) >= _KEPT:
                self._slots.clear()
            slot = self._slots.setdefault(key, _Slot())
        with slot.lock:
            if slot.value is None:
                slot.value = make()
            return slot.value


@dataclass(eq=False)
class _Moment:
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Any = None
    made_at: float = float("-inf")
    renewing: bool = False


class Moments:
    """Remembers what the store said a moment ago, for those who ask the same; at most 100 answers.

    While they keep asking, an answer that is AGING_S old is made again beside them, and nobody waits for it; one that
    is OLD_S old is made while they wait. The key holds all it is made of.
    """

    def __init__(self, pool: Executor | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._clock = pool or ThreadPoolExecutor(4, thread_name_prefix="moments"), clock
        self._lock = threading.Lock()
        self._moments: dict[Hashable, _Moment] = {}

    def of(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the answer of a key; any thread. What ``make`` raises passes to those who wait for it."""
        with self._lock:
            if key not in self._moments and len(self._moments) >= _KEPT_MOMENTS:
                self._moments.clear()
            moment = self._moments.setdefault(key, _Moment())
        with moment.lock:
            age = self._clock() - moment.made_at
            if age >= OLD_S:
                moment.value, moment.made_at = make(), self._clock()
            elif age >= AGING_S and not moment.renewing:
                moment.renewing = True
                self._pool.submit(self._renew, moment, make)
            value: Value = moment.value
            return value

    def close(self) -> None:
        """End after what is under way."""
        self._pool.shutdown()

    def _renew(self, moment: _Moment, make: Callable[[], Any]) -> None:
        try:
            with suppress(Unavailable):  # who asks when it is old is told
                value, made_at = make(), self._clock()
                with moment.lock:
                    moment.value, moment.made_at = value, made_at
        finally:
            moment.renewing = False
