"""A deliberately naive evaluator of correlations as pySigma parses them: each match has the whole history read again.

What fires, in words: matches are taken in order of (event time, id), each event once. A match's window is what its
group has from one timespan before it, inclusive, up to itself; of more than ``held`` matches the latest. The
correlation fires at a match when its condition holds on that window. A firing's alert is named by the aligned timespan
of the earliest firing of the group that lies no more than one timespan before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import Any

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionNOT,
    CorrelationConditionOR,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)


@dataclass(frozen=True)
class Happened:
    """A match: the event, the referenced rules that it met, its group and its values."""

    at_ms: int
    id: str
    rules: frozenset[str]
    group: str
    values: tuple[str, ...]

    @property
    def place(self) -> tuple[int, str]:
        return self.at_ms, self.id


@dataclass(frozen=True)
class Fired:
    """The correlation met at ``last``; ``evidence`` is what the alert did not have before."""

    last: tuple[int, str]
    opened_ms: int
    first: bool
    evidence: tuple[tuple[int, str], ...]
    value: Any


def fired(rule: SigmaCorrelationRule, history: Iterable[Happened], held: int) -> list[Fired]:
    """Return the firings of one group, of which ``history`` has every match at least once."""
    ordered = sorted(set(history), key=lambda each: each.place)
    span_ms = rule.timespan.seconds * 1000
    windows = [
        [each for each in ordered[: place + 1] if each.at_ms >= last.at_ms - span_ms][-held:]
        for place, last in enumerate(ordered)
    ]
    return list(_alerts([window for window in windows if _holds(rule, window)], rule, span_ms))


def _alerts(met: Sequence[list[Happened]], rule: SigmaCorrelationRule, span_ms: int) -> Iterator[Fired]:
    told: list[tuple[int, Happened]] = []
    for window in met:
        last = window[-1]
        near = [each[-1].at_ms for each in met if last.at_ms - span_ms <= each[-1].at_ms <= last.at_ms]
        opened_ms = min(near) - min(near) % span_ms
        known = [each for opened, each in told if opened == opened_ms]
        until = known[-1].place if known else (last.at_ms - span_ms, "")
        evidence = tuple(each.place for each in window if not known or each.place > until)
        told.append((opened_ms, last))
        yield Fired(last.place, opened_ms, not known, evidence, _value(rule, window))


def _holds(rule: SigmaCorrelationRule, window: Sequence[Happened]) -> bool:
    condition = rule.condition
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        return bool(_ends(condition.parsed, window, -1)) if _ordered(rule) else _seen(condition.parsed, window)
    if _ordered(rule):
        return bool(_in_order([each.reference for each in rule.rules or ()], window, -1))
    value, limit = _value(rule, window), condition.count
    match condition.op.name:
        case "LT":
            return bool(value < limit)
        case "LTE":
            return bool(value <= limit)
        case "GT":
            return bool(value > limit)
        case "GTE":
            return bool(value >= limit)
        case "EQ":
            return bool(value == limit)
        case _:
            return bool(value != limit)


def _value(rule: SigmaCorrelationRule, window: Sequence[Happened]) -> Any:
    kind = rule.type.name.lower()
    if kind == "event_count":
        return len(window)
    if kind.startswith("temporal"):
        return len(frozenset().union(*(each.rules for each in window)))
    if kind == "value_count":
        return len({value for each in window for value in each.values})
    numbers = [Fraction(each.values[0]) for each in window]
    if kind == "value_sum":
        return sum(numbers)
    if kind == "value_avg":
        return sum(numbers) / len(numbers)
    if kind == "value_median":
        return median(numbers)
    share: Any = rule.condition.percentile  # type: ignore[union-attr]
    return min(each for each in numbers if 100 * sum(other <= each for other in numbers) >= share * len(numbers))


def _ordered(rule: SigmaCorrelationRule) -> bool:
    return rule.type.name == "TEMPORAL_ORDERED"


def _seen(node: Any, window: Sequence[Happened]) -> bool:
    if isinstance(node, SigmaRuleReference):
        return any(node.reference in each.rules for each in window)
    items = [_seen(item, window) for item in node.args]
    if isinstance(node, CorrelationConditionNOT):
        return not items[0]
    return all(items) if isinstance(node, CorrelationConditionAND) else any(items)


def _ends(node: Any, window: Sequence[Happened], after: int) -> set[int]:
    """Return every place of the window at which the node can end when all its matches come later than ``after``."""
    if isinstance(node, SigmaRuleReference):
        return _in_order([node.reference], window, after)
    if isinstance(node, CorrelationConditionNOT):
        return set() if _ends(node.args[0], window, -1) else {after}
    if isinstance(node, CorrelationConditionOR):
        return set().union(*(_ends(item, window, after) for item in node.args))
    assert isinstance(node, CorrelationConditionAND)
    ends = {after}
    for item in node.args:
        ends = {end for start in ends for end in _ends(item, window, start)}
    return ends


def _in_order(references: Sequence[str], window: Sequence[Happened], after: int) -> set[int]:
    ends = {after}
    for reference in references:
        ends = {
            place for start in ends for place, each in enumerate(window) if place > start and reference in each.rules
        }
    return ends
