"""Witnesses: things of which one must be there for a condition to hold; without any the rule need not be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from detections.sigma.expression import And, Expression, Named, Or, Test

W = TypeVar("W")
Witnesses = tuple[float, frozenset[W]]
"""How often one of them is thought to be there, and what they are."""

_TEXT = ("equals", "startswith", "endswith", "contains", "like")


def witnesses(node: Expression, of_test: Callable[[Test], Witnesses[W] | None]) -> Witnesses[W] | None:
    """Return the rarest witnesses of a tree by those of its tests; None where it can hold without any."""
    if isinstance(node, Test):
        return of_test(node)
    if isinstance(node, Named):
        return witnesses(node.item, of_test)
    if isinstance(node, Or):
        return _together(witnesses(item, of_test) for item in node.items)
    if isinstance(node, And):
        found = [each for item in node.items if (each := witnesses(item, of_test)) is not None]
        return min(found, key=lambda each: each[0], default=None)
    return None


def _together(found: Iterable[Witnesses[W] | None]) -> Witnesses[W] | None:
    total, together = 0.0, set[W]()
    for each in found:
        if each is None:
            return None
        total += each[0]
        together |= each[1]
    return total, frozenset(together)


def guess(test: Test) -> float:
    """Return how often a test may hold, before any event was seen: long literals seldom, numbers often."""
    return 0.8 ** min(len(test.value), 24) if test.op in _TEXT else 0.3
