"""Why a rule matches an event, or which part of its condition fails: the condition's tree with the values it met.

Pure: a rule and an event in, an ``Explanation`` out; ``detections/cli/explain.py`` and the console render it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
class Reason:
    """A test that decides, the selection it is in, how it stands beside the others there, and whether under NOT."""

    selection: str
    linking: str
    excludes: bool
    checked: Checked


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

    def decisive(self) -> list[Reason]:
        """Return the tests that decide: those that failed of ``and``, all of a failed ``or``; of a match those met."""
        return list(_decisive(self.condition, self.condition.holds, _Place()))


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


@dataclass(frozen=True, slots=True)
class _Place:
    selection: str = ""
    linking: str = "and"
    excludes: bool = False


def _decisive(node: Node, wanted: bool, place: _Place) -> Iterator[Reason]:
    """Yield the tests below a node that hold as ``wanted`` and so decide that the node does."""
    if isinstance(node, Checked):
        yield Reason(place.selection, place.linking, place.excludes, node)
        return
    if node.kind == "not":
        yield from _decisive(node.parts[0], not wanted, replace(place, excludes=not place.excludes))
        return
    here = replace(place, selection=node.name) if node.kind == "named" else replace(place, linking=node.kind)
    for part in node.parts:
        if part.holds == wanted:
            yield from _decisive(part, wanted, here)
