"""pySigma's conditions and detections → the expression tree, with the names of the selections kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)
from sigma.modifiers import modifier_mapping
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections
from sigma.rule.detection import EmptySigmaDetections
from sigma.types import SigmaFieldReference, SigmaNull, SigmaType

from detections.sigma.expression import And, Expression, Named, Not, Or
from detections.sigma.values import expression
from wardwatch.errors import RuleError

Rename = Callable[[str], tuple[str, ...]]
"""A rule's field → the event's; where there are several, one that meets the rule is enough."""


def from_detections(detections: SigmaDetections, rename: Rename) -> Expression:
    """Return the tree of all conditions of a rule (one of several is enough); raises RuleError."""
    conditions = [_parse(each.condition) for each in detections.parsed_condition]
    selections = {name: Named(name, _detection(each, rename)) for name, each in detections.detections.items()}
    return _one([_condition(node, detections, selections) for node in conditions], ConditionOR)


@lru_cache(maxsize=1024)  # rules share few conditions
def _parse(condition: str) -> object:
    return SigmaCondition(condition, EmptySigmaDetections()).parse(postprocess=False)


def _condition(node: object, detections: SigmaDetections, selections: dict[str, Named]) -> Expression:
    if isinstance(node, ConditionIdentifier):
        return _selection(node.identifier, selections)
    if isinstance(node, ConditionSelector):
        referenced = node.resolve_referenced_detections(detections)
        if not referenced:
            raise RuleError(f"'{' of '.join(node.args)}' names no detection", step="rules")
        return _one([_selection(each.identifier, selections) for each in referenced], node.cond_class)
    if isinstance(node, ConditionNOT):
        return Not(_condition(node.args[0], detections, selections))
    if isinstance(node, ConditionAND | ConditionOR):
        return _one([_condition(item, detections, selections) for item in node.args], type(node))
    raise RuleError(f"conditions of type {type(node).__name__} are not evaluated", step="rules")


def _selection(name: str, selections: dict[str, Named]) -> Named:
    if name not in selections:
        raise RuleError(f"the condition names '{name}', which is no detection", step="rules")
    return selections[name]


def _detection(detection: SigmaDetection | SigmaDetectionItem, rename: Rename) -> Expression:
    if isinstance(detection, SigmaDetectionItem):
        return _item(detection, rename)
    return _one([_detection(item, rename) for item in detection.detection_items], detection.item_linking)


def _item(item: SigmaDetectionItem, rename: Rename) -> Expression:
    fields = rename(item.field.strip()) if item.field is not None else ("",)
    names = {modifier: name for name, modifier in modifier_mapping.items()}
    written = "|".join([(item.field or "").strip(), *(names[modifier] for modifier in item.modifiers)])
    if not item.value and item.field is None:
        raise RuleError("a list of keywords without a keyword", step="rules")
    values = [each for value in item.value or [SigmaNull()] for each in _referred(value, rename)]
    alternatives = []
    for field in fields:
        found = _one([expression(value, field, written) for value in values], item.value_linking)
        alternatives.append(Not(found) if item.negated else found)
    return _one(alternatives, ConditionOR)


def _referred(value: SigmaType, rename: Rename) -> list[SigmaType]:
    if not isinstance(value, SigmaFieldReference):
        return [value]
    return [replace(value, field=field) for field in rename(value.field.strip())]


def _one(items: list[Expression], linking: object) -> Expression:
    if len(items) == 1:
        return items[0]
    return And(tuple(items)) if linking is ConditionAND else Or(tuple(items))
