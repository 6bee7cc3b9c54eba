"""Operators of the engine broken on purpose, each as other engines have it wrong."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import UTC
from decimal import Decimal
from typing import Any

import hyperscan
import pytest
from sigma.conditions import ConditionAND, ConditionOR, ConditionSelector
from sigma.modifiers import SigmaWindowsDashModifier
from sigma.rule import SigmaDetectionItem, SigmaDetections
from sigma.types import SigmaExpansion, SigmaString

from detections.sigma import (
    compilation,
    condition,
    dialect,
    evaluation,
    operators,
    patterns,
    placeholders,
    predicate,
    scanner,
    values,
    view,
    vocabulary,
)
from detections.sigma.expression import And, Expression, Not, Or, Test, fields
from detections.sigma.prefilter import Candidates, Prefilter
from detections.sigma.view import Cell, View

Break = Callable[[pytest.MonkeyPatch], None]

_text, _wildcard, _pattern, _expression = values._text, values._wildcard, values._pattern, values.expression
_item, _condition, _parse, _from_detections = (
    condition._item,
    condition._condition,
    condition._parse,
    condition.from_detections,
)
_number, _addresses, _moment, _field_reference = (
    operators.number,
    operators.addresses,
    operators._moment,
    operators._field_reference,
)
_holds, _resolve, _scalars = evaluation.holds, view._resolve, view._scalars
_referenced = ConditionSelector.resolve_referenced_detections
_candidates = Prefilter.candidates
_filled = placeholders._Lookup.apply_value


def breaking(name: str, broken: Any, *owners: Any) -> Break:
    """Return what puts ``broken`` in the place of a part of the engine."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        for owner in owners:
            monkeypatch.setattr(owner, name, broken)

    return apply


def opening(written: tuple[bool, bool], op: str) -> Break:
    """Return what reads a text with these open sides by another operator."""
    return breaking("_OPEN", {**values._OPEN, written: op}, values)


def accepting(op: str, broken: Callable[[Test], operators.Accept]) -> Break:
    """Return what gives an operator another meaning."""
    return breaking("_ACCEPTORS", {**operators._ACCEPTORS, op: broken}, operators)


def with_case(value: SigmaString, field: str, written: str) -> Test:
    test = _text(value, field, written)
    return Test(test.field, test.op, test.value, cased=True, written=test.written)


def ascii_case(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def all_spellings(value: Any, field: str, written: str) -> Expression:
    found = _expression(value, field, written)
    return And(found.items) if isinstance(value, SigmaExpansion) and isinstance(found, Or) else found


def by_prefix(test: Test) -> operators.Accept:
    start = test.value.partition("/")[0].rstrip("0:.")
    return lambda cell, _: isinstance(cell.raw, str) and cell.raw.startswith(start)


def as_float(raw: object) -> Decimal | None:
    found = _number(raw)
    return None if found is None else Decimal(float(found))


def changed(item: SigmaDetectionItem, **attributes: Any) -> SigmaDetectionItem:
    """Return a copy on which pySigma does not apply the modifiers again."""
    found = copy(item)
    for name, value in attributes.items():
        setattr(found, name, value)
    return found


def neq_by_value(item: SigmaDetectionItem, rename: condition.Rename) -> Expression:
    if not item.negated:
        return _item(item, rename)
    found = _item(changed(item, negated=False), rename)
    return Or(tuple(map(Not, found.items))) if isinstance(found, And | Or) else Not(found)


def any_value(item: SigmaDetectionItem, rename: condition.Rename) -> Expression:
    return _item(changed(item, value_linking=ConditionOR), rename)


def exists_as_not_null(test: Test, seen: View) -> bool:
    if test.op == "exists":
        return any(cell.raw is not None for cell in seen.cells(test.field) or ())
    return _holds(test, seen)


def null_as_absent(test: Test, seen: View) -> bool:
    return seen.cells(test.field) is None if test.op == "null" else _holds(test, seen)


def empty_as_null(value: SigmaString, field: str, written: str) -> Test:
    return _text(value, field, written) if value.s else Test(field, "null", written=written)


def not_of_three_values(item: Expression) -> Expression:
    return And((Not(item), *(Test(name, "exists") for name in sorted(fields(item)) if name)))


def in_message(seen: View) -> tuple[Cell, ...]:
    return seen.cells("message") or ()


def never_whole(self: Prefilter, raw: bytes) -> Candidates:
    return _candidates(self, raw)._replace(whole=False)


def first_member(name: str, value: object) -> Any:
    return _scalars(name, value[:1] if isinstance(value, list) else value)


def path_first(node: object, field: str) -> Any:
    head, _, rest = field.partition(".")
    inside = rest and isinstance(node, dict) and head in node
    return _resolve(node[head], rest) if inside else _resolve(node, field)  # type: ignore[index]


def top_level(node: object, field: str) -> Any:
    return iter([node[field]] if isinstance(node, dict) and field in node else [])


def equal_fields(test: Test) -> operators.Accept:
    return _field_reference(Test(test.field, "equals_field", test.value))


def first_of_table(self: Any, field: Any, value: Any) -> Any:
    found = _filled(self, field, value)
    return found[:1] if isinstance(found, list) else found


def with_underscores(self: ConditionSelector, detections: SigmaDetections) -> Any:
    hidden = copy(self)
    hidden.pattern = "_*" if self.pattern == "them" else f"_{self.pattern}"
    return [*_referenced(self, detections), *_referenced(hidden, detections)]


def of_nothing(node: Any, detections: SigmaDetections, selections: Any) -> Expression:
    if isinstance(node, ConditionSelector) and not node.resolve_referenced_detections(detections):
        return Or(())
    return _condition(node, detections, selections)


def all_of(node: Any, detections: SigmaDetections, selections: Any) -> Expression:
    if isinstance(node, ConditionSelector):
        node = copy(node)
        node.cond_class = ConditionAND
    return _condition(node, detections, selections)


def or_first(text: str) -> object:
    return _parse(f"({text.replace(' and ', ') and (')})")


def first_condition(detections: SigmaDetections, rename: condition.Rename) -> Expression:
    only = copy(detections)
    only.condition = detections.condition[:1]
    only.__post_init__()
    return _from_detections(only, rename)


BROKEN: dict[str, tuple[str, Break]] = {
    "texts with case": ("text", breaking("_text", with_case, values)),
    "case of ASCII alone": ("wildcards", breaking("fold", ascii_case, view, operators, scanner)),
    "`cased` ignored": ("text", breaking("SigmaCasedString", int, values)),
    "a plain value found anywhere": ("text", opening((False, False), "contains")),
    "`startswith` as `endswith`": ("text", opening((False, True), "endswith")),
    "`endswith` as `contains`": ("wildcards", opening((True, False), "contains")),
    "`contains` as `startswith`": ("text", opening((True, True), "startswith")),
    "`*` as `?` inside a text": (
        "wildcards",
        breaking("_wildcard", lambda part: _wildcard(part) if isinstance(part, str) else "?", values),
    ),
    "`?` as `*`": (
        "wildcards",
        breaking("_wildcard", lambda part: _wildcard(part) if isinstance(part, str) else "*", values),
    ),
    "`*` ends at a line break": (
        "wildcards",
        breaking("_FLAGS", patterns._FLAGS & ~hyperscan.HS_FLAG_DOTALL, patterns),
    ),
    "`re` bound to both ends": (
        "regular expression",
        breaking("_pattern", lambda value: f"^(?:{_pattern(value)})$", values),
    ),
    "flags of `re` ignored": ("regular expression", breaking("_pattern", lambda value: str(value.regexp), values)),
    "`windash` with `-` alone": (
        "windash",
        breaking("modify", lambda _, val: SigmaExpansion([val]), SigmaWindowsDashModifier),
    ),
    "all spellings of a value asked for": ("windash", breaking("expression", all_spellings, condition)),
    "`base64offset` with its last letter": ("encoding", breaking("_END", (None, None, None), dialect)),
    "`base64offset` with its first letters": ("encoding", breaking("_START", (0, 0, 0), dialect)),
    "`wide` big-endian": ("encoding", breaking("codec", "utf-16-be", dialect._Utf16)),
    "`utf16` without its mark": ("encoding", breaking("mark", b"", dialect._Utf16Marked)),
    "networks as prefixes of texts": ("network", accepting("cidr", by_prefix)),
    "mapped addresses as IPv6 alone": ("network", breaking("addresses", lambda text: _addresses(text)[:1], operators)),
    "numbers as floats": ("number", breaking("number", as_float, operators, scanner)),
    "numbers in texts not read": (
        "number",
        breaking("number", lambda raw: None if isinstance(raw, str) else _number(raw), operators, scanner),
    ),
    "`gt` as `gte`": (
        "compare",
        breaking("_COMPARE", {**operators._COMPARE, "gt": operators._COMPARE["gte"]}, operators),
    ),
    "`neq` of each value": ("text", breaking("_item", neq_by_value, condition)),
    "`exists` as not null": ("exists", breaking("holds", exists_as_not_null, evaluation, compilation, predicate)),
    "null as absent": ("other", breaking("holds", null_as_absent, evaluation, compilation, predicate)),
    "empty as null": ("other", breaking("_text", empty_as_null, values)),
    "NOT of a missing field false": ("rules", breaking("Not", not_of_three_values, condition, values)),
    "keywords in `message` alone": ("rules", breaking("everything", property(in_message), View)),
    "no record decoded whole for keywords": ("rules", breaking("candidates", never_whole, Prefilter)),
    "the first member of a list": ("wildcards", breaking("_scalars", first_member, view)),
    "`all` ignored": ("wildcards", breaking("_item", any_value, condition)),
    "the path before the literal key": ("paths", breaking("_resolve", path_first, view)),
    "fields of the top level alone": ("paths", breaking("_resolve", top_level, view)),
    "parts of a time in UTC": ("time", breaking("_moment", lambda text, _zone: _moment(text, UTC), operators)),
    "`fieldref` as equality": (
        "field",
        breaking(
            "_ACCEPTORS",
            {op: equal_fields if op.endswith("_field") else accept for op, accept in operators._ACCEPTORS.items()},
            operators,
        ),
    ),
    "the first value of a placeholder": ("placeholder", breaking("apply_value", first_of_table, placeholders._Lookup)),
    "names with `_` in `1 of`": (
        "conditions",
        breaking("resolve_referenced_detections", with_underscores, ConditionSelector),
    ),
    "a pattern that names nothing false": ("conditions", breaking("_condition", of_nothing, condition)),
    "`1 of` as `all of`": ("conditions", breaking("_condition", all_of, condition)),
    "`or` before `and`": ("conditions", breaking("_parse", or_first, condition)),
    "the first of several conditions": ("rules", breaking("from_detections", first_condition, vocabulary)),
}
"""What is broken → the check of the differential tests that has to find it, and how it is broken."""
