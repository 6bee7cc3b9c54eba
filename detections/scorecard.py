"""Scorecard: what each rule gave the people who work its alerts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from detections.correlation.written import Written
from detections.fired import Fired
from detections.sigma import Rule
from wardwatch.alert import OPEN, Verdict

_FALSE = (Verdict.FALSE_POSITIVE_LOGIC, Verdict.FALSE_POSITIVE_DATA)


@dataclass
class Score:
    """One rule's figures; ``slug`` is the word that people use; ``last_fired`` is RFC 3339, "" without an alert.

    ``cost`` is the share of all matching time, 0 to 1; None where it was not measured.
    """

    rule: str
    slug: str
    title: str
    level: str = ""
    in_force: bool = False
    alerts: int = 0
    matches: int = 0
    open: int = 0
    last_fired: str = ""
    cost: float | None = None
    verdicts: Counter[Verdict] = field(default_factory=Counter)

    @property
    def true_positives(self) -> int:
        """Alerts that were what the rule looks for."""
        return self.verdicts[Verdict.TRUE_POSITIVE]

    @property
    def benign(self) -> int:
        """Alerts on what the rule looks for, which was allowed."""
        return self.verdicts[Verdict.BENIGN_POSITIVE]

    @property
    def false_positives(self) -> int:
        """Alerts by a fault of the rule or of the data."""
        return sum(self.verdicts[verdict] for verdict in _FALSE)

    @property
    def precision(self) -> float | None:
        """TP / (TP + benign + FP); None before the first such verdict. Duplicates and exercises stay out."""
        judged = self.true_positives + self.benign + self.false_positives
        return self.true_positives / judged if judged else None

    def add(self, alert: Fired) -> None:
        """Count one alert."""
        self.alerts += 1
        self.matches += alert.matches
        self.open += alert.status in OPEN
        self.last_fired = max(self.last_fired, alert.last_seen)
        if alert.verdict:
            self.verdicts[alert.verdict] += 1


def scorecard(rules: Iterable[Rule | Written], alerts: Iterable[Fired], costs: Mapping[str, float]) -> list[Score]:
    """Return the score of every rule, the worst first: least precise, then loudest; unjudged rules come after.

    ``costs`` are shares of matching time by rule id.
    """
    scores = {rule.id: _unfired(rule, costs.get(rule.id)) for rule in rules}
    for alert in alerts:
        scores.setdefault(alert.rule, Score(alert.rule, alert.slug, alert.title)).add(alert)
    return sorted(scores.values(), key=_worst_first)


def _unfired(rule: Rule | Written, cost: float | None) -> Score:
    return Score(rule.id, rule.card.slug, rule.title, rule.severity.value, in_force=True, cost=cost)


def _worst_first(score: Score) -> tuple[bool, float, int, str]:
    return score.precision is None, score.precision or 0.0, -score.alerts, score.rule
