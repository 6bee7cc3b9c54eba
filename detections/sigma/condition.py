"""pySigma's condition tree compiled into one closure over an event.

Two-valued logic: a field that is missing makes its test false, and NOT of it true.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    ConditionValueExpression,
    SigmaCondition,
)
from sigma.rule import SigmaDetections
from sigma.types import SigmaExists, SigmaNull

from detections.sigma.values import compile_keyword, compile_value
from detections.sigma.view import Cell, View
from wardwatch.errors import RuleError

Test = Callable[[View], bool]
Rename = Callable[[str], str]
MAX_CONDITION = 4096  # characters
MAX_NESTED = 64


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition: the ``test``, and for each leaf that speaks for a match the cells that met it."""

    test: Test
    evidence: tuple[Callable[[View], Sequence[Cell]], ...] = ()


def compile_detections(detections: SigmaDetections, rename: Rename) -> Condition:
    """Compile all conditions of a rule (one of several is enough); raises RuleError."""
    for condition in detections.parsed_condition:
        _check(condition, detections)
    return _either([_compile(condition.parsed, rename) for condition in detections.parsed_condition])


def _check(condition: SigmaCondition, detections: SigmaDetections) -> None:
    if len(condition.condition) > MAX_CONDITION:
        raise RuleError(f"a condition of more than {MAX_CONDITION} characters", step="rules")
    pending: list[tuple[object, int]] = [(condition.parse(postprocess=False), 0)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_NESTED:
            raise RuleError(f"a condition nested deeper than {MAX_NESTED}", step="rules")
        if isinstance(node, ConditionSelector):
            if not node.resolve_referenced_detections(detections):
                raise RuleError(f"'{' of '.join(node.args)}' names no detection", step="rules")
        else:
            pending.extend((item, depth + 1) for item in getattr(node, "args", ()))


def _compile(node: object, rename: Rename) -> Condition:
    if isinstance(node, ConditionAND):
        return _all([_compile(item, rename) for item in node.args])
    if isinstance(node, ConditionOR):
        return _either([_compile(item, rename) for item in node.args])
    if isinstance(node, ConditionNOT):
        return _not(_compile(node.args[0], rename))
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _field(node, rename)
    if isinstance(node, ConditionValueExpression):
        return _keyword(node)
    raise RuleError(f"conditions of type {type(node).__name__} are not evaluated", step="rules")


def _all(conditions: list[Condition]) -> Condition:
    tests = [condition.test for condition in conditions]

    def test(view: View) -> bool:
        for each in tests:  # noqa: SIM110 a loop costs half of all() over a generator
            if not each(view):
                return False
        return True

    return Condition(test, tuple(leaf for condition in conditions for leaf in condition.evidence))


def _either(conditions: list[Condition]) -> Condition:
    tests = [condition.test for condition in conditions]

    def test(view: View) -> bool:
        for each in tests:  # noqa: SIM110 as above
            if each(view):
                return True
        return False

    return Condition(test, tuple(leaf for condition in conditions for leaf in condition.evidence))


def _not(condition: Condition) -> Condition:
    return Condition(lambda view: not condition.test(view))


def _field(node: ConditionFieldEqualsValueExpression, rename: Rename) -> Condition:
    field = rename(node.field.strip())
    if isinstance(node.value, SigmaExists):
        expected = node.value.exists
        return Condition(lambda view: (view.cells(field) is not None) == expected)
    if isinstance(node.value, SigmaNull):
        return Condition(lambda view: _is_null(view.cells(field)))
    accept = compile_value(node.value, rename)

    def met(view: View) -> Sequence[Cell]:
        return [cell for cell in view.cells(field) or () if accept(cell, view)]

    def test(view: View) -> bool:
        for cell in view.cells(field) or ():  # noqa: SIM110 as above
            if accept(cell, view):
                return True
        return False

    return Condition(test, (met,))


def _is_null(cells: tuple[Cell, ...] | None) -> bool:
    return not cells or any(cell.raw is None for cell in cells)


def _keyword(node: ConditionValueExpression) -> Condition:
    accept = compile_keyword(node.value)

    def met(view: View) -> Sequence[Cell]:
        return [cell for cell in view.everything if accept(cell, view)]

    return Condition(lambda view: any(accept(cell, view) for cell in view.everything), (met,))
