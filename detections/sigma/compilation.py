"""A condition as a Python function of the numbers of the tests that an event meets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from detections.sigma.evaluation import holds
from detections.sigma.expression import And, Expression, Named, Not, Test
from detections.sigma.scanner import Numbers
from detections.sigma.view import View

Condition = Callable[[Numbers, View], bool]


def condition(node: Expression, numbers: Mapping[Test, int]) -> Condition:
    """Return the function of a tree; tests without a number (another field, the zone, absence) ask the event itself.

    The source holds nothing of the rule but numbers: texts are reached by names of ours.
    """
    names: dict[str, Any] = {"holds": holds}
    source = f"lambda met, view: {_source(node, numbers, names)}"
    function: Condition = eval(source, names)  # noqa: S307 composed here, of numbers and our own names
    return function


def _source(node: Expression, numbers: Mapping[Test, int], names: dict[str, Any]) -> str:
    if isinstance(node, Test):
        return _test(node, numbers, names)
    if isinstance(node, Named):
        return _source(node.item, numbers, names)
    if isinstance(node, Not):
        return f"(not {_source(node.item, numbers, names)})"
    return _joined(node.items, isinstance(node, And), numbers, names)


def _test(test: Test, numbers: Mapping[Test, int], names: dict[str, Any]) -> str:
    if (number := numbers.get(test)) is not None:
        return f"{number} in met"
    return f"holds({_name(test, names)}, view)"


def _joined(items: tuple[Expression, ...], all_of: bool, numbers: Mapping[Test, int], names: dict[str, Any]) -> str:
    """Return the items joined; those that are numbers are one operation on sets, the cheapest, and come first."""
    found = [(item, numbers.get(item) if isinstance(item, Test) else None) for item in items]
    plain = frozenset(number for _, number in found if number is not None)
    rest = [_source(item, numbers, names) for item, number in found if number is None]
    parts = [_of_set(plain, all_of, names)] if plain else []
    return "(" + (" and " if all_of else " or ").join([*parts, *rest]) + ")"


def _of_set(plain: Numbers, all_of: bool, names: dict[str, Any]) -> str:
    if len(plain) == 1:
        return f"{next(iter(plain))} in met"
    name = _name(plain, names)
    return f"{name} <= met" if all_of else f"(not {name}.isdisjoint(met))"


def _name(value: object, names: dict[str, Any]) -> str:
    name = f"x{len(names)}"
    names[name] = value
    return name
