"""Slow down guessing: failed sign-ins per account and address, counted in this process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

FAILURES = 5
WITHIN_S = 300.0
_KEYS = 10_000  # the oldest go first: memory stays bounded under a spray of names


class Throttle:
    """Refuses a key after FAILURES failures within WITHIN_S seconds; keys are (account, address)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait_s(self, account: str, address: str) -> float:
        """Return the seconds until this account may be tried again from this address; 0 is now."""
        with self._lock:
            times = self._failures.get((account, address))
            if times is None or len(times) < FAILURES:
                return 0.0
            return max(0.0, times[0] + WITHIN_S - self._clock())

    def failed(self, account: str, address: str) -> None:
        """Count one failure."""
        with self._lock:
            times = self._failures.setdefault((account, address), deque(maxlen=FAILURES))
            times.append(self._clock())
            self._failures.move_to_end((account, address))
            if len(self._failures) > _KEYS:
                self._failures.popitem(last=False)

    def passed(self, account: str, address: str) -> None:
        """Forget the failures after a correct password."""
        with self._lock:
            self._failures.pop((account, address), None)
