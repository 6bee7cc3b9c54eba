"""A set of rules: every rule file ends up loaded, or rejected with its line and the reason."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import product
from operator import is_
from pathlib import Path
from zoneinfo import ZoneInfo

from sigma.correlations import SigmaCorrelationRule
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule

from detections.correlation.loading import Connected, Draft
from detections.correlation.written import Written
from detections.logsource import BROADER
from detections.sigma import loading
from detections.sigma.cache import RuleCache, Unit, digest
from detections.sigma.condition import from_detections
from detections.sigma.documents import YamlDocument
from detections.sigma.loading import REFUSED, Parsed, Rejected
from detections.sigma.memo import Memory
from detections.sigma.program import Program
from detections.sigma.rule import Match, Rule, RuleText
from detections.sigma.view import View
from detections.sigma.vocabulary import SHIPPED, Vocabulary
from enrich.context import READS
from wardwatch.errors import RuleError
from wardwatch.event import Event, LogSource

PACK = Path(__file__).parent.parent / "rules"
"""The rules that ship with wardwatch."""

ZONE = ZoneInfo("Asia/Shanghai")
MOST_PROGRAMS = 512

SourceKey = tuple[str, str, str]
"""Product, category and service of a log source."""

_ALSO = READS | {"event.id"}
"""What a document decoded in part holds beside the fields of rules: what makes it an event that can be enriched."""


@dataclass
class Ruleset:
    """Rules by log source, so that an event meets only those that can apply."""

    rules: list[Rule] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    correlations: list[Written] = field(default_factory=list)
    correlated: Connected = field(default_factory=lambda: Connected([], [], lambda _, name: (name,)))
    _by_source: dict[SourceKey, list[Rule]] = field(default_factory=lambda: defaultdict(list), repr=False)
    _by_id: dict[tuple[str, str], Rule] = field(default_factory=dict, repr=False)
    _names: tuple[set[str], set[str], set[str]] = field(
        default_factory=lambda: (set(), set(BROADER), set()), repr=False
    )
    _programs: dict[SourceKey, Program] = field(default_factory=dict, repr=False)
    _memory: Memory = field(default_factory=Memory, repr=False)

    @classmethod
    def load(cls, paths: Iterable[Path], vocabulary: Vocabulary = SHIPPED, cache: RuleCache | None = None) -> Ruleset:
        """Load the rules in files and folders (``*.yml``, without ``*.test.yml``), in order of their names."""
        read = [loading.read(file) for path in paths for file in loading.files(path)]
        ruleset = cls.of((each for each in read if isinstance(each, RuleText)), vocabulary, cache)
        ruleset.rejected[:0] = [each for each in read if isinstance(each, Rejected)]
        return ruleset

    @classmethod
    def of(
        cls,
        texts: Iterable[RuleText],
        vocabulary: Vocabulary = SHIPPED,
        cache: RuleCache | None = None,
        previous: Ruleset | None = None,
    ) -> Ruleset:
        """Load the rules in texts of files or of rows of the table ``rules``.

        What ``cache`` knows is not compiled again; programs of ``previous`` that hold the same rules are taken over.
        So a change costs what it concerns (docs/decisions/0011-rules-are-rows.md).
        """
        ruleset = cls()
        ruleset._take(texts, vocabulary, cache or RuleCache(), previous or cls())
        if previous is not None:
            ruleset._take_over(previous)
        return ruleset

    @property
    def no_data(self) -> list[Rule]:
        """The loaded rules that no parser's events can meet; each says why (``Rule.no_data``)."""
        return [rule for rule in self.rules if rule.no_data]

    @property
    def loaded(self) -> list[Rule | Written]:
        """The rules and correlations that are loaded."""
        return [*self.rules, *self.correlations]

    def match(self, event: Event, zone: tzinfo = ZONE) -> list[Match]:
        """Return the rules that the event meets; ``zone`` is the tenant's, for rules that ask for the hour."""
        met = self.program(event.logsource).match(event.doc, zone)
        if not met:
            return []
        view = View(event.doc, zone)
        return [Match(rule, rule.matched(view)) for rule in met if rule.tenant in ("", event.tenant)]

    def program(self, source: LogSource) -> Program:
        """Return the compiled rules that concern a log source; compiled when first asked for."""
        key = source.product, source.category, source.service  # hashed at a fifth of the cost of the dataclass
        return self._programs.get(key) or self._program(key)

    def _program(self, key: SourceKey) -> Program:
        """Return the program of a log source, of whose names those that no rule has are as good as none."""
        product, category, service = (name if name in own else "" for name, own in zip(key, self._names, strict=True))
        known = product, category, service
        if known not in self._programs:
            # names are what a record claims: neither new ones nor ever new combinations may fill the memory
            if len(self._programs) >= MOST_PROGRAMS:
                del self._programs[next(iter(self._programs))]
            self._programs[known] = self._compile(self.candidates(LogSource(*known)))
        return self._programs[known]

    def _compile(self, rules: Iterable[Rule]) -> Program:
        return Program(list(rules), self._memory, _ALSO)

    def candidates(self, source: LogSource) -> Iterator[Rule]:
        """Yield the rules that concern a log source (``Rule.concerns``), by their index."""
        products, services = dict.fromkeys((source.product, "")), dict.fromkeys((source.service, ""))
        categories = dict.fromkeys((source.category, BROADER.get(source.category, ""), ""))
        for key in product(products, categories, services):
            yield from self._by_source.get(key, ())

    def _take_over(self, previous: Ruleset) -> None:
        """Take over the programs of ``previous`` that hold the same rules, with what they have learned."""
        self._memory = previous._memory
        for key, before in list(previous._programs.items()):
            rules = tuple(self.candidates(LogSource(*key)))
            if len(rules) == len(before.rules) and all(map(is_, rules, before.rules)):
                self._programs[key] = before

    def _take(self, texts: Iterable[RuleText], vocabulary: Vocabulary, cache: RuleCache, previous: Ruleset) -> None:
        others: list[Parsed] = []
        units: list[Unit] = []
        for text in texts:
            unit = cache.get(text)
            if unit is None or unit.context != _context(unit.rules, unit.rejected, vocabulary):
                items = list(loading.parse(text))
                unit = _unit(items, vocabulary)
                own = [each for each in items if isinstance(each, Parsed) and not isinstance(each.sigma, SigmaRule)]
                if not own:
                    cache.put(text, unit)
                others += own
            units.append(unit)
        cache.settle()
        filters = list(self._sound_filters(others, vocabulary))
        for unit in units:
            self.rejected += unit.rejected
            for rule in unit.rules:
                self._add(rule, filters, vocabulary, previous)
        self._connect(others, vocabulary)
        for item, sigma in filters:
            if not any(loading.is_filtered(rule, sigma) for rule in self.rules):
                self.rejected.append(Rejected(item.text.file, item.document.line, "the filter concerns no loaded rule"))

    def _connect(self, parsed: Iterable[Parsed], vocabulary: Vocabulary) -> None:
        drafts = list(self._drafts(parsed))
        names = vocabulary.pipelines.names
        found = Connected([each for _, each in drafts], self.rules, lambda rule, name: names(rule.logsource, name))
        self.correlated = found
        places = {id(each): item for item, each in drafts}
        drafted = {each.correlation.card.id: (item, each.presentation) for item, each in drafts}
        for correlation in found.correlations:
            item, own = drafted[correlation.card.id]
            document = item.document
            self.correlations.append(Written(correlation, own, item.text.file, document.line, document.whole))
        for each, reason in found.refused:
            item = places[id(each)]
            self.rejected.append(loading.rejected(item.text.file, item.document, RuleError(reason)))

    def _drafts(self, parsed: Iterable[Parsed]) -> Iterator[tuple[Parsed, Draft]]:
        for item in parsed:
            if isinstance(item.sigma, SigmaCorrelationRule):
                try:
                    yield item, loading.draft_correlation(item, item.sigma)
                except REFUSED as error:
                    self.rejected.append(loading.rejected(item.text.file, item.document, error))

    def _add(
        self, rule: Rule, filters: Sequence[tuple[Parsed, SigmaFilter]], vocabulary: Vocabulary, previous: Ruleset
    ) -> None:
        key = rule.tenant, rule.id
        if first := self._by_id.get(key):
            reason = f"the id '{rule.id}' is that of {first.file}:{first.line}"
            self.rejected.append(Rejected(rule.file, rule.line, reason))
            return
        try:
            own = loading.filtered(rule, filters, vocabulary)
        except REFUSED as error:
            self.rejected.append(loading.rejected(rule.file, YamlDocument(None, rule.line, rule.text), error))
            return
        before = previous._by_id.get(key)
        own = before if before == own else own  # programs know their rules by identity
        self._by_id[key] = own
        self.rules.append(own)
        source = own.logsource.product, own.logsource.category, own.logsource.service
        self._by_source[source].append(own)
        for names, name in zip(self._names, source, strict=True):
            names.add(name)

    def _sound_filters(self, parsed: Iterable[Parsed], vocabulary: Vocabulary) -> Iterator[tuple[Parsed, SigmaFilter]]:
        for item in parsed:
            if isinstance(item.sigma, SigmaFilter):
                try:
                    vocabulary.settle(item.sigma.filter, item.document.whole)
                    from_detections(item.sigma.filter, lambda name: (name,))
                    yield item, item.sigma
                except REFUSED as error:
                    self.rejected.append(loading.rejected(item.text.file, item.document, error))


def _unit(items: Sequence[Parsed | Rejected], vocabulary: Vocabulary) -> Unit:
    found = list(_compiled(items, vocabulary))
    rules = tuple(each for each in found if isinstance(each, Rule))
    rejected = tuple(each for each in found if isinstance(each, Rejected))
    return Unit(_context(rules, rejected, vocabulary), rules, rejected)


def _compiled(items: Iterable[Parsed | Rejected], vocabulary: Vocabulary) -> Iterator[Rule | Rejected]:
    for item in items:
        if isinstance(item, Rejected):
            yield item
        elif isinstance(item.sigma, SigmaRule):
            try:
                yield loading.compile_rule(item, item.sigma, vocabulary)
            except REFUSED as error:
                yield loading.rejected(item.text.file, item.document, error)


def _context(rules: Sequence[Rule], rejected: Sequence[Rejected], vocabulary: Vocabulary) -> str:
    """Return what beside its text decides what became of it; of a rejected rule that may be any name."""
    return digest([vocabulary.of_rules(rules), vocabulary.whole if rejected else ""])


def settle() -> None:
    """Have Python's garbage collector leave alone what is there now: rules in force live long, and there are many."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
