"""Witnesses: tests of which one must hold for a condition to hold; without any the rule need not be asked."""

from __future__ import annotations

from collections.abc import Iterable

from detections.sigma.expression import And, Expression, Named, Or, Test
from detections.sigma.scanner import is_of_value

Witnesses = frozenset[Test]

_TEXT = ("equals", "startswith", "endswith", "contains", "like")


def witnesses(node: Expression) -> Witnesses | None:
    """Return tests of which at least one holds wherever the tree does; None where it can hold without any."""
    if isinstance(node, Test):
        return frozenset((node,)) if is_of_value(node) else None
    if isinstance(node, Named):
        return witnesses(node.item)
    if isinstance(node, Or):
        return _together(witnesses(item) for item in node.items)
    if isinstance(node, And):
        found = [each for item in node.items if (each := witnesses(item)) is not None]
        return min(found, key=_weight) if found else None
    return None


def _together(found: Iterable[Witnesses | None]) -> Witnesses | None:
    together: set[Test] = set()
    for each in found:
        if each is None:
            return None
        together |= each
    return frozenset(together)


def _weight(found: Witnesses) -> float:
    """Return a guess of how often one of the tests holds: long literals are rare, numbers and short words are not."""
    return sum(0.8 ** min(len(test.value), 24) if test.op in _TEXT else 0.3 for test in found)
