"""Pieces of text that a record's bytes hold wherever a test of a rule holds.

A record is a JSON object (RFC 8259) as ``wardwatch.event.encode`` writes it, or in another writing but for numbers with
an exponent. A piece is never missed: what JSON may have written in another way is an alarm (``ALARMS``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from detections.sigma.expression import Test, parents
from detections.sigma.operators import tokens
from detections.sigma.view import fold
from enrich.context import is_added

_LEAST = 3  # bytes worth looking for
_NUMBER = frozenset("0123456789+-.eE")
_QUOTED = {"equals": (True, True), "startswith": (True, False), "endswith": (False, True)}
_TEXT = frozenset((*_QUOTED, "contains"))
_INTEGER = re.compile(r"[1-9][0-9]{0,14}")


Pieces = tuple[bytes, ...]
"""Bytes of which one is in the record, in which ASCII letters have no case; written in lower case."""

_FOLDING = ("\u017f".encode(), "\u212a".encode())
"""ſ and K, whose simple case folding is s and k (Unicode CaseFolding.txt)."""

ALARMS = (*(rb"\u%c" % digit for digit in b"0123456789abcdefABCDEF"), rb"\/", *_FOLDING)
"""Bytes without which nothing hides a piece, in which case counts; with them ``hides`` looks closer."""

_ESCAPED = re.compile(rb"(?<!\\)(?:\\\\)*\\(?:/|u(?!00[01]))|" + b"|".join(_FOLDING))


def hides(raw: bytes) -> bool:
    """Tell whether a record may hold a piece in other bytes: a letter as ``\\uXXXX`` (control characters aside)."""
    return _ESCAPED.search(raw) is not None


@lru_cache(maxsize=65_536)
def pieces(test: Test) -> tuple[Pieces, ...]:
    """Return the pieces of a test, each set enough; none of numbers compared, absence, what enrichment adds."""
    if is_added(test.field) or test.part:
        return ()
    if test.op == "number":
        return (_number(test.field, test.value),) if test.field and _INTEGER.fullmatch(test.value) else ()
    if test.op == "re":
        return tuple(found for texts in required(test.value) if (found := _each_written(texts)))
    opens, closes = _QUOTED.get(test.op, (False, False)) if _is_of_text(test.value) else (False, False)
    return tuple((each,) for text in _texts(test) for each in _written(text, opens=opens, closes=closes))


def _each_written(texts: Iterable[str]) -> Pieces:
    """Return a piece of each text, () where one has none."""
    found = [max(_written(text), key=len, default=b"") for text in sorted(texts)]
    return tuple(found) if all(found) else ()


def _is_of_text(value: str) -> bool:
    """Tell whether a value that starts or ends with this one is a text, not true or false."""
    return not any(value.lower() in written for written in ("true", "false"))


def _texts(test: Test) -> Iterator[str]:
    if test.op in _TEXT:
        yield test.value
    elif test.op == "like":
        yield from (part for part in tokens(test.value) if part)


def _written(text: str, *, opens: bool = False, closes: bool = False) -> Iterator[bytes]:
    """Yield the parts that JSON can write in one way only, escapes and the case of ASCII letters aside."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(letter if _has_one_form(letter) else "\0" for letter in text)
    parts = text.split("\0")
    for place, part in enumerate(parts):
        if _is_worth(part):
            found = part.replace("\\", "\\\\").replace('"', '\\"').lower().encode()
            yield b'"' * (opens and not place) + found + b'"' * (closes and place == len(parts) - 1)


def _is_worth(part: str) -> bool:
    least = _LEAST if any(map(str.isalnum, part)) else _LEAST - 1
    return len(part.encode()) >= least and not _NUMBER.issuperset(part)


def _has_one_form(letter: str) -> bool:
    if letter.isascii():
        return " " <= letter < "\x7f"
    return not "\ud800" <= letter <= "\udfff" and fold(letter) == letter == letter.upper()


def _number(field: str, digits: str) -> Pieces:
    """Return the ways to write that a field has a number: as one, as text; the last ones stand for any other way."""
    key, inner = f'"{field}"', [f'"{parent}"' for parent in parents(field)]
    plain = [f"{key}:{digits}", f'{key}:"{digits}']
    other = [
        f'{key}:"0',
        f'{key}:"+',
        f"{key}:[",
        f"{key}:{{",
        *(f"{key}{colon}{space}" for colon in ("", ":") for space in " \t\r\n"),
    ]
    return tuple(text.lower().encode() for text in (*plain, *other, *inner))


_STEP = re.compile(
    r"""\\(?P<escaped>[^a-zA-Z0-9])     # a character that means itself
    |\\[abBdDsSwWzAnrtfv]               # a class, an anchor, a control character
    |(?P<unknown>\\)                    # what is not read here: the pattern is given up
    |\[\^?\]?(?:\\.|[^\]\\])*\]         # a class
    |\{[0-9]*,?[0-9]*\}                 # how often
    |\(\?[a-zA-Z-]+\)                   # flags
    |(?P<opens>\((?:\?(?:P?<\w+>|[a-zA-Z-]*:))?)
    |[.^$(){}*+?|]
    |(?P<literal>.)""",
    re.DOTALL | re.VERBOSE,
)
_OPTIONAL = ("*", "?", "{")

Texts = frozenset[str]
"""Texts of which one is there."""


class _Group:
    """What a group of a pattern requires, in each of its alternatives."""

    def __init__(self) -> None:
        self.alternatives: list[list[Texts]] = [[]]
        self.letters = ""

    def end(self, *more: Texts) -> None:
        """End a text; what follows it is not next to it."""
        self.alternatives[-1] += [Texts((self.letters,)), *more] if self.letters else more
        self.letters = ""

    def required(self) -> list[Texts]:
        """Return what is there whichever alternative is."""
        self.end()
        if len(self.alternatives) == 1:
            return self.alternatives[0]
        longest = [max(each, key=lambda texts: min(map(len, texts)), default=None) for each in self.alternatives]
        return [] if None in longest else [Texts().union(*filter(None, longest))]


def required(pattern: str) -> list[Texts]:
    """Return what is in whatever an RE2 pattern finds, by its letters; nothing where in doubt."""
    groups, at = [_Group()], 0
    while step := _STEP.match(pattern, at):
        at = step.end()
        inner, optional = groups[-1], pattern.startswith(_OPTIONAL, at)
        letter = step["escaped"] or step["literal"]
        if letter and not optional:
            inner.letters += letter
            continue
        inner.end()
        if step["opens"]:
            groups.append(_Group())
        elif step[0] == "|":
            inner.alternatives.append([])
        elif step[0] == ")" and len(groups) > 1:
            groups.pop()
            groups[-1].end(*([] if optional else inner.required()))
        elif step["unknown"]:
            return []
    certain = at == len(pattern) and len(groups) == 1 and "[:" not in pattern
    return groups[0].required() if certain else []
