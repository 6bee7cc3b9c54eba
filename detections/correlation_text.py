"""What a correlation makes of an event as text, in English or Chinese: the answer, then what it refers to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from detections.correlation import alerts
from detections.explaining import Explanation
from detections.explaining_correlations import Correlated
from detections.explanation_text import Teller
from wardwatch.text import safe_text

_ENGLISH = {
    "fires": "It fires: {measured}; the rule wants {wants}.",
    "short": "It does not fire: {measured}; the rule wants {wants}.",
    "unmet": "It does not fire: the event meets none of the rules that it refers to.",
    "lacks": "It does not fire: the event has no usable {fields}, so it can't be counted.",
    "counted": ", {count} in the window",
    "lt": "less than {limit}",
    "lte": "at most {limit}",
    "gt": "more than {limit}",
    "gte": "at least {limit}",
    "eq": "exactly {limit}",
    "neq": "any number but {limit}",
    "ordered": "all of them, one after the other",
    "join": " and ",
}
_CHINESE = {
    "fires": "触发：{measured}；规则要求{wants}。",
    "short": "未触发：{measured}；规则要求{wants}。",
    "unmet": "未触发：事件未命中其引用的任何规则。",
    "lacks": "未触发：事件没有可用的 {fields}，无法计入。",
    "counted": "，窗口内 {count} 次",
    "lt": "小于 {limit}",
    "lte": "不大于 {limit}",
    "gt": "大于 {limit}",
    "gte": "不小于 {limit}",
    "eq": "等于 {limit}",
    "neq": "不等于 {limit}",
    "ordered": "全部依次命中",
    "join": "且",
}
_WORDS = {"en": _ENGLISH, "zh": _CHINESE}


def lines(found: Correlated, language: str) -> Iterator[str]:
    """Yield the answer in a sentence, then each referenced rule with its own answer and tree."""
    yield _answer(found, language)
    for number, part in enumerate(found.parts):
        yield from (f"  {line}" for line in _part(found, number, part, language))


def _part(found: Correlated, number: int, part: Explanation | Correlated, language: str) -> Iterator[str]:
    counted = ""
    if found.window:
        counted = _WORDS[language]["counted"].format(count=found.window.counts[number])
    rule = part.correlation if isinstance(part, Correlated) else part.rule
    yield f"{'✓' if part.matches else '✗'} {safe_text(rule.title)}{counted}"
    if isinstance(part, Correlated):
        yield from (f"  {line}" for line in lines(part, language))
        return
    teller = Teller.of(language)
    yield f"  {teller.answer(part)}"
    yield from (f"  {line}" for line in teller.tree(part))


def _answer(found: Correlated, language: str) -> str:
    words, window = _WORDS[language], found.window
    if window is None:
        fields = ", ".join(f"`{safe_text(name)}`" for name in found.lacks)
        return words["lacks" if fields else "unmet"].format(fields=fields)
    measured = alerts.measured(found.correlation.correlation, window.value, language)
    told = safe_text(measured + alerts.grouped(window.group), limit=500)
    return words["fires" if found.matches else "short"].format(measured=told, wants=_wants(found, language))


def _wants(found: Correlated, language: str) -> str:
    words, rule = _WORDS[language], found.correlation.correlation
    if rule.sequence is not None:
        written: Any = yaml.safe_load(found.correlation.text)["correlation"].get("condition")
        return f"`{safe_text(str(written))}`"
    if rule.kind == "temporal_ordered":
        return words["ordered"]
    return words["join"].join(words[bound.op].format(limit=bound.limit) for bound in rule.bounds)
