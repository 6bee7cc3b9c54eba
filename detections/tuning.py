"""Tuning: a filter on a rule, from alerts that people closed as faults of its logic."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

from detections.sigma import Rule, Ruleset
from detections.sigma.rule import RuleText
from detections.sigma.view import View, fold
from detections.tenants import Tenants
from wardwatch.event import Event

LEAST = 2
"""Alerts that must share a value before it is proposed: one alone is no pattern."""

_VALUES = 10  # of one field
_TERMS = 3
_LONGEST = 200  # characters of a value
_FLEETING = re.compile(
    r"@timestamp|message|event\.(id|original|created|ingested|start|end|hash|sequence|kind|module|dataset|category|type)"
    r"|related\..*|.*token.*|winlog\.record_id|.*(Guid|GUID|ProcessId|LogonId|UtcTime|\.pid|\.port)"
)
"""Fields that differ from event to event, say nothing of their own, or name a patient."""


_ENTITIES = ("user.", "host.", "source.", "destination.", "client.", "process.", "file.", "url.", "winlog.event_data.")
"""Beginnings of fields that say who, where and with what: of two that tell as much, such a one is proposed."""


@dataclass(frozen=True, slots=True)
class Example:
    """An alert and those of its events that the rule meets today."""

    alert: str
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Term:
    """A field and the values of it that false positives hold and true positives do not."""

    field: str
    values: tuple[str, ...]

    def covers(self, example: Example, tenants: Tenants) -> bool:
        """Tell whether every event of the alert holds one of the values."""
        wanted = {fold(value) for value in self.values}
        return all(
            any(fold(value) in wanted for value in _texts(event, self.field, tenants)) for event in example.events
        )


def propose(false: Sequence[Example], true: Sequence[Example], tenants: Tenants) -> list[Term]:
    """Return terms that hold as many false positives as possible and no event of a true one; [] where none does."""
    terms: list[Term] = []
    left = list(false)
    while len(terms) < _TERMS and (best := _best(left, true, tenants)):
        terms.append(best)
        left = [each for each in left if not best.covers(each, tenants)]
    return terms


def _best(false: Sequence[Example], true: Sequence[Example], tenants: Tenants) -> Term | None:
    terms = (_term(field, false, true, tenants) for field in sorted(_fields(false)))
    ranked = [
        (sum(term.covers(each, tenants) for each in false), term.field.startswith(_ENTITIES), -len(term.values), term)
        for term in terms
        if term
    ]
    count, *_, best = max(ranked, key=lambda each: each[:3], default=(0, False, 0, None))
    return best if count >= LEAST else None


def _fields(examples: Iterable[Example]) -> set[str]:
    return {name for each in examples for event in each.events for name in event.doc if not _FLEETING.fullmatch(name)}


def _term(field: str, false: Sequence[Example], true: Sequence[Example], tenants: Tenants) -> Term | None:
    kept = {fold(value) for each in true for event in each.events for value in _texts(event, field, tenants)}
    spelt: dict[str, str] = {}
    alerts: Counter[str] = Counter()
    for each in false:
        values = {fold(value): value for event in each.events for value in _texts(event, field, tenants)}
        alerts.update(values.keys() - kept)
        spelt = values | spelt
    common = [value for value, count in alerts.most_common(_VALUES) if count >= LEAST]
    return Term(field, tuple(spelt[value] for value in common)) if common else None


def _texts(event: Event, field: str, tenants: Tenants) -> Iterator[str]:
    for cell in View(event.doc, tenants.zone(event.tenant)).cells(field) or ():
        if isinstance(cell.raw, str) and 0 < len(cell.raw) <= _LONGEST:
            yield cell.raw


def escape(value: str) -> str:
    """Return a value as a rule writes it, so that none of its characters is a wildcard (Sigma 2.1, escaping)."""
    return re.sub(r"[\\*?]", r"\\\g<0>", value)


def filter_text(rule: Rule, terms: Sequence[Term]) -> str:
    """Return the terms as a Sigma filter on the rule (Sigma filters specification 2.1)."""
    noise = {f"noise_{number}": {each.field: [*map(escape, each.values)]} for number, each in enumerate(terms, 1)}
    source = rule.logsource
    named = {"product": source.product, "category": source.category, "service": source.service}
    document: dict[str, Any] = {
        "title": f"Known noise of {rule.title}"[:250],
        "id": str(uuid5(NAMESPACE_URL, f"{rule.id} {noise}")),
        "logsource": {name: value for name, value in named.items() if value},
        "filter": {"rules": [rule.id], **noise, "condition": "not 1 of noise_*"},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def tuned(rule: Rule, text: str = "") -> Ruleset:
    """Return the rule by itself, with the filter in ``text``."""
    texts = [RuleText(rule.file, rule.text)]
    return Ruleset.of([*texts, RuleText(Path("proposed filter"), text)] if text else texts)


def firing(ruleset: Ruleset, examples: Iterable[Example], tenants: Tenants) -> list[Example]:
    """Return the alerts that still come, each with those of its events that are still met."""
    left = (Example(each.alert, [event for event in each.events if _met(ruleset, event, tenants)]) for each in examples)
    return [each for each in left if each.events]


def _met(ruleset: Ruleset, event: Event, tenants: Tenants) -> bool:
    return bool(ruleset.match(event, tenants.zone(event.tenant)))
