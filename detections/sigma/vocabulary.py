"""What the names in rules stand for at a site: the values of placeholders, the fields of events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property

from sigma.rule import SigmaDetections, SigmaRule

from detections.sigma import placeholders
from detections.sigma.condition import from_detections
from detections.sigma.expression import Expression
from detections.sigma.pipelines import Pipelines, shipped
from detections.sigma.placeholders import Placeholders
from detections.sigma.rule import Rule
from wardwatch.event import LogSource


@dataclass(frozen=True)
class Vocabulary:
    """The lookup tables that placeholders name, and the pipelines that map fields."""

    placeholders: Placeholders = field(default_factory=dict)
    pipelines: Pipelines = field(default_factory=shipped)

    def settle(self, detections: SigmaDetections, text: str) -> None:
        """Put values in the place of placeholders, of which ``text``, the rule as it is written, has some or none."""
        if "expand" in text:
            placeholders.fill(detections, self.placeholders)

    def translate(self, source: LogSource, detections: SigmaDetections, sigma: Callable[[], SigmaRule]) -> Expression:
        """Return the tree of a rule's detections, or of those of a filter on it, on the fields of events."""
        if self.pipelines.only_rename(source):
            return from_detections(detections, self.pipelines.rename(source))
        copy = replace(sigma(), detection=deepcopy(detections))
        self.pipelines.whole.apply(copy)
        return from_detections(copy.detection, lambda name: (name,))

    def of_rules(self, rules: Iterable[Rule]) -> str:
        """Return what of the vocabulary these rules say, so that a change of the rest leaves them as they are."""
        return "\n".join(map(self._of_rule, rules))

    @cached_property
    def whole(self) -> str:
        """All of it, as text."""
        return f"{self._lists}\n{self.pipelines!r}"

    @cached_property
    def _lists(self) -> str:
        return repr(self.placeholders)

    def _of_rule(self, rule: Rule) -> str:
        lists = self._lists if "expand" in rule.text else ""
        if rule.written is None or not self.pipelines.only_rename(rule.logsource):
            return f"{lists}\n{self.pipelines!r}"
        return f"{lists}\n{[self.pipelines.names(rule.logsource, name) for name in rule.written]}"


SHIPPED = Vocabulary()
"""The names that ship with wardwatch."""
