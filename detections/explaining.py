"""Why a rule matches an event, or which part of its condition fails: the condition's tree with the values it met.

Pure: a rule and an event in, an ``Explanation`` out; ``detections/cli/explain.py`` and the console render it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from detections.sigma import Rule
from detections.sigma.evaluation import evaluate, met
from detections.sigma.expression import And, Expression, Named, Not, Or, Test
from detections.sigma.view import Scalar, View
from wardwatch.event import Event, LogSource


@dataclass(frozen=True, slots=True)
class Checked:
    """A test with the event's values of its field (None: the event has no such field) and those that met it."""

    test: Test
    holds: bool
    values: tuple[Scalar, ...] | None
    met: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """An inner node (``and``, ``or``, ``not``, or a selection with its ``name``) and what became of its parts."""

    kind: str
    holds: bool
    parts: tuple[Node, ...]
    name: str = ""


Node = Checked | Branch


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a rule makes of an event. ``matches`` needs the log source and the condition."""

    rule: Rule
    logsource: LogSource
    concerns: bool
    condition: Node

    @property
    def matches(self) -> bool:
        """Whether the rule matches the event."""
        return self.concerns and self.condition.holds

    def decisive(self) -> list[tuple[str, Checked, bool]]:
        """Return the tests that decide, each with its selection and whether it stands under NOT.

        Those without which the condition would be otherwise: the failed parts of ``and``, all of a failed ``or``.
        """
        return list(_decisive(self.condition, self.condition.holds, "", negated=False))


def explain(rule: Rule, event: Event, zone: tzinfo) -> Explanation:
    """Return what the rule makes of the event; ``zone`` is the tenant's."""
    view = View(event.doc, zone)
    return Explanation(rule, event.logsource, rule.concerns(event.logsource), _node(rule.condition, view))


def _node(node: Expression, view: View) -> Node:
    if isinstance(node, Test):
        return _checked(node, view)
    items = node.items if isinstance(node, And | Or) else (node.item,)
    parts = tuple(_node(item, view) for item in items)
    if isinstance(node, Named):
        return Branch("named", parts[0].holds, parts, node.name)
    if isinstance(node, Not):
        return Branch("not", not parts[0].holds, parts)
    holds = [part.holds for part in parts]
    return Branch("and", all(holds), parts) if isinstance(node, And) else Branch("or", any(holds), parts)


def _checked(test: Test, view: View) -> Checked:
    cells = view.cells(test.field) if test.field else view.everything
    values = None if cells is None else tuple(cell.raw for cell in cells)
    return Checked(test, evaluate(test, view), values, tuple(cell.raw for cell in met(test, view)))


def _decisive(node: Node, wanted: bool, name: str, *, negated: bool) -> Iterator[tuple[str, Checked, bool]]:
    """Yield the tests below a node that hold as ``wanted`` and so decide that the node does."""
    if isinstance(node, Checked):
        yield name, node, negated
    elif node.kind == "not":
        yield from _decisive(node.parts[0], not wanted, name, negated=not negated)
    else:
        for part in node.parts:
            if part.holds == wanted:
                yield from _decisive(part, wanted, node.name or name, negated=negated)
