"""The rules of one log source, compiled: which of them does an event meet?

Of an event only the fields that a rule tests are looked at. A field's value gives, by memory or by one scan, the
numbers of the tests that it meets and the rules for which it is a witness; only those rules' conditions are evaluated,
over the set of numbers (docs/decisions/0008-engine.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import tzinfo

from detections.sigma.compilation import Condition, condition
from detections.sigma.expression import Test, fields, tests
from detections.sigma.keywords import Prefilter
from detections.sigma.memo import Entry, Memo, Memory
from detections.sigma.rule import Rule
from detections.sigma.scanner import NONE, Numbers, is_of_value, scanner
from detections.sigma.view import Cell, View
from detections.sigma.witness import witnesses
from wardwatch.event import Document


class Program:
    """Compiled rules; ``fields`` are those it reads, "" among them stands for all."""

    def __init__(self, rules: Sequence[Rule], memory: Memory) -> None:
        self.rules = tuple(rules)
        self.fields = frozenset[str]().union(*(fields(rule.condition) for rule in rules))
        self._numbers: dict[Test, int] = {}
        self._memos = self._compile(memory)
        self._keywords = self._memos.pop("", None)
        self._prefilter = Prefilter(test for test in self._numbers if not test.field)
        self._parents = frozenset(
            {name[:at] for name in self._memos for at, letter in enumerate(name) if letter == "."}
        )
        self._conditions: list[Condition | None] = [None] * len(self.rules)

    def match(self, doc: Document, zone: tzinfo, raw: bytes | None = None, added: Collection[str] = ()) -> list[Rule]:
        """Return the rules that a document meets, in their order; ``zone`` is that of rules which ask for the hour.

        ``raw`` is the JSON that the document was decoded from, ``added`` the fields it was given since: with them a
        document without any keyword is known at once.
        """
        entries = self._entries(doc, zone)
        if self._keywords is not None:
            entries += _each(self._keywords, self._cells(doc, zone, raw, added))
        witnessed = [entry[1] for entry in entries if entry[1]]
        if not witnessed and not self._always:
            return []
        met = NONE.union(*[entry[0] for entry in entries])
        view = View(doc, zone)
        conditions = self._conditions
        return [
            self.rules[place]
            for place in sorted(self._always.union(*witnessed))
            if (conditions[place] or self._condition(place))(met, view)
        ]

    def _compile(self, memory: Memory) -> dict[str, Memo]:
        by_field: defaultdict[str, set[Test]] = defaultdict(set)
        for rule in self.rules:
            for test in tests(rule.condition):
                if is_of_value(test):
                    by_field[test.field].add(test)
        scanners = {field: scanner(frozenset(found)) for field, found in by_field.items()}
        for each in scanners.values():
            self._numbers |= each.numbers
        witnessed = self._witnessed()
        return {field: Memo(each, witnessed, memory) for field, each in scanners.items()}

    def _witnessed(self) -> dict[int, Numbers]:
        """Return the places of the rules by the numbers of their witnesses; rules without one are always candidates."""
        always: set[int] = set()
        places: defaultdict[int, set[int]] = defaultdict(set)
        for place, rule in enumerate(self.rules):
            found = witnesses(rule.condition)
            if found is None:
                always.add(place)
            for test in found or ():
                places[self._numbers[test]].add(place)
        self._always = frozenset(always)
        return {number: frozenset(found) for number, found in places.items()}

    def _entries(self, doc: Document, zone: tzinfo) -> list[Entry]:
        entries: list[Entry] = []
        for parent in self._parents:
            if parent in doc:  # a nested document: its fields are found by their path
                view = View(doc, zone)
                return [entry for field, memo in self._memos.items() for entry in _each(memo, view.cells(field) or ())]
        memos = self._memos
        for field in memos.keys() & doc.keys():
            value = doc[field]
            kind = value.__class__
            if kind is str or kind is int:
                entry = memos[field][value]
                if entry[0]:
                    entries.append(entry)
            else:
                entries.extend(_each(memos[field], View(doc, zone).cells(field) or ()))
        return entries

    def _cells(self, doc: Document, zone: tzinfo, raw: bytes | None, added: Collection[str]) -> tuple[Cell, ...]:
        """Return the values of the document in which a keyword can be."""
        if raw is None or self._prefilter.may_match(raw):
            return View(doc, zone).everything
        return View({name: doc[name] for name in added}, zone).everything if added else ()

    def _condition(self, place: int) -> Condition:
        found = self._conditions[place] = condition(self.rules[place].condition, self._numbers)
        return found


def _each(memo: Memo, cells: Iterable[Cell]) -> Iterator[Entry]:
    for cell in cells:
        value = cell.raw
        yield memo[value] if value.__class__ is str or value.__class__ is int else memo.of(value)


def _parents(name: str) -> Iterator[str]:
    """Yield what a nested document could have in a field's place: ``a`` and ``a.b`` for ``a.b.c``."""
    return (name[:at] for at, letter in enumerate(name) if letter == ".")
