"""The rules of one log source, compiled: which of them does an event meet?

Of an event only the fields that a rule tests are looked at. A field's value gives, by memory or by one scan, the
numbers of the tests that it meets and the rules for which it is a witness; only those rules' conditions are evaluated,
over the set of numbers (docs/decisions/0008-engine.md).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import tzinfo

from detections.sigma.compilation import Condition, condition
from detections.sigma.expression import Test, fields, tests
from detections.sigma.keywords import Prefilter
from detections.sigma.memo import Entry, Memo, Memory
from detections.sigma.rule import Rule
from detections.sigma.scanner import NONE, is_of_value, scanner
from detections.sigma.view import Cell, View
from detections.sigma.witness import Weight, guess, witnesses
from wardwatch.event import Document

SAMPLE = 512  # events after which the witnesses are chosen by how often tests were met


class Program:
    """Compiled rules; ``fields`` are those it reads, "" among them stands for all. One thread at a time may match."""

    def __init__(self, rules: Sequence[Rule], memory: Memory) -> None:
        self.rules = tuple(rules)
        self.fields = frozenset[str]().union(*(fields(rule.condition) for rule in rules))
        self.numbers: dict[Test, int] = {}
        self._memos = self._compile(memory)
        self._keywords = self._memos.get("")
        self._prefilter = Prefilter(test for test in self.numbers if not test.field)
        self._read: dict[str, Memo | None] = {parent: None for name in self._memos for parent in _parents(name)}
        self._read |= {name: memo for name, memo in self._memos.items() if name}
        self._conditions: list[Condition | None] = [None] * len(self.rules)
        self._sample: Counter[int] = Counter()
        self._sampling = SAMPLE
        self._choose(guess)

    def match(self, doc: Document, zone: tzinfo, raw: bytes | None = None, added: Collection[str] = ()) -> list[Rule]:
        """Return the rules that a document meets, in their order; ``zone`` is that of rules which ask for the hour.

        ``raw`` is the JSON that the document was decoded from, ``added`` the fields it was given since: with them a
        document without any keyword is known at once.
        """
        entries = self._entries(doc, zone)
        if self._keywords is not None:
            entries += _each(self._keywords, self._cells(doc, zone, raw, added))
        if self._sampling:
            self._observe(entries)
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

    def observe(self, wrap: Callable[[Rule, Condition], Condition]) -> None:
        """Ask every condition through what ``wrap`` makes of it from now on, for a profile."""
        self._conditions = [wrap(rule, self._condition(place)) for place, rule in enumerate(self.rules)]

    def misses(self) -> dict[str, int]:
        """Return for each field how many of its values were scanned, not remembered."""
        return {field: memo.misses for field, memo in self._memos.items()}

    def _compile(self, memory: Memory) -> dict[str, Memo]:
        by_field: defaultdict[str, set[Test]] = defaultdict(set)
        for rule in self.rules:
            for test in tests(rule.condition):
                if is_of_value(test):
                    by_field[test.field].add(test)
        scanners = {field: scanner(frozenset(found)) for field, found in by_field.items()}
        for each in scanners.values():
            self.numbers |= each.numbers
        return {field: Memo(each, memory) for field, each in scanners.items()}

    def _observe(self, entries: Iterable[Entry]) -> None:
        """Count the tests met; after SAMPLE events the witnesses are those which were met least."""
        self._sample.update(NONE.union(*[entry[0] for entry in entries]))
        self._sampling -= 1
        if not self._sampling:
            counted = self._sample
            self._choose(lambda test: counted[self.numbers[test]] / SAMPLE + guess(test) / SAMPLE)
            self._sample = Counter()

    def _choose(self, weight: Weight) -> None:
        """Choose the witnesses of each rule; one that has none is always a candidate."""
        always: set[int] = set()
        places: defaultdict[int, set[int]] = defaultdict(set)
        for place, rule in enumerate(self.rules):
            found = witnesses(rule.condition, weight)
            if found is None:
                always.add(place)
            for test in found or ():
                places[self.numbers[test]].add(place)
        self._always = frozenset(always)
        witnessed = {number: frozenset(found) for number, found in places.items()}
        for memo in self._memos.values():
            memo.begin(witnessed)

    def _entries(self, doc: Document, zone: tzinfo) -> list[Entry]:
        entries: list[Entry] = []
        read = self._read
        for field in read.keys() & doc.keys():
            memo, value = read[field], doc[field]
            if memo is None:  # a nested document: its fields are found by their path
                return self._resolved(View(doc, zone))
            kind = value.__class__
            if kind is str or kind is int:
                if entry := memo[value]:
                    entries.append(entry)
            else:
                entries.extend(_each(memo, View(doc, zone).cells(field) or ()))
        return entries

    def _resolved(self, view: View) -> list[Entry]:
        fields = ((memo, view.cells(field) or ()) for field, memo in self._memos.items() if field)
        return [entry for memo, cells in fields for entry in _each(memo, cells)]

    def _cells(self, doc: Document, zone: tzinfo, raw: bytes | None, added: Collection[str]) -> tuple[Cell, ...]:
        """Return the values of the document in which a keyword can be."""
        if raw is None or self._prefilter.may_match(raw):
            return View(doc, zone).everything
        return View({name: doc[name] for name in added}, zone).everything if added else ()

    def _condition(self, place: int) -> Condition:
        found = self._conditions[place] = condition(self.rules[place].condition, self.numbers)
        return found


def _each(memo: Memo, cells: Iterable[Cell]) -> Iterator[Entry]:
    for cell in cells:
        value = cell.raw
        if entry := memo[value] if value.__class__ is str or value.__class__ is int else memo.of(value):
            yield entry


def _parents(name: str) -> Iterator[str]:
    """Yield what a nested document could have in a field's place: ``a`` and ``a.b`` for ``a.b.c``."""
    return (name[:at] for at, letter in enumerate(name) if letter == ".")
