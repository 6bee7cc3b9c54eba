"""An explanation as text, in English or Chinese: first the answer in a sentence, then the tree with ✓ and ✗."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detections.explaining import Branch, Checked, Explanation, Node, Reason
from detections.sigma.expression import Test
from detections.sigma.view import Scalar
from wardwatch.event import LogSource
from wardwatch.text import safe_text

_SHOWN = 5  # values of a list, tests in the answer
_TEXT = 120  # characters of a value

_ENGLISH = {
    "matches": "It matches: {reasons}.",
    "always": "It matches whatever the event holds.",
    "other source": "It does not match: the rule is for {rule}, the event is {event}.",
    "and also": " Its condition would hold.",
    "fails": "It does not match: {reasons}.",
    "selection": "selection `{name}` failed: {test}",
    "excluded": "`{name}` excludes it: {test}",
    "held": "selection `{name}`: {test}",
    "keyword": "no value of the event is {wants}",
    "keyword held": "{values} is {wants}",
    "is": "`{field}` is {values}, the rule wants {wants}",
    "missing": "`{field}` is missing, the rule wants {wants}",
    "met": "`{field}` is {values}: {wants}",
    "met missing": "`{field}` is missing",
    "more": "{count} more below",
    "any": "any log source",
    "named": "{name}",
    "and": "all of these",
    "or": "one of these",
    "not": "not",
    "type": " (a {kind}, the rule compares a {wanted})",
    "equals": "{value}",
    "startswith": "what starts with {value}",
    "endswith": "what ends with {value}",
    "contains": "what contains {value}",
    "like": "what is like {value}",
    "number": "the number {value}",
    "ne": "a number that is not {value}",
    "lt": "a number below {value}",
    "lte": "a number of at most {value}",
    "gt": "a number above {value}",
    "gte": "a number of at least {value}",
    "equals_field": "the value of `{value}`",
    "startswith_field": "what starts with the value of `{value}`",
    "endswith_field": "what ends with the value of `{value}`",
    "contains_field": "what contains the value of `{value}`",
    "re": "what the pattern {value} finds",
    "cidr": "an address in {value}",
    "exists": "the field to be there",
    "null": "no value",
    "cased": " in this case",
    "text": "text",
    "number kind": "number",
    "boolean": "boolean",
    "met equal": "`{field}` is {values}",
    "or wants": " or ",
    "and wants": " and ",
    "and join": ", and ",
    "join": "; ",
    "in zone": " as the {part} of the time",
}
_CHINESE = {
    "matches": "命中：{reasons}。",
    "always": "无论事件内容如何都命中。",
    "other source": "未命中：规则针对 {rule}，事件来自 {event}。",
    "and also": "其条件本身成立。",
    "fails": "未命中：{reasons}。",
    "selection": "选择项 `{name}` 不成立：{test}",
    "excluded": "被 `{name}` 排除：{test}",
    "held": "选择项 `{name}`：{test}",
    "keyword": "事件中没有任何值是{wants}",
    "keyword held": "{values} 是{wants}",
    "is": "`{field}` 为 {values}，规则要求{wants}",
    "missing": "缺少 `{field}`，规则要求{wants}",
    "met": "`{field}` 为 {values}：{wants}",
    "met missing": "缺少 `{field}`",
    "more": "另有 {count} 项见下",
    "any": "任意日志源",
    "named": "{name}",
    "and": "全部成立",
    "or": "任一成立",
    "not": "不成立",
    "type": "（值是{kind}，规则比较的是{wanted}）",
    "equals": " {value}",
    "startswith": "以 {value} 开头",
    "endswith": "以 {value} 结尾",
    "contains": "包含 {value}",
    "like": "匹配通配 {value}",
    "number": "数字 {value}",
    "ne": "不等于 {value} 的数字",
    "lt": "小于 {value} 的数字",
    "lte": "不大于 {value} 的数字",
    "gt": "大于 {value} 的数字",
    "gte": "不小于 {value} 的数字",
    "equals_field": "等于 `{value}` 的值",
    "startswith_field": "以 `{value}` 的值开头",
    "endswith_field": "以 `{value}` 的值结尾",
    "contains_field": "包含 `{value}` 的值",
    "re": "匹配正则 {value}",
    "cidr": "属于网段 {value} 的地址",
    "exists": "该字段存在",
    "null": "没有值",
    "cased": "（区分大小写）",
    "text": "文本",
    "number kind": "数字",
    "boolean": "布尔值",
    "met equal": "`{field}` 为 {values}",
    "or wants": " 或",
    "and wants": " 且",
    "and join": "，且",
    "join": "；",
    "in zone": "（取时间的 {part}）",
}
LANGUAGES = {"en": _ENGLISH, "zh": _CHINESE}
"""Language → its phrases; both have the same keys."""

_NUMERIC = frozenset(("number", "ne", "lt", "lte", "gt", "gte"))


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells explanations in one language."""

    words: dict[str, str]

    @classmethod
    def of(cls, language: str) -> Teller:
        """Return the teller of a language of LANGUAGES."""
        return cls(LANGUAGES[language])

    def answer(self, explanation: Explanation) -> str:
        """Return in a sentence whether the rule matches and what decides it."""
        if not explanation.concerns:
            sources = {"rule": self._source(explanation.rule.logsource), "event": self._source(explanation.logsource)}
            text = self.words["other source"].format(**sources)
            return text + (self.words["and also"] if explanation.condition.holds else "")
        reasons = list(self._reasons(explanation))
        if len(reasons) > _SHOWN:
            reasons = [*reasons[:_SHOWN], self.words["more"].format(count=len(reasons) - _SHOWN)]
        if not reasons:
            return self.words["always"]
        return self.words["matches" if explanation.matches else "fails"].format(
            reasons=self.words["join"].join(reasons)
        )

    def tree(self, explanation: Explanation) -> Iterator[str]:
        """Yield the lines of the condition's tree."""
        yield from self._lines(explanation.condition, 0)

    def _reasons(self, explanation: Explanation) -> Iterator[str]:
        """Yield a phrase for each selection that decides."""
        by_selection: dict[tuple[str, str], list[Reason]] = {}
        for reason in explanation.decisive():
            if explanation.matches and reason.excludes:
                continue  # a filter that did not apply is no reason to read first
            phrase = "held" if explanation.matches else "excluded" if reason.excludes else "selection"
            by_selection.setdefault((phrase, reason.selection), []).append(reason)
        for (phrase, name), reasons in by_selection.items():
            told = self.words["and join"].join(self._fields(reasons))
            yield self.words[phrase].format(name=safe_text(name, limit=_TEXT), test=told)

    def _fields(self, reasons: Sequence[Reason]) -> Iterator[str]:
        by_field: dict[tuple[str, str], list[Checked]] = {}
        for reason in reasons:
            by_field.setdefault((reason.checked.test.field, reason.linking), []).append(reason.checked)
        for (_, linking), tests in by_field.items():
            yield self.test(*tests, linking=linking)

    def test(self, checked: Checked, *others: Checked, linking: str = "or") -> str:
        """Return what a test, and others on its field, wanted and what the event has."""
        wanted = list(dict.fromkeys(self._wants(each.test) for each in (checked, *others)))
        wants = self.words[f"{linking} wants"].join(wanted[:_SHOWN]) + (" …" if len(wanted) > _SHOWN else "")
        test, field = checked.test, safe_text(checked.test.field, limit=_TEXT)
        values = checked.values
        if checked.holds and checked.met:
            values = tuple(dict.fromkeys(value for each in (checked, *others) for value in each.met))
        if not test.field:
            key = "keyword held" if checked.holds else "keyword"
            return self.words[key].format(values=_values(values or ()), wants=wants)
        if values is None:
            return self.words["met missing" if checked.holds else "missing"].format(field=field, wants=wants)
        phrase = "is" if not checked.holds else "met equal" if test.op == "equals" else "met"
        told = self.words[phrase].format(field=field, values=_values(values), wants=wants)
        return told if checked.holds else told + self._type(test, values)

    def _wants(self, test: Test) -> str:
        value = test.value if test.op.endswith("_field") or test.op in _NUMERIC | {"cidr"} else _quoted(test.value)
        told = self.words[test.op].format(value=safe_text(value, limit=_TEXT))
        told += self.words["in zone"].format(part=test.part) if test.part else ""
        return told + (self.words["cased"] if test.cased else "")

    def _type(self, test: Test, values: tuple[Scalar, ...]) -> str:
        """Return a hint where a number is compared with a text that is none."""
        if test.op not in _NUMERIC or test.part or not values or not isinstance(values[0], str | bool):
            return ""
        kind = "boolean" if isinstance(values[0], bool) else "text"
        return self.words["type"].format(kind=self.words[kind], wanted=self.words["number kind"])

    def _lines(self, node: Node, depth: int) -> Iterator[str]:
        mark = f"{'  ' * depth}{'✓' if node.holds else '✗'} "
        if isinstance(node, Checked):
            yield mark + self.test(node)
            return
        yield mark + self._heading(node)
        for part in node.parts:
            yield from self._lines(part, depth + 1)

    def _heading(self, node: Branch) -> str:
        return self.words[node.kind].format(name=safe_text(node.name, limit=_TEXT))

    def _source(self, source: LogSource) -> str:
        parts = [part or "*" for part in (source.product, source.category, source.service)]
        return safe_text("/".join(parts), limit=_TEXT) if set(parts) != {"*"} else self.words["any"]


def _values(values: tuple[Scalar, ...]) -> str:
    shown = json.dumps(list(values[:_SHOWN]), ensure_ascii=False) if len(values) != 1 else _quoted(values[0])
    return safe_text(shown, limit=2 * _TEXT) + (" …" if len(values) > _SHOWN else "")


def _quoted(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False)
