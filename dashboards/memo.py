"""What many pages show alike, made once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_KEPT = 5_000
Value = TypeVar("Value")


class Memo(Generic[Value]):
    """Remembers at most 5,000 values by a key that holds all they are made of; when it is full it begins anew."""

    def __init__(self) -> None:
        self._values: dict[Hashable, Value] = {}

    def of(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made at the first time; any thread."""
        found = self._values.get(key)
        if found is None:
            found = make()
            if len(self._values) >= _KEPT:
                self._values.clear()
            self._values[key] = found
        return found
