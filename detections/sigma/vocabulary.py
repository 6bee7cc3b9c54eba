"""What the names in rules stand for at a site: the values of placeholders, the fields of events."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace

from sigma.rule import SigmaDetections, SigmaRule

from detections import logsource
from detections.sigma import placeholders
from detections.sigma.condition import from_detections
from detections.sigma.expression import Expression
from detections.sigma.pipelines import Pipelines, shipped
from detections.sigma.placeholders import Placeholders


@dataclass(frozen=True)
class Vocabulary:
    """The lookup tables that placeholders name, and the pipelines that map fields."""

    placeholders: Placeholders = field(default_factory=dict)
    pipelines: Pipelines = field(default_factory=shipped)

    def settle(self, detections: SigmaDetections, text: str) -> None:
        """Put values in the place of placeholders, of which ``text``, the rule as it is written, has some or none."""
        if "expand" in text:
            placeholders.fill(detections, self.placeholders)

    def translate(self, sigma: SigmaRule, detections: SigmaDetections) -> Expression:
        """Return the tree of a rule's detections, or of those of a filter on it, on the fields of events."""
        source = logsource.of_rule(sigma.logsource)
        if self.pipelines.only_rename(source):
            return from_detections(detections, self.pipelines.rename(source))
        copy = replace(sigma, detection=deepcopy(detections))
        self.pipelines.whole.apply(copy)
        return from_detections(copy.detection, lambda name: (name,))


SHIPPED = Vocabulary()
"""The names that ship with wardwatch."""
