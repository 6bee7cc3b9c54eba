"""What many pages show alike, made once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_KEPT = 5_000
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
