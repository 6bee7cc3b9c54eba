"""Many patterns searched for in one pass over a text.

Hyperscan reads literals and ``*`` patterns (its databases are complete when compiled: the first text is read as fast as
the last); RE2 reads what users write as regular expressions, in linear time whatever they write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import hyperscan
import re2  # type: ignore[import-untyped]

from wardwatch.errors import RuleError

SET_BYTES = 16 << 20  # of one RE2 set: its program and the states that it keeps of its automaton
_FLAGS = hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_ALLOWEMPTY

START, END = b"\xfe", b"\xff"
Literal = tuple[bytes, int]
Pattern = tuple[str, int]
"""A pattern and the number of its test."""


def literal(texts: Sequence[str], *, open_start: bool, open_end: bool) -> bytes:
    """Return the pattern of texts that follow each other, each anywhere after the one before."""
    found = b".*".join(re.escape(_bytes(text)).replace(b"\0", rb"\x00") for text in texts)  # it ends a C string
    return b"%b%b%b" % (b"" if open_start else START, found, b"" if open_end else END)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class Literals:
    """Escaped literals, joined by ``.*`` or alone, compiled by Hyperscan. One thread at a time may search.

    A text lies between START and END, bytes that no UTF-8 holds (RFC 3629, 1): a literal with one of them is anchored
    there, and stays a literal, which compiles thirty times as fast as an expression with an anchor.
    """

    def __init__(self, patterns: Sequence[Literal]) -> None:
        self._found: list[int] = []
        self._database = _database(patterns) if patterns else None

    def search(self, text: str) -> Sequence[int]:
        """Return the numbers of the patterns in the text; the list is used again by the next search."""
        self._found.clear()
        if self._database is not None:
            self._database.scan(b"%b%b%b" % (START, _bytes(text), END), match_event_handler=self._take)
        return self._found

    def _take(self, number: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        self._found.append(number)


def _database(patterns: Sequence[Literal]) -> hyperscan.Database:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[pattern for pattern, _ in patterns],
        ids=[number for _, number in patterns],
        elements=len(patterns),
        flags=[_FLAGS] * len(patterns),
    )
    return database


class Expressions:
    """Regular expressions (RE2 syntax), in as many sets as the limit of memory asks for.

    A set that compiles has room for the states of any text (RE2 keeps at least twenty of its largest and forgets
    others), so that a search never fails for want of memory.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._sets = list(_sets(patterns)) if patterns else []

    def search(self, text: str) -> Iterator[int]:
        """Yield the numbers of the patterns that are found in the text."""
        for found, numbers in self._sets:
            for index in found.Match(text) or ():
                yield numbers[index]


def _sets(patterns: Sequence[Pattern]) -> Iterator[tuple[re2.Set, list[int]]]:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = SET_BYTES
    found = re2.Set.SearchSet(options)
    try:
        for pattern, _ in patterns:
            found.Add(pattern)
        found.Compile()
    except re2.error as error:
        if len(patterns) == 1:
            raise RuleError(f"regular expression {patterns[0][0][:200]!r}: {error}", step="rules") from None
        half = len(patterns) // 2
        yield from _sets(patterns[:half])
        yield from _sets(patterns[half:])
    else:
        yield found, [number for _, number in patterns]
