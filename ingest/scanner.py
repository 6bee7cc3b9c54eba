"""One look at a text for many patterns at once, by Hyperscan."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import cast

import hyperscan

_FLAGS = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL


class Scanner:
    """Patterns of Hyperscan over the bytes of UTF-8, without regard to ASCII case; compiled at the first look."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._first = _Database(patterns, hyperscan.HS_FLAG_SINGLEMATCH)
        self._every = _Database(patterns, 0)

    def scan(self, text: str) -> list[int]:
        """Return the indexes of the patterns that a text has, in ascending order."""
        found: list[int] = []
        self._first.scan(text.encode("utf-8", "surrogatepass"), _note_index, found)
        return sorted(found)

    def ends(self, text: str) -> list[int]:
        """Return where in a text of ASCII matches end, each the offset behind a last character."""
        found: list[int] = []
        self._every.scan(text.encode("ascii"), _note_end, found)
        return found


class _Database:
    """Patterns compiled with a flag, and for each thread a scratch space of its own."""

    def __init__(self, patterns: Sequence[str], flag: int) -> None:
        self._patterns = [one.encode() for one in patterns]
        self._flags = [_FLAGS | flag] * len(patterns)
        self._own = threading.local()

    @cached_property
    def _database(self) -> hyperscan.Database:
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        database.compile(self._patterns, elements=len(self._patterns), flags=self._flags)
        return database

    def scan(self, data: bytes, note: Callable[[int, int, int, int, object], None], found: list[int]) -> None:
        try:
            scratch = self._own.scratch
        except AttributeError:
            scratch = self._own.scratch = hyperscan.Scratch(self._database)
        self._database.scan(data, match_event_handler=note, context=found, scratch=scratch)


def _note_index(index: int, _start: int, _end: int, _flags: int, found: object) -> None:
    cast("list[int]", found).append(index)


def _note_end(_index: int, _start: int, end: int, _flags: int, found: object) -> None:
    cast("list[int]", found).append(end)
