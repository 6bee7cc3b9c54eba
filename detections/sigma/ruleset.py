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

from detections.logsource import BROADER
from detections.sigma import loading
from detections.sigma.condition import compile_detections
from detections.sigma.loading import REFUSED, Parsed, Rejected
from detections.sigma.rule import Match, Rule
from detections.sigma.view import View
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
    _by_source: dict[tuple[str, str, str], list[Rule]] = field(default_factory=lambda: defaultdict(list), repr=False)

    @classmethod
    def load(cls, paths: Iterable[Path]) -> Ruleset:
        """Load the rules in files and folders (``*.yml``, without ``*.test.yml``), in order of their names."""
        ruleset = cls()
        parsed: list[Parsed] = []
        for file in (file for path in paths for file in loading.files(path)):
            for item in loading.parse(file):
                (parsed if isinstance(item, Parsed) else ruleset.rejected).append(item)  # type: ignore[arg-type]
        ruleset._take(parsed)
        return ruleset

    def match(self, event: Event, zone: tzinfo = ZONE) -> list[Match]:
        """Return the rules that the event meets; ``zone`` is the tenant's, for rules that ask for the hour."""
        view = View(event.doc, zone)
        return [Match(rule, rule.matched(view)) for rule in self.candidates(event.logsource) if rule.applies(view)]

    def candidates(self, source: LogSource) -> Iterator[Rule]:
        """Yield the rules that concern a log source (``Rule.concerns``), by their index."""
        categories = {source.category, BROADER.get(source.category, ""), ""}
        for key in product({source.product, ""}, categories, {source.service, ""}):
            yield from self._by_source.get(key, ())

    def _take(self, parsed: Sequence[Parsed]) -> None:
        filters = list(self._sound_filters(parsed))
        loaded: dict[str, Rule] = {}
        for item in parsed:
            if isinstance(item.sigma, SigmaFilter):
                continue
            try:
                if isinstance(item.sigma, SigmaCorrelationRule):
                    raise RuleError("correlation rules are not evaluated yet")
                rule = loading.compile_rule(item, item.sigma, filters)
                if first := loaded.get(rule.id):
                    raise RuleError(f"the id '{rule.id}' is that of {first.file}:{first.line}")
            except REFUSED as error:
                self.rejected.append(loading.rejected(item.file, item.document, error))
            else:
                loaded[rule.id] = rule
                self._by_source[rule.logsource.product, rule.logsource.category, rule.logsource.service].append(rule)
        self.rules = list(loaded.values())
        for item, sigma in filters:
            if not any(loading.concerns(sigma, rule.sigma) for rule in self.rules):
                self.rejected.append(Rejected(item.file, item.document.line, "the filter concerns no loaded rule"))

    def _sound_filters(self, parsed: Sequence[Parsed]) -> Iterator[tuple[Parsed, SigmaFilter]]:
        for item in parsed:
            if isinstance(item.sigma, SigmaFilter):
                try:
                    compile_detections(item.sigma.filter, str)
                    yield item, item.sigma
                except REFUSED as error:
                    self.rejected.append(loading.rejected(item.file, item.document, error))
