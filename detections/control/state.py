"""What is in force: rules of files and rows, mutes, suppressions; and how a change of rows is taken or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from detections.control import layers
from detections.control.rows import MODELS, MuteRow, Row, SuppressionRow, parse, place
from detections.sigma import Rejected, Rule, Ruleset
from detections.sigma.cache import RuleCache
from detections.sigma.rule import RuleText
from detections.sigma.vocabulary import SHIPPED, Vocabulary
from wardwatch.errors import RuleError
from wardwatch.event import Document
from wardwatch.tables import RowId

Changes = Mapping[RowId, Row | None]
"""Rows as they shall be; None takes one away."""

_LOOKED_UP = frozenset({"mutes", "suppressions"})  # no rule is compiled anew for them
_Row = TypeVar("_Row", bound=Row)


@dataclass(frozen=True)
class State:
    """One state of detection; ``refused`` are rows that are not in force as they are written, and why.

    Where a refused row was good before, ``rows`` has it as it was.
    """

    files: tuple[RuleText, ...] = ()
    unread: tuple[Rejected, ...] = ()
    rows: Mapping[RowId, Row] = field(default_factory=dict)
    refused: Mapping[RowId, str] = field(default_factory=dict)
    ruleset: Ruleset = field(default_factory=Ruleset)
    spoken_for: frozenset[tuple[str, str]] = frozenset()
    vocabulary: Vocabulary = SHIPPED
    cache: RuleCache = field(default_factory=RuleCache, compare=False)

    @classmethod
    def of(
        cls, read: Iterable[RuleText | Rejected], vocabulary: Vocabulary = SHIPPED, cache: RuleCache | None = None
    ) -> State:
        """Return the state of files alone, before any row; ``cache`` keeps their compiled rules between starts."""
        cache = cache or RuleCache()
        read = list(read)
        files = tuple(each for each in read if isinstance(each, RuleText))
        unread = tuple(each for each in read if isinstance(each, Rejected))
        return cls(files, unread, ruleset=Ruleset.of(files, vocabulary, cache), vocabulary=vocabulary, cache=cache)

    @property
    def rejected(self) -> list[Rejected]:
        """The rules that are not in force, and why."""
        rows = [Rejected(place(row), 1, reason) for row, reason in sorted(self.refused.items())]
        return [*self.unread, *self.ruleset.rejected, *rows]

    def change(self, wanted: Mapping[RowId, Document]) -> State:
        """Return the state with the rows as wanted, without those that are wrong or would break others."""
        changes: dict[RowId, Row | None] = {}
        refused: dict[RowId, str] = {}
        for row in sorted(wanted.keys() | self.rows.keys()):
            try:
                value = parse(row, wanted[row]) if row in wanted else None
            except RuleError as error:
                refused[row] = error.reason
            else:
                if value != self.rows.get(row):
                    changes[row] = value
        return _taken(replace(self, refused=refused), changes)

    def holds(self, rule: Rule, tenant: str) -> bool:
        """Tell whether the tenant has this rule: no other's, and none that the tenant's own row speaks for."""
        return rule.tenant == tenant or (not rule.tenant and (tenant, rule.id) not in self.spoken_for)

    def muted(self, rule_id: str, tenant: str, now: datetime) -> bool:
        """Tell whether the tenant, or everybody, has the rule muted."""
        rows = (self.rows.get(("mutes", each, rule_id)) for each in (tenant, ""))
        return any(isinstance(row, MuteRow) and now < row.expires for row in rows)

    def mutes(self, rule_id: str, now: datetime) -> list[str]:
        """Return the tenants that have the rule muted, "" for everybody."""
        return [
            row[1]
            for row, value in sorted(self.rows.items())
            if isinstance(value, MuteRow) and row[2] == rule_id and now < value.expires
        ]

    def suppressions(self, tenant: str) -> dict[str, SuppressionRow]:
        """Return by id the suppressions of the tenant and of everybody."""
        return {
            row[2]: value
            for row, value in self.rows.items()
            if isinstance(value, SuppressionRow) and row[1] in ("", tenant)
        }


def _taken(state: State, changes: Changes) -> State:
    if not changes:
        return state
    candidate = _with(state, changes)
    harm = set(candidate.ruleset.rejected) - set(state.ruleset.rejected)
    if not harm:
        return candidate
    refused = _culprits(changes, harm)
    if refused:
        left = {row: value for row, value in changes.items() if row not in refused}
        return _taken(replace(state, refused={**state.refused, **refused}), left)
    # the change breaks what it does not touch: halves show which part of it does
    items = list(changes.items())
    half = len(items) // 2
    return _taken(_taken(state, dict(items[:half])), dict(items[half:]))


def _with(state: State, changes: Changes) -> State:
    merged = {**state.rows, **changes}
    rows = {row: value for row, value in merged.items() if value is not None}
    if all(row[0] in _LOOKED_UP for row in changes):
        return replace(state, rows=rows)
    texts, vocabulary = layers.texts(state.files, rows), layers.vocabulary(rows, state.vocabulary)
    ruleset = Ruleset.of(texts, vocabulary, state.cache, previous=state.ruleset)
    return replace(state, rows=rows, ruleset=ruleset, spoken_for=layers.spoken_for(rows))


def _culprits(changes: Changes, harm: set[Rejected]) -> dict[RowId, str]:
    reasons = {each.file: f"line {each.line}: {each.reason}" for each in sorted(harm, key=str, reverse=True)}
    refused = {row: reasons[place(row)] for row in changes if place(row) in reasons}
    if not refused and len(changes) == 1:
        return {row: f"it would break {min(map(str, harm))}" for row in changes}
    return refused


def tables() -> tuple[str, ...]:
    """Return the names of the tables that make a state."""
    return tuple(MODELS)
