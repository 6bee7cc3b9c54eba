"""A deliberately naive evaluator of pySigma's parsed tree: no index, no cache, no compilation, own text matching."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any
from zoneinfo import ZoneInfo

import re2  # type: ignore[import-untyped]
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule
from sigma.types import (
    CompareOperators,
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
    SpecialChars,
)

from detections.sigma.pipelines import FOLDER

PIPELINE: ProcessingPipeline = sum(
    (ProcessingPipeline.from_yaml(file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.yml"))),
    ProcessingPipeline(),
)
TRANSLATED: dict[int, tuple[SigmaRule, list[Any]]] = {}


def conditions(rule: SigmaRule) -> list[Any]:
    """Return the rule's trees on the fields of our events, as pySigma's own pipeline makes them."""
    if id(rule) not in TRANSLATED:
        own = deepcopy(rule)
        PIPELINE.apply(own)
        TRANSLATED[id(rule)] = rule, [condition.parsed for condition in own.detection.parsed_condition]
    return TRANSLATED[id(rule)][1]


def matches(rule: SigmaRule, doc: dict[str, Any]) -> bool:
    """Tell whether the document meets one of the rule's conditions."""
    return any(holds(condition, doc) for condition in conditions(rule))


def holds(node: Any, doc: dict[str, Any]) -> bool:
    if isinstance(node, ConditionAND):
        return all(holds(item, doc) for item in node.args)
    if isinstance(node, ConditionOR):
        return any(holds(item, doc) for item in node.args)
    if isinstance(node, ConditionNOT):
        return not holds(node.args[0], doc)
    if isinstance(node, ConditionValueExpression):
        return any(keyword(node.value, value) for value in leaves(doc))
    assert isinstance(node, ConditionFieldEqualsValueExpression)
    found = lookup(doc, node.field.strip())
    if isinstance(node.value, SigmaExists):
        return (len(found) > 0) == node.value.exists
    values = leaves(found)
    if isinstance(node.value, SigmaNull):
        return values == [] or None in values
    return any(meets(node.value, value, doc) for value in values)


def lookup(doc: Any, name: str) -> list[Any]:
    if isinstance(doc, list):
        return [found for item in doc for found in lookup(item, name)]
    if not isinstance(doc, dict):
        return []
    if name in doc:
        return [doc[name]]
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        head = ".".join(parts[:cut])
        if head in doc:
            return lookup(doc[head], ".".join(parts[cut:]))
    return []


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def same(one: str, other: str, cased: bool) -> bool:
    if one == other:
        return True
    return not cased and (one.casefold() == other.casefold() or one.lower() == other.lower())


def like(parts: list[Any], value: str, cased: bool) -> bool:
    """Match character by character, by dynamic programming over positions."""
    pattern = [item for part in parts for item in (part if isinstance(part, str) else [part])]
    reached = {0}
    for item in pattern:
        if item is SpecialChars.WILDCARD_MULTI:
            reached = set(range(min(reached, default=len(value) + 1), len(value) + 1))
        elif item is SpecialChars.WILDCARD_SINGLE:
            reached = {at + 1 for at in reached if at < len(value)}
        else:
            reached = {at + 1 for at in reached if at < len(value) and same(item, value[at], cased)}
    return len(value) in reached


def keyword(wanted: Any, value: Any) -> bool:
    if value is None:
        return False
    if isinstance(wanted, SigmaExpansion):
        return any(keyword(item, value) for item in wanted.values)
    if isinstance(wanted, SigmaString):
        star = SpecialChars.WILDCARD_MULTI
        return like([star, *wanted.s, star], text(value), isinstance(wanted, SigmaCasedString))
    if isinstance(wanted, SigmaNumber):
        return str(wanted.number) in text(value)
    return meets(wanted, value, {})


def number(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    try:
        return float(value) if value.strip() == value and value.isascii() and "_" not in value else None
    except ValueError:
        return None


def meets(wanted: Any, value: Any, doc: dict[str, Any]) -> bool:  # noqa: PLR0912 one case per type
    if value is None:
        return False
    if isinstance(wanted, SigmaExpansion):
        return any(meets(item, value, doc) for item in wanted.values)
    if isinstance(wanted, SigmaString):
        return like(wanted.s, text(value), isinstance(wanted, SigmaCasedString))
    if isinstance(wanted, SigmaRegularExpression):
        prefix = "".join(sorted(wanted.sigma_to_re_flag[flag] for flag in wanted.flags))
        return bool(re2.search(f"(?{prefix}){wanted.regexp}" if prefix else str(wanted.regexp), text(value)))
    if isinstance(wanted, SigmaBool):
        return text(value).lower() == str(wanted.boolean).lower()
    if isinstance(wanted, SigmaTimestampPart):
        moment = datetime.fromisoformat(text(value)).astimezone(ZoneInfo("Asia/Shanghai"))
        return int(getattr(moment, wanted.timestamp_part.name.lower())) == wanted.number
    if isinstance(wanted, SigmaNumber):
        return number(value) is not None and number(value) == wanted.number
    if isinstance(wanted, SigmaCompareExpression):
        found, limit = number(value), wanted.number.number
        if found is None:
            return False
        less, equal = found < limit, found == limit
        answers: dict[CompareOperators, bool] = {
            CompareOperators.LT: less,
            CompareOperators.LTE: less or equal,
            CompareOperators.GT: not less and not equal,
            CompareOperators.GTE: not less,
        }
        return answers[wanted.op]
    if isinstance(wanted, SigmaCIDRExpression):
        try:
            return isinstance(value, str) and ip_address(value) in ip_network(wanted.cidr)
        except ValueError:
            return False
    assert isinstance(wanted, SigmaFieldReference)
    others = leaves(lookup(doc, wanted.field))
    mine = text(value).lower()
    for other in (text(each).lower() for each in others if each is not None):
        if wanted.starts_with and wanted.ends_with:
            met = other in mine
        elif wanted.starts_with:
            met = mine.startswith(other)
        elif wanted.ends_with:
            met = mine.endswith(other)
        else:
            met = mine == other
        if met:
            return True
    return False
