"""The rules of one log source, compiled: which of them does an event meet?

The bytes of its record say which rules it can meet (``prefilter.py``); these are asked one by one (``predicate.py``),
or, where there are many, found by what the event's fields give (``by_fields.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from functools import cached_property

from detections.sigma.by_fields import ByFields
from detections.sigma.decoding import partial_decoder
from detections.sigma.expression import fields, parents
from detections.sigma.memo import Memory
from detections.sigma.predicate import Predicate, predicate
from detections.sigma.prefilter import ANY, Candidates, Prefilter
from detections.sigma.rule import Rule
from detections.sigma.view import View
from wardwatch.event import Document, decode

Answer = Callable[..., bool]
"""A condition in either form: of the event, or of the numbers of the tests that it meets."""


class Program:
    """Compiled rules; ``candidates`` tells which a record can meet. One thread at a time may match."""

    def __init__(self, rules: Sequence[Rule], memory: Memory, also: frozenset[str] = frozenset()) -> None:
        self.rules = tuple(rules)
        self.candidates = Prefilter([rule.condition for rule in rules], memory).candidates
        read = {field for rule in rules for field in fields(rule.condition) if field}
        named = frozenset(name for field in read for name in (field, *parents(field)))
        self._partial = partial_decoder(named | also)
        self._memory = memory
        self._predicates: dict[int, Predicate] = {}

    @cached_property
    def by_fields(self) -> ByFields:
        """The rules as they are found by fields; compiled when first needed."""
        return ByFields(self.rules, self._memory)

    def decode(self, raw: bytes, candidates: Candidates) -> Document:
        """Return the document in a record as far as its candidates need it; raises DecodeError.

        Without a keyword in it: the fields that the rules read and those of ``also``.
        """
        return decode(raw) if candidates.whole else self._partial(raw)

    def match(self, doc: Document, zone: tzinfo, candidates: Candidates = ANY) -> Sequence[Rule]:
        """Return the rules that a document meets, in their order; ``zone`` is that of rules which ask for the hour.

        ``candidates`` are what ``self.candidates`` said of its record.
        """
        if candidates.places is None:
            places = self.by_fields.match(doc, zone, keywords=candidates.whole)
        else:
            view = View(doc, zone)
            places = [place for place in candidates.places if self._predicate(place)(view)]
        return [self.rules[place] for place in places] if places else ()

    def observe(self, wrap: Callable[[Rule, Answer], Answer]) -> None:
        """Ask every candidate through what ``wrap`` makes of its condition, with no answer remembered."""
        self._predicates = {place: wrap(rule, predicate(rule.condition)) for place, rule in enumerate(self.rules)}
        self.by_fields.observe(wrap)

    def _predicate(self, place: int) -> Predicate:
        found = self._predicates.get(place)
        if found is None:
            found = self._predicates[place] = predicate(self.rules[place].condition)
        return found
