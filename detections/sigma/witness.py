"""Witnesses: tests of which one must hold for a condition to hold; without any the rule need not be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from detections.sigma.expression import And, Expression, Named, Or, Test
from detections.sigma.scanner import is_of_value

Witnesses = frozenset[Test]
Weight = Callable[[Test], float]

_TEXT = ("equals", "startswith", "endswith", "contains", "like")


def witnesses(node: Expression, weight: Weight) -> Witnesses | None:
    """Return tests of which at least one holds wherever the tree does; None where it can hold without any.

    Where there is a choice, the tests with the least sum of ``weight`` are taken: how often each is thought to hold.
    """
    if isinstance(node, Test):
        return frozenset((node,)) if is_of_value(node) else None
    if isinstance(node, Named):
        return witnesses(node.item, weight)
    if isinstance(node, Or):
        return _together(witnesses(item, weight) for item in node.items)
    if isinstance(node, And):
        found = [each for item in node.items if (each := witnesses(item, weight)) is not None]
        return min(found, key=lambda tests: sum(map(weight, tests)), default=None)
    return None


def _together(found: Iterable[Witnesses | None]) -> Witnesses | None:
    together: set[Test] = set()
    for each in found:
        if each is None:
            return None
        together |= each
    return frozenset(together)


def guess(test: Test) -> float:
    """Return how often a test may hold, before any event was seen: long literals seldom, numbers often."""
    return 0.8 ** min(len(test.value), 24) if test.op in _TEXT else 0.3
