"""One look at a text for many patterns at once, by Hyperscan."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import cast

import hyperscan

_FLAGS = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL


class Scanner:
    """Patterns of Hyperscan over the bytes of UTF-8, without regard to ASCII case; compiled at the first look."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns
        self._own = threading.local()  # each thread has its own scratch space

    @cached_property
    def _database(self) -> hyperscan.Database:
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        count = len(self._patterns)
        database.compile([one.encode() for one in self._patterns], elements=count, flags=[_FLAGS] * count)
        return database

    def scan(self, text: str) -> list[int]:
        """Return the indexes of the patterns that a text has, in ascending order."""
        try:
            scratch = self._own.scratch
        except AttributeError:
            scratch = self._own.scratch = hyperscan.Scratch(self._database)
        found: list[int] = []
        data = text.encode("utf-8", "surrogatepass")
        self._database.scan(data, match_event_handler=_note, context=found, scratch=scratch)
        return sorted(found)


def _note(index: int, _start: int, _end: int, _flags: int, found: object) -> None:
    cast("list[int]", found).append(index)
