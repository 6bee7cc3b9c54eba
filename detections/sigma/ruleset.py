"""A set of rules: every rule file ends up loaded, or rejected with its line and the reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

from sigma.correlations import SigmaCorrelationRule
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule

from detections.correlation.loading import Connected, Draft
from detections.correlation.written import Written
from detections.logsource import BROADER
from detections.sigma import loading
from detections.sigma.condition import from_detections
from detections.sigma.loading import REFUSED, Parsed, Rejected
from detections.sigma.memo import Memory
from detections.sigma.program import Program
from detections.sigma.rule import Match, Rule, RuleText
from detections.sigma.view import View
from detections.sigma.vocabulary import SHIPPED, Vocabulary
from wardwatch.errors import RuleError
from wardwatch.event import Event, LogSource

PACK = Path(__file__).parent.parent / "rules"
"""The rules that ship with wardwatch."""

ZONE = ZoneInfo("Asia/Shanghai")


@dataclass
class Ruleset:
    """Rules by log source, so that an event meets only those that can apply."""

    rules: list[Rule] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    correlations: list[Written] = field(default_factory=list)
    correlated: Connected = field(default_factory=lambda: Connected([], [], lambda _, name: (name,)))
    _by_source: dict[tuple[str, str, str], list[Rule]] = field(default_factory=lambda: defaultdict(list), repr=False)
    _programs: dict[LogSource, Program] = field(default_factory=dict, repr=False)
    _memory: Memory = field(default_factory=Memory, repr=False)

    @classmethod
    def load(cls, paths: Iterable[Path], vocabulary: Vocabulary = SHIPPED) -> Ruleset:
        """Load the rules in files and folders (``*.yml``, without ``*.test.yml``), in order of their names."""
        read = [loading.read(file) for path in paths for file in loading.files(path)]
        ruleset = cls.of((each for each in read if isinstance(each, RuleText)), vocabulary)
        ruleset.rejected[:0] = [each for each in read if isinstance(each, Rejected)]
        return ruleset

    @classmethod
    def of(cls, texts: Iterable[RuleText], vocabulary: Vocabulary = SHIPPED) -> Ruleset:
        """Load the rules in texts of files or of rows of the table ``rules``."""
        ruleset = cls()
        parsed: list[Parsed] = []
        for item in (item for text in texts for item in loading.parse(text)):
            (parsed if isinstance(item, Parsed) else ruleset.rejected).append(item)  # type: ignore[arg-type]
        ruleset._take(parsed, vocabulary)
        return ruleset

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
        found = self._programs.get(source)
        if found is None:
            found = self._programs[source] = Program(list(self.candidates(source)), self._memory)
        return found

    def candidates(self, source: LogSource) -> Iterator[Rule]:
        """Yield the rules that concern a log source (``Rule.concerns``), by their index."""
        categories = {source.category, BROADER.get(source.category, ""), ""}
        for key in product({source.product, ""}, categories, {source.service, ""}):
            yield from self._by_source.get(key, ())

    def _take(self, parsed: Sequence[Parsed], vocabulary: Vocabulary) -> None:
        filters = list(self._sound_filters(parsed, vocabulary))
        loaded: dict[tuple[str, str], Rule] = {}
        sound: list[SigmaRule] = []
        drafts: list[tuple[Parsed, Draft]] = []
        for item in parsed:
            if isinstance(item.sigma, SigmaFilter):
                continue
            try:
                if isinstance(item.sigma, SigmaCorrelationRule):
                    drafts.append((item, loading.draft_correlation(item, item.sigma)))
                    continue
                rule = loading.compile_rule(item, item.sigma, filters, vocabulary)
                if first := loaded.get((rule.tenant, rule.id)):
                    raise RuleError(f"the id '{rule.id}' is that of {first.file}:{first.line}")
            except REFUSED as error:
                self.rejected.append(loading.rejected(item.text.file, item.document, error))
            else:
                loaded[rule.tenant, rule.id] = rule
                sound.append(item.sigma)
                self._by_source[rule.logsource.product, rule.logsource.category, rule.logsource.service].append(rule)
        self.rules = list(loaded.values())
        self._connect(drafts, vocabulary)
        for item, sigma in filters:
            if not any(loading.concerns(sigma, rule) for rule in sound):
                self.rejected.append(Rejected(item.text.file, item.document.line, "the filter concerns no loaded rule"))

    def _connect(self, drafts: Sequence[tuple[Parsed, Draft]], vocabulary: Vocabulary) -> None:
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

    def _sound_filters(self, parsed: Sequence[Parsed], vocabulary: Vocabulary) -> Iterator[tuple[Parsed, SigmaFilter]]:
        for item in parsed:
            if isinstance(item.sigma, SigmaFilter):
                try:
                    vocabulary.settle(item.sigma.filter, item.document.whole)
                    from_detections(item.sigma.filter, lambda name: (name,))
                    yield item, item.sigma
                except REFUSED as error:
                    self.rejected.append(loading.rejected(item.text.file, item.document, error))
