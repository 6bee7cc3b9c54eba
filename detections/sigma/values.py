"""pySigma's values → tests of the expression tree."""

from __future__ import annotations

import re
from typing import cast

from sigma.types import (
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from detections.sigma.expression import Expression, FieldOp, Not, NumberOp, Or, Part, Test, TextOp
from detections.sigma.operators import check
from wardwatch.errors import RuleError

_ANY = SpecialChars.WILDCARD_MULTI
_SPECIAL = re.compile(r"[\\*?]")
_OPEN: dict[tuple[bool, bool], TextOp] = {
    (False, False): "equals",
    (False, True): "startswith",
    (True, False): "endswith",
    (True, True): "contains",
}
_REFERENCE: dict[tuple[bool, bool], FieldOp] = {
    (False, False): "equals_field",
    (True, False): "startswith_field",
    (False, True): "endswith_field",
    (True, True): "contains_field",
}


def expression(value: SigmaType, field: str, written: str) -> Expression:
    """Return the tests of one value on a field; raises RuleError."""
    if isinstance(value, SigmaExpansion):
        return Or(tuple(expression(item, field, written) for item in value.values))
    if isinstance(value, SigmaExists):
        exists = Test(field, "exists", written=written)
        return exists if value.exists else Not(exists)
    test = _on_field(value, field, written) if field else _keyword(value, written)
    check(test)
    return test


def _on_field(value: SigmaType, field: str, written: str) -> Test:
    if isinstance(value, SigmaFieldReference):
        op = _REFERENCE[value.starts_with, value.ends_with]
        return Test(field, op, value.field, written=written)
    if isinstance(value, SigmaString):
        return _text(value, field, written)
    if isinstance(value, SigmaRegularExpression):
        return Test(field, "re", _pattern(value), written=written)
    if isinstance(value, SigmaCompareExpression):
        return _number(value.number, cast("NumberOp", value.op.name.lower().replace("neq", "ne")), field, written)
    if isinstance(value, SigmaNumber):
        return _number(value, "number", field, written)
    if isinstance(value, SigmaBool):
        return Test(field, "equals", "true" if value.boolean else "false", written=written)
    if isinstance(value, SigmaCIDRExpression):
        return Test(field, "cidr", str(value.network), written=written)
    if isinstance(value, SigmaNull):
        return Test(field, "null", written=written)
    raise RuleError(f"values of type {type(value).__name__} are not evaluated", step="rules")


def _keyword(value: SigmaType, written: str) -> Test:
    if isinstance(value, SigmaNumber) and not isinstance(value, SigmaTimestampPart):
        value = SigmaString(str(value.number))
    if isinstance(value, SigmaString):
        return _text(_ANY + value + _ANY, "", written)
    if isinstance(value, SigmaRegularExpression):
        return Test("", "re", _pattern(value), written=written)
    raise RuleError(f"a keyword can't be a {type(value).__name__}", step="rules")


def _number(value: SigmaNumber, op: NumberOp, field: str, written: str) -> Test:
    part = value.timestamp_part.name.lower() if isinstance(value, SigmaTimestampPart) else ""
    return Test(field, op, str(value.number), part=cast("Part", part), written=written)


def _text(value: SigmaString, field: str, written: str) -> Test:
    parts = list(value.s)
    for part in parts:
        if isinstance(part, Placeholder):
            raise RuleError(f"placeholder %{part.name}% has no values", step="rules", remedy="name a lookup table")
    cased = isinstance(value, SigmaCasedString)
    starts, ends = parts[:1] == [_ANY], parts[-1:] == [_ANY]
    inner = list(parts)
    while starts and inner[:1] == [_ANY]:
        del inner[0]
    while ends and inner[-1:] == [_ANY]:
        del inner[-1]
    if all(isinstance(part, str) for part in inner):
        return Test(field, _OPEN[starts, ends], "".join(map(str, inner)), cased, written=written)
    return Test(field, "like", "".join(map(_wildcard, parts)), cased, written=written)


def _wildcard(part: str | SpecialChars | Placeholder) -> str:
    if isinstance(part, str):
        return _SPECIAL.sub(r"\\\g<0>", part)
    return "*" if part is _ANY else "?"


def _pattern(value: SigmaRegularExpression) -> str:
    if value.contains_placeholder():
        raise RuleError(f"a placeholder in {str(value.regexp)[:200]!r} has no values", step="rules")
    flags = "".join(sorted(SigmaRegularExpression.sigma_to_re_flag[flag] for flag in value.flags))
    return f"(?{flags}){value.regexp}" if flags else str(value.regexp)
