"""The expression tree interpreted on one event: for evidence, explanations and rule tests.

Two-valued logic: a field that is missing makes its test false, and NOT of it true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from detections.sigma.expression import And, Expression, Named, Not, Or, Test
from detections.sigma.operators import acceptor
from detections.sigma.view import Cell, Scalar, View


def evaluate(node: Expression, view: View) -> bool:
    """Tell whether the event meets the tree."""
    if isinstance(node, Test):
        return holds(node, view)
    if isinstance(node, And):
        return all(evaluate(item, view) for item in node.items)
    if isinstance(node, Or):
        return any(evaluate(item, view) for item in node.items)
    return evaluate(node.item, view) is not isinstance(node, Not)


def holds(test: Test, view: View) -> bool:
    """Tell whether the event meets a test."""
    if test.op == "exists":
        return view.cells(test.field) is not None
    if test.op == "null":
        cells = view.cells(test.field)
        return not cells or any(cell.raw is None for cell in cells)
    accept = acceptor(test)
    return any(accept(cell, view) for cell in _cells(test, view))


def met(test: Test, view: View) -> Sequence[Cell]:
    """Return the values of the event that meet a test; ``exists`` and ``null`` are met by none."""
    if test.op in ("exists", "null"):
        return ()
    accept = acceptor(test)
    return [cell for cell in _cells(test, view) if accept(cell, view)]


def evidence(node: Expression, view: View) -> dict[str, list[Scalar]]:
    """Return the fields and values of the event that speak for a match: those that meet a test not under NOT."""
    found: dict[str, list[Scalar]] = {}
    for test in _affirmed(node):
        for cell in met(test, view):
            values = found.setdefault(cell.field, [])
            if cell.raw not in values:
                values.append(cell.raw)
    return found


def _affirmed(node: Expression) -> Iterator[Test]:
    if isinstance(node, Test):
        yield node
    elif isinstance(node, And | Or):
        for item in node.items:
            yield from _affirmed(item)
    elif isinstance(node, Named):
        yield from _affirmed(node.item)


def _cells(test: Test, view: View) -> Sequence[Cell]:
    return (view.cells(test.field) or ()) if test.field else view.everything
