"""A condition as a function of the event itself, for rules that are asked one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial

from detections.sigma.evaluation import holds
from detections.sigma.expression import And, Expression, Named, Not, Or, Test
from detections.sigma.operators import Number, addresses, networks, number
from detections.sigma.view import View, fold

Predicate = Callable[[View], bool]


def predicate(node: Expression) -> Predicate:
    """Return the function of a tree. Literals that are alternatives for one field are one question."""
    if isinstance(node, Test):
        return _alternatives([node])
    if isinstance(node, Named):
        return predicate(node.item)
    if isinstance(node, Not):
        return _not(predicate(node.item))
    if isinstance(node, And):
        return _all([predicate(item) for item in node.items])
    return _any([*_questions(node), *(predicate(item) for item in node.items if not isinstance(item, Test))])


def _questions(node: Or) -> Iterable[Predicate]:
    groups: defaultdict[tuple[str, str, bool], list[Test]] = defaultdict(list)
    for item in node.items:
        if isinstance(item, Test):
            groups[item.field, item.op, item.cased].append(item)
    return map(_alternatives, groups.values())


def _alternatives(tests: Sequence[Test]) -> Predicate:
    """Return the function of tests of one field with one operator, of which one has to hold."""
    field, op, cased = tests[0].field, tests[0].op, tests[0].cased
    if op == "number" and field and not any(test.part for test in tests):
        return _of_numbers(field, frozenset(Decimal(test.value) for test in tests))
    if not field or op not in _MEETS:
        return _any([partial(holds, test) for test in tests])
    meets = _MEETS[op]([test.value if cased else fold(test.value) for test in tests])
    return _of_texts(View.texts if cased else View.folded, field, meets)


def _of_texts(texts: Callable[[View, str], Sequence[str]], field: str, meets: Callable[[str], bool]) -> Predicate:
    def met(view: View) -> bool:
        for text in texts(view, field):  # noqa: SIM110 a generator costs more than most questions
            if meets(text):
                return True
        return False

    return met


def _of_numbers(field: str, wanted: frozenset[Number]) -> Predicate:
    def met(view: View) -> bool:
        return any(number(cell.raw) in wanted for cell in view.cells(field) or ())

    return met


def _cidr(values: Sequence[str]) -> Callable[[str], bool]:
    nets = [net for value in values for net in networks(value)]
    return lambda text: any(found in net for found in addresses(text) for net in nets)


def _contains(values: Sequence[str]) -> Callable[[str], bool]:
    plain = [value for value in values if value.isascii()]

    def met(text: str) -> bool:
        for value in plain if text.isascii() else values:  # noqa: SIM110 as above
            if value in text:
                return True
        return False

    return met


def _startswith(values: Sequence[str]) -> Callable[[str], bool]:
    starts = tuple(values)
    return lambda text: text.startswith(starts)


def _endswith(values: Sequence[str]) -> Callable[[str], bool]:
    ends = tuple(values)
    return lambda text: text.endswith(ends)


_MEETS: dict[str, Callable[[Sequence[str]], Callable[[str], bool]]] = {
    "equals": lambda values: frozenset(values).__contains__,
    "startswith": _startswith,
    "endswith": _endswith,
    "contains": _contains,
    "cidr": _cidr,
}


def _not(item: Predicate) -> Predicate:
    return lambda view: not item(view)


def _all(items: Sequence[Predicate]) -> Predicate:
    def met(view: View) -> bool:
        for item in items:  # noqa: SIM110 as above
            if not item(view):
                return False
        return True

    return met


def _any(items: Sequence[Predicate]) -> Predicate:
    if len(items) == 1:
        return items[0]

    def met(view: View) -> bool:
        for item in items:  # noqa: SIM110 as above
            if item(view):
                return True
        return False

    return met
