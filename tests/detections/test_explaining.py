"""Explanations: the part of a condition that decides, in both languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detections.explaining import Explanation, explain
from detections.explanation_text import LANGUAGES, Teller
from detections.sigma import PACK, Ruleset
from detections.sigma.rule import RuleText
from tests.detections.rules_under_test import TEST, event, load, rule_document
from wardwatch.event import LogSource

ZONE = ZoneInfo("Asia/Shanghai")
DETECTION = {
    "one": {"a": ["x", 7], "b|exists": True},
    "two": [{"c|startswith": "x"}, {"a": None}],
    "filter": {"b": "y"},
    "condition": "(one or two) and not filter",
}
RULES = Ruleset.of([RuleText(Path("rule.yml"), yaml.safe_dump(rule_document(DETECTION)))])
TONGFANG = PACK / "hospital" / "mysql_audit" / "mysql_tongfang.yml"
QUERY = {
    "event.action": "db-select",
    "db.objects_role": ["prescription"],
    "db.group_by_roles": ["drug", "prescriber"],
    "db.functions": ["sum"],
}


def explained(folder: Path, detection: dict[str, Any], doc: dict[str, Any], source: LogSource = TEST) -> Explanation:
    (rule,) = load(folder, rule_document(detection)).rules
    return explain(rule, event(doc, source), ZONE)


def answer(explanation: Explanation, language: str = "en") -> str:
    return Teller.of(language).answer(explanation)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        (
            "en",
            'It does not match: selection `query` failed: `db.objects_role` is "billing", '
            'the rule wants "prescription".',
        ),
        ("zh", '未命中：选择项 `query` 不成立：`db.objects_role` 为 "billing"，规则要求 "prescription"。'),
    ],
)
def test_the_answer_names_the_selection_the_field_its_value_and_what_the_rule_wants(
    language: str, sentence: str
) -> None:
    (rule,) = Ruleset.load([TONGFANG]).rules
    found = explain(rule, event({**QUERY, "db.objects_role": ["billing"]}, rule.logsource), ZONE)
    assert answer(found, language) == sentence


@pytest.mark.parametrize(
    ("detection", "doc", "said"),
    [
        ({"a": "x"}, {"b": "x"}, '`a` is missing, the rule wants "x"'),
        ({"a": ["x", "y"]}, {"a": "z"}, '`a` is "z", the rule wants "x" or "y"'),
        (
            {"a|gt": 5},
            {"a": "many"},
            '`a` is "many", the rule wants a number above 5 (a text, the rule compares a number)',
        ),
        ({"a|cidr": "10.0.0.0/8"}, {"a": "192.0.2.1"}, '`a` is "192.0.2.1", the rule wants an address in 10.0.0.0/8'),
        ({"a|re": "^x+$"}, {"a": "y"}, 'the rule wants what the pattern "^x+$" finds'),
        ({"a|exists": True}, {"b": 1}, "`a` is missing, the rule wants the field to be there"),
        ({"a|fieldref": "b"}, {"a": "1", "b": "2"}, '`a` is "1", the rule wants the value of `b`'),
        ({"a|contains|cased": "X"}, {"a": "x"}, 'the rule wants what contains "X" in this case'),
        (
            {"sel": {"a": "x"}, "filter": {"b": "y"}, "condition": "sel and not filter"},
            {"a": "x", "b": "y"},
            '`filter` excludes it: `b` is "y"',
        ),
        (
            {"keywords": ["needle"], "condition": "keywords"},
            {"a": "hay"},
            'selection `keywords` failed: no value of the event is what contains "needle"',
        ),
    ],
)
def test_each_kind_of_failure_is_told(
    tmp_path: Path, detection: dict[str, Any], doc: dict[str, Any], said: str
) -> None:
    assert said in answer(explained(tmp_path, detection, doc))


def test_parts_that_hold_are_no_reason_for_a_failure(tmp_path: Path) -> None:
    said = answer(explained(tmp_path, {"a": "x", "b": "y"}, {"a": "x", "b": "n"}))
    assert "`b`" in said
    assert "`a`" not in said


def test_another_log_source_is_told_before_the_condition(tmp_path: Path) -> None:
    found = explained(tmp_path, {"a": "x"}, {"a": "x"}, LogSource("windows", "process_creation", "sysmon"))
    assert not found.matches
    assert answer(found) == (
        "It does not match: the rule is for test/*/*, the event is windows/process_creation/sysmon."
        " Its condition would hold."
    )


def test_a_match_names_what_speaks_for_it(tmp_path: Path) -> None:
    found = explained(tmp_path, {"a|startswith": "x"}, {"a": ["no", "xyz"]})
    assert found.matches
    assert answer(found) == 'It matches: selection `selection`: `a` is "xyz": what starts with "x".'


def test_the_tree_marks_every_selection_and_test(tmp_path: Path) -> None:
    detection = {"sel": {"a": "x", "b": "y"}, "filter": {"c": "z"}, "condition": "sel and not filter"}
    assert list(Teller.of("en").tree(explained(tmp_path, detection, {"a": "x", "c": "z"}))) == [
        "✗ all of these",
        "  ✗ sel",
        "    ✗ all of these",
        '      ✓ `a` is "x"',
        '      ✗ `b` is missing, the rule wants "y"',
        "  ✗ not",
        "    ✓ filter",
        '      ✓ `c` is "z"',
    ]


def test_hostile_values_are_shown_as_escapes(tmp_path: Path) -> None:
    said = answer(explained(tmp_path, {"a": "x"}, {"a": "\x9b31m\u202e"}))
    assert not {"\x9b", "\u202e"} & set(said)


def test_both_languages_have_every_phrase_with_the_same_holes() -> None:
    assert LANGUAGES["en"].keys() == LANGUAGES["zh"].keys()
    holes = [{key: sorted(_holes(text)) for key, text in words.items()} for words in LANGUAGES.values()]
    assert holes[0] == holes[1]


def _holes(text: str) -> list[str]:
    return [part.partition("}")[0] for part in text.split("{")[1:]]


@given(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y", 7, None, ["x", 7]])),
    st.sampled_from(list(LANGUAGES)),
)
def test_an_explanation_agrees_with_the_engine_and_always_has_an_answer(doc: dict[str, Any], language: str) -> None:
    (rule,) = RULES.rules
    subject = event(doc)
    found = explain(rule, subject, ZONE)
    assert found.matches is bool(RULES.match(subject, ZONE))
    assert Teller.of(language).answer(found)
    assert list(Teller.of(language).tree(found))
