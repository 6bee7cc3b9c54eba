"""All tests on one field at once: a value → the numbers of the tests that it meets.

Literals that are the whole value are looked up; the others are searched for together, so that a value is read once
however many rules ask for it (docs/decisions/0008-engine.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC
from decimal import Decimal
from functools import cached_property
from itertools import count
from weakref import WeakValueDictionary

from detections.sigma.expression import Test
from detections.sigma.operators import Accept, Number, acceptor, like_pattern, number, tokens
from detections.sigma.patterns import Expressions, Literal, Literals, Pattern, literal
from detections.sigma.view import Cell, Scalar, View, fold

Numbers = frozenset[int]
NONE: Numbers = frozenset()

_OPEN: Mapping[str, tuple[bool, bool]] = {
    "startswith": (False, True),
    "endswith": (True, False),
    "contains": (True, True),
}
_NOWHERE = View({}, UTC)
_numbers = count()


def is_of_value(test: Test) -> bool:
    """Tell whether one value of its field is all that a test needs: no other field, no zone, not absence."""
    return not (test.part or test.op in ("exists", "null") or test.op.endswith("_field"))


class Scanner:
    """The tests of one field, each with a number that no other test of this process has."""

    def __init__(self, tests: Iterable[Test]) -> None:
        self.numbers: dict[Test, int] = {test: next(_numbers) for test in tests}
        self._folded = _Texts((test, number_) for test, number_ in self.numbers.items() if not _is_exact(test))
        self._exact = _Texts((test, number_) for test, number_ in self.numbers.items() if _is_exact(test))
        self._equal: defaultdict[Number, set[int]] = defaultdict(set)
        self._single: list[tuple[int, Accept]] = []
        for test, number_ in self.numbers.items():
            if test.op == "number":
                self._equal[Decimal(test.value)].add(number_)
            elif test.op not in _TEXT:
                self._single.append((number_, acceptor(test)))

    def scan(self, raw: Scalar) -> Numbers:
        """Return the numbers of the tests that a value meets."""
        if raw is None:
            return NONE
        cell = Cell("", raw)
        found = self._folded.met(cell.folded) | self._exact.met(cell.text)
        if self._equal and (value := number(raw)) is not None:
            found |= self._equal.get(value, NONE)
        found.update(each for each, accept in self._single if accept(cell, _NOWHERE))
        return frozenset(found) or NONE


_TEXT = frozenset(("equals", "like", "re", *_OPEN))


def _is_exact(test: Test) -> bool:
    return test.cased or test.op == "re"


class _Texts:
    """Tests of texts: of the text as it is, or without case."""

    def __init__(self, numbered: Iterable[tuple[Test, int]]) -> None:
        self._whole: defaultdict[str, set[int]] = defaultdict(set)
        literals: list[Literal] = []
        expressions: list[Pattern] = []
        for test, number_ in numbered:
            text = test.value if _is_exact(test) else fold(test.value)
            if test.op == "equals":
                self._whole[text].add(number_)
            elif test.op in _OPEN:
                start, end = _OPEN[test.op]
                literals.append((literal([text], open_start=start, open_end=end), number_))
            elif test.op == "like" and "" not in tokens(text):
                literals.append((_between_stars(text), number_))
            elif test.op in ("like", "re"):
                expressions.append((like_pattern(text) if test.op == "like" else text, number_))
        self._patterns = literals, expressions

    @cached_property
    def _literals(self) -> Literals:
        return Literals(self._patterns[0])

    @cached_property
    def _expressions(self) -> Expressions:
        return Expressions(self._patterns[1])

    def met(self, text: str) -> set[int]:
        found = set(self._whole.get(text, ()))
        found.update(self._literals.search(text))
        found.update(self._expressions.search(text))
        return found


def _between_stars(pattern: str) -> bytes:
    texts = [""]
    for part in tokens(pattern):
        if part is None:
            texts.append("")
        else:
            texts[-1] += part
    start, *inner, end = texts
    kept = [text for text in (start, *inner, end) if text]
    return literal(kept, open_start=not start, open_end=not end)


_shared: WeakValueDictionary[frozenset[Test], Scanner] = WeakValueDictionary()


def scanner(tests: frozenset[Test]) -> Scanner:
    """Return the scanner of these tests; programs that ask for the same ones share it."""
    found = _shared.get(tests)
    if found is None:
        found = _shared[tests] = Scanner(sorted(tests, key=lambda test: (test.op, test.value, test.cased)))
    return found
