"""A rule's condition as plain data: a tree that is compiled, interpreted, explained and stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

TextOp = Literal["equals", "startswith", "endswith", "contains", "like"]
NumberOp = Literal["number", "ne", "lt", "lte", "gt", "gte"]
FieldOp = Literal["equals_field", "startswith_field", "endswith_field", "contains_field"]
Op = TextOp | NumberOp | FieldOp | Literal["re", "cidr", "exists", "null"]
Part = Literal["", "minute", "hour", "day", "week", "month", "year"]


class And(msgspec.Struct, frozen=True, tag="and", array_like=True, gc=False):
    """All items hold."""

    items: tuple[Expression, ...]


class Or(msgspec.Struct, frozen=True, tag="or", array_like=True, gc=False):
    """One item holds."""

    items: tuple[Expression, ...]


class Not(msgspec.Struct, frozen=True, tag="not", array_like=True, gc=False):
    """The item does not hold; a test on a field that is missing does not."""

    item: Expression


class Named(msgspec.Struct, frozen=True, tag="named", array_like=True, gc=False):
    """What a rule calls by a name: one of its selections, or a filter on it."""

    name: str
    item: Expression


class Test(msgspec.Struct, frozen=True, tag="test", array_like=True, gc=False):
    r"""One value of a rule against the values of a field of the event; any value that meets it is enough.

    ``field`` is the event's name, "" stands for every value of the event. ``value`` is a text that ``op`` reads: a
    literal, a pattern in which ``*`` and ``?`` are wildcards and ``\`` makes the next character literal (``like``), an
    RE2 pattern with its flags (``re``), a decimal number (``number`` is equality), a network (``cidr``), the name of
    another field (``…_field``), nothing (``exists``, ``null``). ``cased`` compares letters with case. ``part`` takes a
    part of the time for the number. ``written`` is the field with its modifiers as the rule has them, for people.
    """

    field: str
    op: Op
    value: str = ""
    cased: bool = False
    part: Part = ""
    written: str = ""


Expression = And | Or | Not | Named | Test


def tests(node: Expression) -> Iterator[Test]:
    """Yield every test in the tree, from left to right."""
    if isinstance(node, Test):
        yield node
    elif isinstance(node, And | Or):
        for item in node.items:
            yield from tests(item)
    else:
        yield from tests(node.item)


def fields(node: Expression) -> frozenset[str]:
    """Return the event's fields that the tree reads; "" among them means every value."""
    return frozenset(
        name
        for test in tests(node)
        for name in ([test.field, test.value] if test.op.endswith("_field") else [test.field])
    )


def parents(name: str) -> Iterator[str]:
    """Yield what a nested document could have in a field's place: ``a`` and ``a.b`` for ``a.b.c``."""
    return (name[:at] for at, letter in enumerate(name) if letter == ".")
