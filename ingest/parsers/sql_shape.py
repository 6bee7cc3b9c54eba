"""The literal-free shape of an SQL statement: nothing that a person typed as data survives.

One scan over the text, by the lexical rules of the MySQL 8.4 and MariaDB reference manuals ("Literal Values",
"Comments"): linear, never fails, and what is not closed is dropped to the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

_MAX_ORDINAL = 2  # digits: GROUP BY 1, 2 names columns by their place
_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<executed>/\*M?!\d{0,6}|\*/)                # MySQL runs what is in these comments: only their marks go
    | (?P<comment>/\*.*?(?:\*/|\Z)|--(?=\s|\Z)[^\n]*|\#[^\n]*)
    | (?P<string>(?:\b(?:(?:_[a-z]\w{1,20}|date|time|timestamp)\s*|[nxb]))?
        (?:'(?:[^'\\]|''|\\.)*+(?:'|\\?\Z)|"(?:[^"\\]|""|\\.)*+(?:"|\\?\Z)))
    | (?P<quoted>`[^`]*(?:`|\Z))
    | (?P<number>(?:\d|\.\d)[\w.]*(?:(?<=e)[+-]\d+)?)
    | (?P<word>[\w$@]+)
    | (?P<mark>.)
    """,
    re.S | re.X | re.I,
)
_LONG_DIGITS = re.compile(r"\d{5,}")
_ADJACENT = re.compile(r"\?(?: \?)+")  # MySQL joins strings that stand beside each other
_ROW = re.compile(r"\(\s*\?(?:\s*,\s*\?)*\s*\)(?:\s*,\s*\(\s*\?(?:\s*,\s*\?)*\s*\))*")
_AROUND_MARKS = re.compile(r"\s*([^\w\s?`$])\s*")


def literal_free(sql: str) -> str:
    """Return the statement with ``?`` for every literal, without comments, its lists of literals as one ``(?)``.

    Digits inside names count as literals when they are five or more (tables named by a patient's number), and so do
    numbers, but for the small ordinals of GROUP BY.
    """
    pieces = "".join(_pieces(sql))
    return _ROW.sub("(?)", _ADJACENT.sub("?", " ".join(pieces.split())))


def shape_hash(shape: str) -> str:
    """Return 16 hexadecimal digits that are the same for statements that differ in case and spaces only."""
    return blake2b(_AROUND_MARKS.sub(r"\1", shape.lower()).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _pieces(sql: str) -> Iterator[str]:
    before = last = ""
    grouping = False
    for token in _TOKEN.finditer(sql):
        kind, found = token.lastgroup, token[0]
        if kind in ("space", "comment", "executed"):
            yield " "
            continue
        if kind == "string":
            found = "?"
        elif kind == "number":
            is_ordinal = grouping and last in ("by", ",") and found.isdecimal() and len(found) <= _MAX_ORDINAL
            found = found if is_ordinal else "?"
        elif kind == "quoted":
            found = literal_free_name(found) if found.endswith("`") and len(found) > 1 else "?"
        elif kind == "word":
            found = literal_free_name(found)
        before, last = last, found.lower()
        grouping = _is_grouping(grouping, before, last)
        yield found


def literal_free_name(found: str) -> str:
    """Return a name whose runs of five and more digits are masked."""
    return _LONG_DIGITS.sub("N", found)


def _is_grouping(grouping: bool, before: str, last: str) -> bool:
    if last == "by":
        return before == "group"
    return grouping and last not in ("having", "order", "limit", "union", "into", "window", ";")
