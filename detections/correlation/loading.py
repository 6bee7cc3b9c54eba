"""Correlation rules as pySigma parses them → data, each with the rules that it takes in.

Source: Sigma correlation rules specification 2.1 (types, group-by, aliases, timespan, condition, generate).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec
from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionNOT,
    CorrelationConditionOR,
    SigmaCorrelationCondition,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from detections.correlation.group import HELD
from detections.correlation.rule import All, Any, Bound, Correlation, Feed, Kind, No, Op, Seen, Sequence, Source
from detections.sigma.rule import Presentation, Rule, card, revised
from wardwatch.errors import RuleError

MAX_TIMESPAN_S = 3 * 86_400
"""Twice this must lie within what the topic ``matches`` keeps, since state is rebuilt from it."""
MAX_SOURCES = 50
MAX_FIELDS = 16
"""Fields of a group, and of a value."""
MAX_LEVELS = 8
"""Correlations above each other."""
MAX_ABOVE = 200
"""Correlations above one, each as often as there are ways up to it: a match carries all that it may feed."""
_VALUES = ("value_count", "value_sum", "value_avg", "value_percentile", "value_median")

Names = tuple[str, ...]
Rename = Callable[[Rule, str], Names]


@dataclass(frozen=True, slots=True)
class Intake:
    """A plain rule in a correlation: the number it has there, the event's fields of the group and of the value.

    Each is the names that a field may have in the event, of which the first that is there counts. ``raw`` is the
    correlation as JSON.
    """

    correlation: Correlation
    source: int
    group: tuple[Names, ...]
    values: tuple[Names, ...]
    raw: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """A correlation rule that is read but not yet connected; ``references`` in the order of its sources."""

    correlation: Correlation
    references: tuple[str, ...]
    aliases: Mapping[str, Mapping[str, str]]
    names: frozenset[str]
    generate: bool
    presentation: Presentation


def draft(sigma: SigmaCorrelationRule, version: str, file: Path, tenant: str, presentation: Presentation) -> Draft:
    """Return the rule by itself; raises RuleError for what is not evaluated."""
    if sigma.id is None:
        raise RuleError("a rule needs an 'id', a UUID: its alerts are told apart by it")
    references = _references(sigma)
    kind = cast("Kind", sigma.type.name.lower())
    condition = sigma.condition
    if len(sigma.group_by or ()) > MAX_FIELDS:
        raise RuleError(f"a group of more than {MAX_FIELDS} fields")
    found = Correlation(
        card=card(sigma, presentation, version, file),
        tenant=tenant,
        kind=kind,
        timespan_s=_timespan(sigma),
        group_by=tuple(sigma.group_by or ()),
        sources=(),
        reason={"en": presentation.reason.en, "zh": presentation.reason.zh},
    )
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        found = msgspec.structs.replace(found, sequence=_sequence(condition.parsed, references))
    else:
        found = msgspec.structs.replace(found, **_bounds(condition, kind, len(references)))
    aliases = {each.alias: {str(k.reference): v for k, v in each.mapping.items()} for each in sigma.aliases}
    names = frozenset(name for name in (str(sigma.id), sigma.name) if name)
    return Draft(found, references, aliases, names, sigma.generate, presentation)


def _references(sigma: SigmaCorrelationRule) -> tuple[str, ...]:
    condition = sigma.condition
    listed = [each.reference for each in sigma.rules or ()]
    if not listed and isinstance(condition, SigmaExtendedCorrelationCondition):
        listed = condition.get_referenced_rules()
    found = tuple(dict.fromkeys(listed))
    if sigma.rules and len(found) < len(listed):
        raise RuleError("a correlation refers to each rule once: one of its 'rules' stands there twice")
    if not 0 < len(found) <= MAX_SOURCES:
        raise RuleError(f"a correlation refers to 1 to {MAX_SOURCES} rules, not {len(found)}")
    return found


def _timespan(sigma: SigmaCorrelationRule) -> int:
    if sigma.timespan.seconds > MAX_TIMESPAN_S:
        raise RuleError(f"timespan '{sigma.timespan.spec}' is longer than {MAX_TIMESPAN_S // 86_400} days")
    return int(sigma.timespan.seconds)


def _bounds(condition: SigmaCorrelationCondition, kind: Kind, sources: int) -> dict[str, object]:
    op = cast("Op", condition.op.name.lower())
    fields = condition.fieldref
    named = tuple(fields) if isinstance(fields, list) else (fields,) if fields else ()
    if len(named) > MAX_FIELDS:
        raise RuleError(f"a value of more than {MAX_FIELDS} fields")
    if kind in _VALUES and (not named or (kind != "value_count" and len(named) > 1)):
        raise RuleError(f"a correlation of type '{kind}' needs one 'field' in its condition")
    if kind == "value_percentile" and not 0 <= (-1 if condition.percentile is None else condition.percentile) <= 100:
        raise RuleError("a 'percentile' from 0 to 100 is needed")
    if kind in ("event_count", "value_count") and condition.count > HELD - (op == "gt") and op in ("gte", "gt", "eq"):
        raise RuleError(f"a threshold of more than {HELD} matches is never reached: so many are held in a group")
    if kind == "temporal_ordered" and (op, condition.count) not in (("gte", sources), ("eq", sources)):
        raise RuleError(f"an ordered correlation asks for all its rules: its condition can only be 'gte: {sources}'")
    return {
        "bounds": (Bound(op, condition.count),),
        "fields": named,
        "percentile": condition.percentile if condition.percentile is not None else 50,
    }


def _sequence(node: object, references: tuple[str, ...]) -> Sequence:
    if isinstance(node, SigmaRuleReference):
        return Seen(references.index(node.reference))
    if isinstance(node, CorrelationConditionNOT):
        return No(_sequence(node.args[0], references))
    if isinstance(node, CorrelationConditionAND | CorrelationConditionOR):
        items = tuple(_sequence(item, references) for item in node.args)
        return All(items) if isinstance(node, CorrelationConditionAND) else Any(items)
    raise RuleError(f"conditions of type {type(node).__name__} are not evaluated")


class Connected:
    """The correlations of a set of rules with what feeds them.

    ``intakes`` are by the id of a plain rule; ``silent`` holds the ids of the rules that make no alert of their own,
    since only correlations ask for them; ``refused`` the drafts that can't be connected, with the reason.
    """

    def __init__(self, drafts: Iterable[Draft], rules: Iterable[Rule], rename: Rename) -> None:
        self.correlations: list[Correlation] = []
        self.intakes: dict[str, list[Intake]] = {}
        self.silent: set[str] = set()
        self.refused: list[tuple[Draft, str]] = []
        self._rename = rename
        self._rules: dict[str, Rule] = {}
        self._versions: dict[str, str] = {}
        for rule in rules:
            for name in filter(None, (rule.id, rule.name)):
                self._rules[name] = rule
                self._versions[name] = revised(self._versions.get(name, ""), rule.version)
        self._drafts: dict[str, Draft] = {}
        self._refused: set[str] = set()
        self._levels: dict[str, int] = {}
        self._generated: set[str] = set()
        for each in drafts:
            self._name(each)
        self._connect()

    @property
    def longest_ms(self) -> int:
        """The longest timespan of a correlation, in milliseconds."""
        return max((each.timespan_ms for each in self.correlations), default=0)

    def of(self, rule_ids: Iterable[str], tenant: str) -> list[Intake]:
        """Return what takes in matches of these rules at a tenant."""
        found = (intake for each in rule_ids for intake in self.intakes.get(each, ()))
        return [intake for intake in found if intake.correlation.tenant in ("", tenant)]

    def beneath(self, ids: Iterable[str]) -> set[str]:
        """Return the ids of these rules and correlations and of all that they refer to, at any depth."""
        sources = {each.card.id: [source.id for source in each.sources] for each in self.correlations}
        found, pending = set[str](), list(ids)
        while pending:
            if (each := pending.pop()) not in found:
                found.add(each)
                pending += sources.get(each, ())
        return found

    def _name(self, each: Draft) -> None:
        taken = sorted(name for name in each.names if name in self._drafts or name in self._rules)
        if taken:
            self.refused.append((each, f"'{taken[0]}' is the id or name of another rule"))
        else:
            self._drafts |= dict.fromkeys(each.names, each)

    def _connect(self) -> None:
        unique = {each.correlation.card.id: each for each in self._drafts.values()}
        known: list[Draft] = []
        for each in unique.values():
            try:
                self._level(each, ())
                known.append(each)
            except RuleError as error:
                self._refuse(each, error.reason)
        known.sort(key=lambda each: self._levels[each.correlation.card.id])
        above, sound = self._above(known), []
        for each in known:  # from the bottom: what it refers to is refused by now, or stays
            try:
                self._check(each, above[each.correlation.card.id])
                sound.append(each)
            except RuleError as error:
                self._refuse(each, error.reason)
        self._build(sorted(sound, key=lambda each: -self._levels[each.correlation.card.id]))

    def _refuse(self, each: Draft, reason: str) -> None:
        self.refused.append((each, reason))
        self._refused.add(each.correlation.card.id)

    def _above(self, known: list[Draft]) -> Counter[str]:
        above: Counter[str] = Counter()
        for each in reversed(known):
            for reference in each.references:
                if other := self._drafts.get(reference):
                    above[other.correlation.card.id] += 1 + above[each.correlation.card.id]
        return above

    def _level(self, each: Draft, path: tuple[str, ...]) -> int:
        identity = each.correlation.card.id
        if identity in path:
            raise RuleError("the correlations refer to each other in a circle")
        if len(path) < MAX_LEVELS and identity not in self._levels:
            levels = [
                self._level(self._drafts[ref], (*path, identity)) for ref in each.references if ref in self._drafts
            ]
            self._levels[identity] = 1 + max(levels, default=0)
        if len(path) + self._levels.get(identity, 1) > MAX_LEVELS:
            raise RuleError(f"more than {MAX_LEVELS} correlations refer to each other, one above the other")
        return self._levels[identity]

    def _check(self, each: Draft, above: int) -> None:
        if above > MAX_ABOVE:
            raise RuleError(f"more than {MAX_ABOVE} correlations lie above it")
        for reference in each.references:
            if reference not in self._rules and reference not in self._drafts:
                raise RuleError(f"refers to the rule '{reference}', which is not loaded: load it with the correlation")
            if other := self._drafts.get(reference):
                if other.correlation.card.id in self._refused:
                    raise RuleError(f"the rule '{reference}' that it refers to is rejected")
                for name in (*each.correlation.group_by, *each.correlation.fields):
                    if (aliased := _aliased(each, reference, name)) not in other.correlation.group_by:
                        raise RuleError(f"'{reference}' is not grouped by '{aliased}'")

    def _build(self, drafts: list[Draft]) -> None:
        """Build from the top, so that each correlation holds those which it feeds."""
        feeds: dict[str, list[Feed]] = {}
        for each in drafts:
            identity = each.correlation.card.id
            built = msgspec.structs.replace(
                each.correlation,
                card=msgspec.structs.replace(each.correlation.card, version=self._version(each)),
                sources=tuple(self._source(reference) for reference in each.references),
                level=self._levels[identity],
                feeds=tuple(feeds.get(identity, ())),
                alerts=identity not in feeds or identity in self._generated,
            )
            self.correlations.append(built)
            for place, reference in enumerate(each.references):
                self._feed(each, built, place, reference, feeds)

    def _version(self, each: Draft) -> str:
        """Return the version of a correlation: another one whenever a rule that it refers to has another one."""
        below = (
            self._version(self._drafts[name]) if name in self._drafts else self._versions[name]
            for name in each.references
        )
        return revised(each.correlation.card.version, *below)

    def _source(self, reference: str) -> Source:
        if other := self._drafts.get(reference):
            return Source(other.correlation.card.id, other.correlation.card.name)
        return Source(self._rules[reference].id, self._rules[reference].title)

    def _feed(self, each: Draft, built: Correlation, place: int, reference: str, feeds: dict[str, list[Feed]]) -> None:
        if other := self._drafts.get(reference):
            own = other.correlation.group_by
            group = tuple(own.index(_aliased(each, reference, name)) for name in built.group_by)
            brought = tuple(own.index(_aliased(each, reference, name)) for name in built.fields)
            feeds.setdefault(other.correlation.card.id, []).append(Feed(built, place, group, brought))
            if each.generate:
                self._generated.add(other.correlation.card.id)
            return
        rule = self._rules[reference]
        named = [self._rename(rule, _aliased(each, reference, name)) for name in built.group_by]
        values = [self._rename(rule, _aliased(each, reference, name)) for name in built.fields]
        raw = msgspec.json.encode(built)
        self.intakes.setdefault(rule.id, []).append(Intake(built, place, tuple(named), tuple(values), raw))
        if each.generate:
            self._generated.add(rule.id)
            self.silent.discard(rule.id)
        elif rule.id not in self._generated and built.tenant in ("", rule.tenant):
            self.silent.add(rule.id)


def _aliased(each: Draft, reference: str, name: str) -> str:
    return each.aliases.get(name, {}).get(reference, name)
