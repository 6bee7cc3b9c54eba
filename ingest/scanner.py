"""One look at a text for many patterns at once, by Hyperscan."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast

import hyperscan

_FLAGS = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_UTF8


class Scanner(threading.local):
    """Patterns of Hyperscan over text, without regard to case; each thread has its own scratch space."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[one.encode() for one in patterns], elements=len(patterns), flags=[_FLAGS] * len(patterns)
        )

    def scan(self, text: str) -> list[int]:
        """Return the indexes of the patterns that a text has, in ascending order."""
        found: list[int] = []
        self._database.scan(text.encode("utf-8", "replace"), match_event_handler=_note, context=found)
        return sorted(found)


def _note(index: int, _start: int, _end: int, _flags: int, found: object) -> None:
    cast("list[int]", found).append(index)
