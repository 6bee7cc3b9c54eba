"""A correlation rule as plain data: it travels with every match that it takes in, so the alerter loads no rules."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import msgspec

from detections.sigma.rule import PLACEHOLDER, RuleCard

Kind = Literal[
    "event_count",
    "value_count",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
    "temporal",
    "temporal_ordered",
]
Op = Literal["lt", "lte", "gt", "gte", "eq", "neq"]
Number = int | Fraction

OPERATORS: dict[Op, Callable[[Number, int | float], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}


class Bound(msgspec.Struct, frozen=True):
    """One side of a condition: ``gte: 5``."""

    op: Op
    limit: int | float

    def holds(self, value: Number) -> bool:
        """Tell whether the value keeps the bound."""
        return OPERATORS[self.op](value, self.limit)


class Seen(msgspec.Struct, frozen=True, tag="seen", array_like=True):
    """The referenced rule of that number has matched in the timespan."""

    source: int


class All(msgspec.Struct, frozen=True, tag="all", array_like=True):
    """All items hold; in an ordered correlation one after the other."""

    items: tuple[Sequence, ...]


class Any(msgspec.Struct, frozen=True, tag="any", array_like=True):
    """One item holds."""

    items: tuple[Sequence, ...]


class No(msgspec.Struct, frozen=True, tag="no", array_like=True):
    """The item does not hold anywhere in the timespan."""

    item: Sequence


Sequence = Seen | All | Any | No


class Source(msgspec.Struct, frozen=True):
    """A rule that the correlation refers to."""

    id: str
    title: str


class Feed(msgspec.Struct, frozen=True):
    """How a correlation's firing enters another one: as which source, with which of its group's values (numbers)."""

    correlation: Correlation
    source: int
    group: tuple[int, ...]
    values: tuple[int, ...]


class Correlation(msgspec.Struct, frozen=True):
    """One loaded correlation rule.

    ``bounds`` hold for a count or a measure (all of them), ``sequence`` for extended and ordered temporal conditions.
    ``level`` is 1 over plain rules, one more over each correlation. ``reason`` are the templates of the sentence.
    """

    card: RuleCard
    tenant: str
    kind: Kind
    timespan_s: int
    group_by: tuple[str, ...]
    sources: tuple[Source, ...]
    reason: dict[str, str]
    bounds: tuple[Bound, ...] = ()
    percentile: int = 50
    fields: tuple[str, ...] = ()
    sequence: Sequence | None = None
    level: int = 1
    alerts: bool = True
    feeds: tuple[Feed, ...] = ()

    @property
    def timespan_ms(self) -> int:
        """The timespan in milliseconds."""
        return self.timespan_s * 1000

    @property
    def named(self) -> frozenset[str]:
        """The event's fields that the sentence mentions."""
        return frozenset(PLACEHOLDER.findall("".join(self.reason.values())))

    def met(self, value: Number) -> bool:
        """Tell whether every bound holds."""
        return all(bound.holds(value) for bound in self.bounds)
