"""ATT&CK coverage: for each technique whether a rule is on, has data and has fired, as a Navigator layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from detections import attack
from detections.correlation.written import Written
from detections.fired import Fired
from detections.sigma import Rule, Ruleset
from wardwatch.event import LogSource
from wardwatch.text import safe_text

_LISTED = 10  # rules named in a comment


class Stage(IntEnum):
    """How far a technique is covered; the number is its score in the layer."""

    RULE_ON = 1
    HAS_DATA = 2
    HAS_FIRED = 3


_LOOKS = {
    Stage.RULE_ON: ("#f4cccc", "a rule is on, its log source sent nothing"),
    Stage.HAS_DATA: ("#fff2b2", "a rule is on and its log source sent events"),
    Stage.HAS_FIRED: ("#b7dfb0", "a rule has fired"),
}


@dataclass
class Technique:
    """One technique or sub-technique: its rules, those of them with data, and alerts by rule."""

    id: str
    name: str
    rules: list[Rule | Written] = field(default_factory=list)
    with_data: list[Rule | Written] = field(default_factory=list)
    alerts: Counter[str] = field(default_factory=Counter)

    @property
    def stage(self) -> Stage:
        """How far it is covered."""
        if self.alerts:
            return Stage.HAS_FIRED
        return Stage.HAS_DATA if self.with_data else Stage.RULE_ON

    @property
    def comment(self) -> str:
        """Its figures and rules in words."""
        titles = "; ".join(safe_text(rule.title, limit=120) for rule in self.rules[:_LISTED])
        more = f"; and {len(self.rules) - _LISTED} more" if len(self.rules) > _LISTED else ""
        never = sum(bool(rule.no_data) for rule in self.rules)
        counts = f"{len(self.rules)} rules on, {len(self.with_data)} with data, {self.alerts.total()} alerts"
        counts += f", {never} that no parser's events can meet" if never else ""
        return f"{counts}: {titles}{more}"


def coverage(ruleset: Ruleset, sources: Collection[LogSource], alerts: Iterable[Fired]) -> list[Technique]:
    """Return every technique that a rule names, by id; ``sources`` are those that sent events.

    A correlation has data when each plain rule below it has.
    """
    fired = Counter(alert.rule for alert in alerts)
    found: dict[str, Technique] = {}
    has_data = {
        rule.id: not rule.no_data and any(rule.concerns(source) for source in sources) for rule in ruleset.rules
    }
    for rule in ruleset.loaded:
        fed = all(has_data.get(each, True) for each in ruleset.correlated.beneath([rule.id]))
        for identifier in attack.techniques(rule.card.tags):
            technique = found.setdefault(identifier, Technique(identifier, attack.name(identifier)))
            technique.rules.append(rule)
            technique.with_data += [rule] if fed else []
            technique.alerts += Counter({rule.id: fired[rule.id]})
    return [found[identifier] for identifier in sorted(found)]


def layer(techniques: Iterable[Technique], name: str, description: str) -> dict[str, Any]:
    """Return the layer (ATT&CK Navigator layer format 4.5)."""
    return {
        "name": name,
        "versions": {"attack": attack.version().partition(".")[0], "navigator": "4.9.1", "layer": "4.5"},
        "domain": "enterprise-attack",
        "description": description,
        "gradient": {
            "colors": [colour for colour, _ in _LOOKS.values()],
            "minValue": min(Stage).value,
            "maxValue": max(Stage).value,
        },
        "legendItems": [{"label": label, "color": colour} for colour, label in _LOOKS.values()],
        "techniques": [
            {
                "techniqueID": each.id,
                "score": each.stage.value,
                "color": _LOOKS[each.stage][0],
                "comment": each.comment,
                "enabled": True,
            }
            for each in techniques
        ],
    }
