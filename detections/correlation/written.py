"""A correlation rule as its file has it, for the people who write it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detections.correlation.rule import Correlation
from detections.sigma.rule import Presentation, RuleCard
from wardwatch.alert import Severity


@dataclass(frozen=True, slots=True)
class Written:
    """A loaded correlation with the YAML document that it was written as."""

    correlation: Correlation
    presentation: Presentation
    file: Path
    line: int
    text: str
    no_data: str = ""  # what is missing is said of the rules that it refers to

    @property
    def card(self) -> RuleCard:
        """What alerts say of the rule."""
        return self.correlation.card

    @property
    def id(self) -> str:
        """The Sigma id."""
        return self.card.id

    @property
    def version(self) -> str:
        """The rule's date and a hash of its content."""
        return self.card.version

    @property
    def title(self) -> str:
        """The rule's title."""
        return self.card.name

    @property
    def severity(self) -> Severity:
        """The rule's level."""
        return self.card.severity

    @property
    def tenant(self) -> str:
        """The tenant whose rule it is, "" for all."""
        return self.correlation.tenant
