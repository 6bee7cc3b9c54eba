"""Keywords sought in a record as it came: whether one can be in the event, before the event's values are looked at.

One rule with a keyword concerns every value of every event of its log source, so the record's bytes are read once by
Hyperscan. The answer is never a wrong no: what JSON may have written in another way, and the two letters outside ASCII
that fold to one inside, count as a yes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import hyperscan

from detections.sigma.expression import Test
from detections.sigma.operators import tokens
from detections.sigma.view import fold

_LEAST = 3  # characters of a piece worth looking for
_ESCAPED = rb"[^\\](\\\\)*\\u([1-9a-fA-F]|0[1-9a-fA-F]|00[2-9a-fA-F])"
"""A character, but for control characters, written as ``\\uXXXX`` (RFC 8259, 7): the bytes do not show its text."""
_FOLDING = ("\u017f".encode(), "\u212a".encode())
"""ſ and K, whose simple case folding is s and k (Unicode CaseFolding.txt)."""
_NUMBER = frozenset("0123456789+-.eE")


class Prefilter:
    """The keywords of a program as the pieces of text of which a record with a keyword holds one."""

    def __init__(self, tests: Iterable[Test]) -> None:
        found = [_piece(test) for test in tests]
        self._found: list[int] = []
        pieces = frozenset(piece for piece in found if piece)
        self._database = _database(pieces) if found and None not in found else None

    def may_match(self, raw: bytes) -> bool:
        """Tell whether a keyword can be in the values of the JSON object in ``raw``."""
        if self._database is None:
            return True
        self._found.clear()
        self._database.scan(raw, match_event_handler=self._take)
        return bool(self._found)

    def _take(self, number: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        self._found.append(number)


def _piece(test: Test) -> str | None:
    """Return the longest part of a keyword that its JSON holds letter by letter, but for the case of ASCII letters."""
    if test.op == "like":
        texts = [part for part in tokens(test.value) if part]
    elif test.op == "contains":
        texts = [test.value]
    else:
        return None
    pieces = [piece for text in texts for piece in re.split(r'["\\\x00-\x1f\x7f]', text)]
    usable = [piece for piece in pieces if len(piece) >= _LEAST and not _NUMBER.issuperset(piece) and _is_plain(piece)]
    return max(usable, key=len, default=None)


def _is_plain(piece: str) -> bool:
    """Tell whether no letter outside ASCII in it has a case."""
    return all(letter.isascii() or (fold(letter) == letter == letter.upper()) for letter in piece)


@lru_cache(maxsize=64)  # many log sources have the same rules with keywords
def _database(pieces: frozenset[str]) -> hyperscan.Database:
    literals = [re.escape(piece.encode()) for piece in sorted(pieces)]
    expressions = [*literals, *_FOLDING, _ESCAPED]
    flags = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=expressions, elements=len(expressions), flags=[flags] * len(expressions))
    return database
