"""The prefilter: what a record's bytes show of the rules that it can meet."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
import re2  # type: ignore[import-untyped]
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detections.sigma import Ruleset, RuleText, prefilter
from detections.sigma.memo import Memo, Memory
from detections.sigma.pieces import required
from detections.sigma.program import Program
from detections.sigma.ruleset import ZONE
from tests.detections.differential import CHECKS, of_detection
from tests.detections.rules_under_test import event, rule_document

WRITERS: list[Callable[[Any], bytes]] = [
    orjson.dumps,
    lambda doc: json.dumps(doc).encode(),
    lambda doc: json.dumps(doc, indent=1, ensure_ascii=False).encode(),
    lambda doc: json.dumps(doc, separators=(" ,", " :")).replace("/", "\\/").encode(),
]
"""Ways to write JSON: compact, escaped, on many lines, with everything escaped or spaced that may be."""


def rules(*detections: dict[str, Any]) -> Ruleset:
    documents = [
        {**rule_document(each, title=str(number)), "id": str(UUID(int=number))}
        for number, each in enumerate(detections)
    ]
    return Ruleset.of([RuleText(Path("rules.yml"), yaml.safe_dump_all(documents, allow_unicode=True))])


def program(*detections: dict[str, Any]) -> Program:
    return rules(*detections).program(event({}).logsource)


def met(found: Program, raw: bytes, zone: tzinfo = ZONE) -> list[str]:
    candidates = found.candidates(raw)
    if candidates.places == ():
        return []
    return [rule.title for rule in found.match(found.decode(raw, candidates), zone, candidates)]


@pytest.mark.parametrize("name", CHECKS)
@settings(max_examples=30)
@given(data=st.data())
def test_no_writing_of_json_and_no_review_changes_an_answer(name: str, data: st.DataObject) -> None:
    cases, _ = CHECKS[name]
    detection, docs, zone = data.draw(cases)
    _, found = of_detection(detection)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefilter, "_PRICE", 1)
        subject = found.program(event({}).logsource)
    for doc in docs:
        expected = [match.rule.title for match in found.match(event(doc), zone)]
        for write in WRITERS:
            assert met(subject, write(event(doc).doc), zone) == expected, doc


NUMBERS = [16, "16", "016", "+16", 16.0, "16.00", [7, 16], {"x": 16}]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("value", NUMBERS, ids=str)
def test_a_number_is_found_however_it_is_written(value: Any, write: Callable[[Any], bytes]) -> None:
    assert met(program({"a.b": 16}), write(event({"a.b": value}).doc)) == ["0"]
    assert met(program({"a.b": 16}), write(event({"a": {"b": value}}).doc)) == ["0"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("C:\\Temp\\x", "c:\\TEMP\\x"),
        ('say "hello"', 'SAY "HELLO"'),
        ("secure", "\u017fecure"),
        ("token", "to\u212aen"),
        ("挂号科室", "挂号科室"),
        ("straße", "STRAẞE"),
        ("a/b/c", "A/b/C"),
        ("line one", "line\u0020one"),
    ],
)
@pytest.mark.parametrize("write", WRITERS)
def test_a_text_is_found_in_other_letters_that_mean_the_same(
    value: str, text: str, write: Callable[[Any], bytes]
) -> None:
    assert met(program({"f|contains": value}), write(event({"f": f"<{text}>"}).doc)) == ["0"]
    assert met(program({"words": [value], "condition": "words"}), write(event({"g": [text]}).doc)) == ["0"]


def test_a_record_without_a_text_of_any_rule_is_not_decoded() -> None:
    subject = program({"f": "mimikatz"}, {"g|endswith": "\\whoami.exe", "h": 7}, {"a|re": "ab.*cdef"})
    assert subject.candidates(orjson.dumps(event({"f": "kitten", "h": 8, "a": "abc"}).doc)).places == ()


def test_a_text_that_most_records_hold_is_given_up_for_a_rarer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefilter, "_PRICE", 5)
    subject = program({"f|contains": "a long text in every event", "g": "rare"})
    usual = orjson.dumps(event({"f": "A long text in every event", "g": "often"}).doc)
    assert [subject.candidates(usual).places for _ in range(5)] == [(0,)] * 5
    assert subject.candidates(usual).places == ()
    assert met(subject, usual.replace(b"often", b"rare")) == ["0"]


def test_where_most_records_ask_many_rules_any_rule_is_asked_by_what_all_fields_give(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefilter, "_PRICE", 1)
    subject = program(*({"f|contains": ["everywhere", f"text{number}"]} for number in range(9)))
    usual = orjson.dumps(event({"f": "everywhere"}).doc)
    asked = [subject.candidates(usual).places for _ in range(6)]
    assert asked[0] == tuple(range(9))
    assert asked[-1] is None
    assert met(subject, usual) == [str(number) for number in range(9)]


def test_a_choice_that_is_taken_up_forgets_the_answers_of_every_generation() -> None:
    memory, answers = Memory(1 << 20), iter(["old", "new"])
    memo: Memo[str, str] = Memo(lambda _: next(answers), memory)
    assert memo["pieces"] == "old"
    memory.take(1 << 20)  # a new generation begins
    memo.clear()
    assert memo["pieces"] == "new"


PATTERNS = [
    r"^(?:cmd|powershell).{0,5}/c.+clip(\.exe)?.*clipboard\]::",
    r"(?i)Invoke-[A-Z]\w+ -enc[od]* x+y{2}z?",
    r"abc[^x\]]def|ghi",
    r"[[:alpha:]]]literal",
    r"\x41BC",
    r"(a|b)c\.d\\e",
    r"ab*cde+f",
    r"x\Qa.b\Ey",
    r"foo$|bar",
    r"(?i)(set).*&&\s?set.*(environment|invoke|\$?\{?input).*&&",
    r"(ab|(cd|ef)gh)+x{2,3}(?:yz)*",
    r"a(b|)c|(?P<n>de)f?",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=50)
@given(data=st.data())
def test_what_a_pattern_requires_is_in_whatever_it_finds(pattern: str, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(pattern.replace("[[:alpha:]]", "[a-z]").replace(r"\Qa.b\E", r"a\.b")))
    if re2.search(pattern, text):
        assert all(any(each.casefold() in text.casefold() for each in texts) for texts in required(pattern))


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (
            r"^cmd.{0,5}(?:/c|/r).+clip(?:\.exe)?.+clipboard\]::\(",
            [{"cmd"}, {"/c", "/r"}, {"clip"}, {"clipboard]::("}],
        ),
        (r"ab*cde+f", [{"a"}, {"cde"}, {"f"}]),
        (
            r"(?i)(set).*&&\s?set.*(environment|invoke|\$?\{?input)",
            [{"set"}, {"&&"}, {"set"}, {"environment", "invoke", "input"}],
        ),
        (r"x(a|b|)y", [{"x"}, {"y"}]),
        (r"(ab|(cd|ef)gh)+", [{"ab", "cd", "ef"}]),
        (r"(?P<n>ab)(cd)?(?:e)*", [{"ab"}]),
        (r"a|b", [{"a", "b"}]),
        (r"a|b?", []),
        (r"\x41bc", []),
        (r"\pLabc", []),
        ("[[:alpha:]]abc", []),
    ],
)
def test_what_a_pattern_requires_is_read_where_it_is_certain(pattern: str, texts: list[set[str]]) -> None:
    assert required(pattern) == texts
