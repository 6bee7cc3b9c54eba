"""Rules found by what the values of all fields of an event give, for log sources whose events ask many.

Of an event only the fields that a rule tests are looked at. A field's value gives, by memory or by one scan, the
numbers of the tests that it meets; what all fields gave, together, gives by memory or by evaluating the rules that it
is a witness for, the rules that are met (docs/decisions/0008-engine.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from detections.sigma.compilation import Condition
from detections.sigma.compilation import condition as compiled
from detections.sigma.expression import Test, parents, tests
from detections.sigma.memo import Memo, Memory
from detections.sigma.rule import Rule
from detections.sigma.scanner import NONE, Numbers, is_of_value, scanner
from detections.sigma.view import Cell, Scalar, View
from detections.sigma.witness import Witnesses, guess, witnesses
from wardwatch.event import Document

FieldMemo = Memo[Scalar, Numbers]
Outcome = tuple[tuple[int, ...], tuple[int, ...]]
"""Places of the rules that are met, and of those whose condition has to see the event."""

_NOWHERE = View({}, UTC)


@dataclass(slots=True)
class Place:
    """One rule of a program; its condition is compiled when first a candidate. ``asks``: it must see the event."""

    rule: Rule
    asks: bool = False
    condition: Condition | None = None


class ByFields:
    """The rules of a program and the scanners of their fields. One thread at a time may match."""

    def __init__(self, rules: Sequence[Rule], memory: Memory) -> None:
        self.numbers: dict[Test, int] = {}
        self.places = [Place(rule) for rule in rules]
        self.memos = self._compile(memory)
        self._keywords = self.memos.get("")
        self._nests = frozenset(parent for name in self.memos for parent in parents(name))
        self._read: dict[str, FieldMemo | None] = dict.fromkeys(self._nests)
        self._read |= {name: memo for name, memo in self.memos.items() if name}
        self._witnessed, self._always = self._witnesses()
        self.outcomes: Memo[tuple[Numbers, ...], Outcome] = Memo(self._outcome, memory)

    def match(self, doc: Document, zone: tzinfo, *, keywords: bool) -> Sequence[int]:
        """Return the places of the rules that a document meets; without ``keywords`` it holds none."""
        met = self._met(doc, zone)
        if self._keywords is not None and keywords:
            met += _each(self._keywords, View(doc, zone).everything)
        found, asking = self.outcomes[tuple(met)]
        if asking:
            numbers, view = NONE.union(*met), View(doc, zone)
            found = tuple(sorted([*found, *(place for place in asking if self._holds(place, numbers, view))]))
        return found

    def observe(self, wrap: Callable[[Rule, Callable[..., bool]], Callable[..., bool]]) -> None:
        """Ask every condition of a candidate, with no answer remembered, through what ``wrap`` makes of it."""
        for number, place in enumerate(self.places):
            condition = self._compiled(number).condition
            if condition is not None:
                place.condition, place.asks = wrap(place.rule, condition), True
        self.outcomes.clear()

    def misses(self) -> dict[str, int]:
        """Return for each field how many of its values were scanned, not remembered."""
        return {field: memo.misses for field, memo in self.memos.items()}

    def _compile(self, memory: Memory) -> dict[str, FieldMemo]:
        by_field: defaultdict[str, set[Test]] = defaultdict(set)
        for place in self.places:
            for test in tests(place.rule.condition):
                if is_of_value(test):
                    by_field[test.field].add(test)
        scanners = {field: scanner(frozenset(found)) for field, found in by_field.items()}
        for each in scanners.values():
            self.numbers |= each.numbers
        return {field: Memo(each.scan, memory) for field, each in scanners.items()}

    def _witnesses(self) -> tuple[dict[int, frozenset[int]], frozenset[int]]:
        """Return the places of the rules by the numbers of their witnesses, and of those that have none."""
        always: set[int] = set()
        places: defaultdict[int, set[int]] = defaultdict(set)
        for number, place in enumerate(self.places):
            found = witnesses(place.rule.condition, _guess)
            if found is None:
                always.add(number)
            for test in found[1] if found else ():
                places[self.numbers[test]].add(number)
        return {number: frozenset(found) for number, found in places.items()}, frozenset(always)

    def _met(self, doc: Document, zone: tzinfo) -> list[Numbers]:
        met: list[Numbers] = []
        read = self._read
        for field in read.keys() & doc.keys():
            memo, value = read[field], doc[field]
            kind = value.__class__
            if kind is str or kind is int:
                if memo is not None and (numbers := memo[value]):
                    met.append(numbers)
            elif field in self._nests:  # its value may hold other fields, which are found by their path
                return self._resolved(View(doc, zone))
            elif memo is not None:
                met.extend(_each(memo, View(doc, zone).cells(field) or ()))
        return met

    def _resolved(self, view: View) -> list[Numbers]:
        cells = ((memo, view.cells(field) or ()) for field, memo in self.memos.items() if field)
        return [numbers for memo, found in cells for numbers in _each(memo, found)]

    def _outcome(self, met: tuple[Numbers, ...]) -> Outcome:
        numbers = NONE.union(*met)
        places = sorted(self._always.union(*(self._witnessed.get(number, NONE) for number in numbers)))
        asking = tuple(place for place in places if self._compiled(place).asks)
        found = (place for place in places if not self.places[place].asks and self._holds(place, numbers, _NOWHERE))
        return tuple(found), asking

    def _holds(self, place: int, numbers: Numbers, view: View) -> bool:
        condition = self._compiled(place).condition
        return condition is not None and condition(numbers, view)

    def _compiled(self, place: int) -> Place:
        found = self.places[place]
        if found.condition is None:
            found.asks = not all(test in self.numbers for test in tests(found.rule.condition))
            found.condition = compiled(found.rule.condition, self.numbers)
        return found


def _guess(test: Test) -> Witnesses[Test] | None:
    return (guess(test), frozenset((test,))) if is_of_value(test) else None


def _each(memo: FieldMemo, cells: Iterable[Cell]) -> Iterator[Numbers]:
    for cell in cells:
        value = cell.raw
        if numbers := memo[value] if value.__class__ is str or value.__class__ is int else memo.of(value):
            yield numbers
