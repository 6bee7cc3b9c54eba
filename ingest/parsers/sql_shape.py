"""The literal-free shape of an SQL statement: nothing that a person typed as data survives.

One scan over the text, by the lexical rules of the dialect: linear, never fails, and what is not closed is dropped to
the end. Sources: the reference manuals of MySQL 8.4 and MariaDB ("Literal Values", "Comments"), Oracle 19c ("Text
Literals"), PostgreSQL 16 (4.1 "Lexical Structure") and Transact-SQL ("Constants", "Comment").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Literal

Dialect = Literal["mysql", "oracle", "postgres", "tsql"]

_MAX_ORDINAL = 2  # digits: GROUP BY 1, 2 names columns by their place
_PREFIX = r"(?:\b(?:(?:_[a-z]\w{1,20}|date|time|timestamp)\s*|u&|[nxb]))?"
_MYSQL = rf"""
      (?P<executed>/\*M?!\d{{0,6}}|\*/)                # MySQL runs what is in these comments: only their marks go
    | (?P<comment>/\*.*?(?:\*/|\Z)|--(?=\s|\Z)[^\n]*|\#[^\n]*)
    | (?P<string>{_PREFIX}(?:'(?:[^'\\]|''|\\.)*+(?:'|\\?\Z)|"(?:[^"\\]|""|\\.)*+(?:"|\\?\Z)))
    | (?P<quoted>`[^`]*(?:`|\Z))
"""
# a comment inside a comment ends where it ends in one dialect and not in the other: all behind it goes. What is in
# double quotes is a name where only a name can stand, and elsewhere a mistake that may hold a value
_ANSI = rf"""
      (?P<comment>/\*(?:(?!\*/|/\*).)*+(?:\*/|.*)|--[^\n]*)
    | (?P<string>%s{_PREFIX}'(?:[^']|'')*+(?:'|\Z))
    | (?P<quoted>(?:(?<=\.)|(?<=from\s)|(?<=join\s)|(?<=into\s)|(?<=update\s)|(?<=table\s))"[^"]*(?:"|\Z)|"[^"]*"(?=\.))
    | (?P<value>"[^"]*(?:"|\Z))
"""
_BRACKETED = {"q'[": "]", "q'(": ")", "q'{": "}", "q'<": ">"}
_ORACLE_STRING = (
    "".join(rf"n?{re.escape(start)}.*?(?:{re.escape(end)}'|\Z)|" for start, end in _BRACKETED.items())
    + r"n?q'(?P<edge>.).*?(?:(?P=edge)'|\Z)|"
)
_POSTGRES_STRING = r"\be'(?:[^'\\]|''|\\.)*+(?:'|\\?\Z)|(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)|"


def _tokens(lexical: str) -> re.Pattern[str]:
    common = r"|(?P<number>(?:\d|\.\d)[\w.]*(?:(?<=e)[+-]\d+)?)|(?P<word>[\w$@]+)|(?P<mark>.)"
    return re.compile(rf"(?P<space>\s+)|{lexical}{common}", re.S | re.X | re.I)


_TOKENS: Mapping[Dialect, re.Pattern[str]] = {
    "mysql": _tokens(_MYSQL),
    "oracle": _tokens(_ANSI % _ORACLE_STRING),
    "postgres": _tokens(_ANSI % _POSTGRES_STRING),
    "tsql": _tokens(_ANSI % ""),
}
_LONG_DIGITS = re.compile(r"\d{5,}")
_ADJACENT = re.compile(r"\?(?: \?)+")  # MySQL joins strings that stand beside each other
_ROW = re.compile(r"\(\s*\?(?:\s*,\s*\?)*\s*\)(?:\s*,\s*\(\s*\?(?:\s*,\s*\?)*\s*\))*")
_AROUND_MARKS = re.compile(r"\s*([^\w\s?`$])\s*")


def literal_free(sql: str, dialect: Dialect = "mysql") -> str:
    """Return the statement with ``?`` for every literal, without comments, its lists of literals as one ``(?)``.

    Digits inside names count as literals when they are five or more (tables named by a patient's number), and so do
    numbers, but for the small ordinals of GROUP BY.
    """
    pieces = "".join(_pieces(sql, _TOKENS[dialect]))
    return _ROW.sub("(?)", _ADJACENT.sub("?", " ".join(pieces.split())))


def shape_hash(shape: str) -> str:
    """Return 16 hexadecimal digits that are the same for statements that differ in case and spaces only."""
    return blake2b(_AROUND_MARKS.sub(r"\1", shape.lower()).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _pieces(sql: str, tokens: re.Pattern[str]) -> Iterator[str]:
    before = last = ""
    grouping = False
    for token in tokens.finditer(sql):
        kind, found = token.lastgroup, token[0]
        if kind in ("space", "comment", "executed"):
            yield " "
            continue
        if kind in ("string", "value"):
            found = "?"
        elif kind == "number":
            is_ordinal = grouping and last in ("by", ",") and found.isdecimal() and len(found) <= _MAX_ORDINAL
            found = found if is_ordinal else "?"
        elif kind == "quoted":
            found = literal_free_name(found) if len(found) > 1 and found[0] == found[-1] else "?"
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
