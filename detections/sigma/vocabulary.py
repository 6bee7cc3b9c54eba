"""What the names in rules stand for at a site: the values of placeholders."""

from __future__ import annotations

from dataclasses import dataclass, field

from sigma.rule import SigmaDetections

from detections.sigma import placeholders
from detections.sigma.placeholders import Placeholders


@dataclass(frozen=True)
class Vocabulary:
    """The lookup tables that placeholders name."""

    placeholders: Placeholders = field(default_factory=dict)

    def settle(self, detections: SigmaDetections, text: str) -> None:
        """Put values in the place of placeholders, of which ``text``, the rule as it is written, has some or none."""
        if "expand" in text:
            placeholders.fill(detections, self.placeholders)


SHIPPED = Vocabulary()
"""The names that ship with wardwatch."""
