"""One test per row of the semantics table of design/sigma.md that concerns plain rules."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import re2  # type: ignore[import-untyped]

from detections.sigma import Ruleset
from detections.sigma.view import fold
from tests.detections.rules_under_test import event, load, rule_document
from wardwatch.event import LogSource

Matches = Callable[[Any, Mapping[str, Any]], bool]


@pytest.fixture
def matches(tmp_path: Path) -> Matches:
    """Tell whether a rule with this detection matches an event with these fields."""

    def run(detection: Any, doc: Mapping[str, Any]) -> bool:
        ruleset = load(tmp_path, rule_document(detection))
        assert ruleset.rejected == []
        return bool(ruleset.match(event(doc)))

    return run


def reason(folder: Path, detection: Any) -> str:
    ruleset = load(folder, rule_document(detection))
    assert ruleset.rules == []
    return ruleset.rejected[0].reason


@pytest.mark.parametrize(
    ("value", "text"),
    [("Cmd.EXE", "cMD.exe"), ("ÄRZTE", "ärzte"), ("ΟΔΟΣ", "οδος"), ("K", "\u212a"), ("ПОЛЬЗОВАТЕЛЬ", "пользователь")],
)
def test_strings_are_compared_without_case_in_every_script(matches: Matches, value: str, text: str) -> None:
    assert matches({"f": value}, {"f": text})


def test_cased_strings_are_compared_with_case(matches: Matches) -> None:
    assert matches({"f|cased": "Cmd"}, {"f": "Cmd"})
    assert not matches({"f|cased": "Cmd"}, {"f": "cmd"})
    assert not matches({"f|contains|cased": "Cmd"}, {"f": "a cmd b"})
    assert matches({"f|contains|cased": "Cmd"}, {"f": "a Cmd b"})


def test_field_names_are_compared_with_case(matches: Matches) -> None:
    assert not matches({"User": "a"}, {"user": "a"})


def test_letters_fold_as_they_do_in_re2() -> None:
    every = (chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    letters = [each for each in every if {each} != {each.lower(), each.upper(), each.casefold()}]
    folded: defaultdict[str, set[str]] = defaultdict(set)
    for letter in letters:
        folded[fold(letter)].add(letter)
    text, caseless = "".join(letters), re2.Options()
    caseless.case_sensitive = False
    for letter in letters:
        assert set(re2.compile(re2.escape(letter), caseless).findall(text)) == folded[fold(letter)]


def test_regular_expressions_are_case_sensitive_unless_flagged(matches: Matches) -> None:
    assert not matches({"f|re": "abc"}, {"f": "ABC"})
    assert matches({"f|re|i": "abc"}, {"f": "ABC"})


def test_a_star_spans_line_breaks_and_a_question_mark_is_exactly_one_character(matches: Matches) -> None:
    assert matches({"f": "a*z*e"}, {"f": "a\nb\nz\ne"})
    assert matches({"f": "a*b?d"}, {"f": "a-b\nd"})
    assert matches({"f": "病?史"}, {"f": "病历史"})
    assert not matches({"f": "a?c"}, {"f": "ac"})
    assert not matches({"f": "a?c"}, {"f": "abbc"})


def test_a_plain_value_is_the_whole_field(matches: Matches) -> None:
    assert not matches({"f": "admin"}, {"f": "administrator"})
    assert not matches({"f": "admin"}, {"f": "admin\n"})
    assert not matches({"f": "a*c"}, {"f": "xabc"})


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        (r"C:\Windows\cmd.exe", r"C:\Windows\cmd.exe", True),
        (r"C:\Temp\*.exe", r"C:\Temp\a.exe", False),
        (r"C:\Temp\*.exe", r"C:\Temp*.exe", True),
        (r"C:\Temp\\*.exe", r"C:\Temp\a.exe", True),
        (r"C:\Temp\\*.exe", r"C:\Tempa.exe", False),
        (r"a\?", "a?", True),
        (r"a\?", "ab", False),
        (r"a\\b", r"a\b", True),
        ("a\\", "a\\", True),
    ],
)
def test_a_backslash_is_literal_except_before_a_wildcard(
    matches: Matches, value: str, text: str, expected: bool
) -> None:
    assert matches({"f": value}, {"f": text}) is expected


@pytest.mark.parametrize(
    ("modifier", "text", "expected"),
    [
        ("startswith", "a-x-b tail", True),
        ("startswith", "head a-x-b", False),
        ("endswith", "head a-x-b", True),
        ("endswith", "a-x-b tail", False),
        ("contains", "head a-x-b tail", True),
        ("contains", "ab", False),
    ],
)
def test_inner_wildcards_stay_wildcards_beside_an_open_side(
    matches: Matches, modifier: str, text: str, expected: bool
) -> None:
    assert matches({f"f|{modifier}": "a-*-b"}, {"f": text}) is expected


def test_an_open_side_is_the_only_open_side(matches: Matches) -> None:
    assert matches({"f|startswith": "ab"}, {"f": "abc"})
    assert not matches({"f|startswith": "ab"}, {"f": "xabc"})
    assert matches({"f|endswith": "bc"}, {"f": "abc"})
    assert not matches({"f|endswith": "bc"}, {"f": "abcx"})
    assert matches({"f|contains": "b"}, {"f": "abc"})


def test_a_regular_expression_is_searched(matches: Matches) -> None:
    assert matches({"f|re": "b+c"}, {"f": "abbbcd"})
    assert not matches({"f|re": "^b"}, {"f": "ab"})


def test_flags_of_regular_expressions_mean_what_they_say(matches: Matches) -> None:
    assert not matches({"f|re": "^b$"}, {"f": "a\nb\nc"})
    assert matches({"f|re|m": "^b$"}, {"f": "a\nb\nc"})
    assert not matches({"f|re": "a.b"}, {"f": "a\nb"})
    assert matches({"f|re|s": "a.b"}, {"f": "a\nb"})
    assert matches({"f|re|i|m|s": "^B.c"}, {"f": "a\nb\nc"})


def test_a_regular_expression_that_needs_backtracking_is_rejected_with_its_reason(tmp_path: Path) -> None:
    assert "(?=" in reason(tmp_path, {"f|re": "a(?=b)"})


def test_a_catastrophic_regular_expression_is_answered_at_once(matches: Matches) -> None:
    assert not matches({"f|re": "^(a+)+$"}, {"f": "a" * 50_000 + "!"})


@pytest.mark.parametrize("dash", ["-", "/", "–", "—", "―"])
def test_windash_stands_for_five_dashes_at_word_starts(matches: Matches, dash: str) -> None:
    assert matches({"f|windash|contains": " -del-all"}, {"f": f"x.exe {dash}del-all"})
    assert not matches({"f|windash|contains": " -del-all"}, {"f": f"x.exe {dash}del/all"})


def test_windash_alternatives_stay_alternatives_under_all(matches: Matches) -> None:
    rule = {"f|windash|contains|all": [" -a", " /b"]}
    assert matches(rule, {"f": "x /a -b"})
    assert matches(rule, {"f": "x —a ―b"})
    assert not matches(rule, {"f": "x /a"})


@pytest.mark.parametrize("text", ["net user", "统方 query", "ß*"])
@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
@pytest.mark.parametrize("after", [b"", b"z", b"zz"])
@pytest.mark.parametrize(
    ("modifier", "codec", "mark"),
    [
        ("", "utf-8", b""),
        ("wide|", "utf-16-le", b""),
        ("utf16le|", "utf-16-le", b""),
        ("utf16be|", "utf-16-be", b""),
        ("utf16|", "utf-16-le", b"\xff\xfe"),
    ],
)
def test_base64offset_finds_the_text_at_every_alignment(
    matches: Matches, text: str, before: bytes, after: bytes, modifier: str, codec: str, mark: bytes
) -> None:
    encoded = b64encode(before + mark + text.encode(codec) + after).decode()
    value = text.replace("*", r"\*")
    assert matches({f"f|{modifier}base64offset|contains|cased": value}, {"f": encoded})
    assert not matches({f"f|{modifier}base64offset|contains|cased": value + "!!!"}, {"f": encoded})


def test_base64_is_the_whole_value(matches: Matches) -> None:
    assert matches({"f|base64": "net user"}, {"f": "bmV0IHVzZXI="})
    assert matches({"f|utf16le|base64": "net"}, {"f": "bgBlAHQA"})


@pytest.mark.parametrize(
    ("modifier", "codec", "mark"),
    [
        ("wide", "utf-16-le", ""),
        ("utf16le", "utf-16-le", ""),
        ("utf16be", "utf-16-be", ""),
        ("utf16", "utf-16-le", "ÿþ"),
    ],
)
def test_utf_16_alone_is_compared_byte_by_byte(matches: Matches, modifier: str, codec: str, mark: str) -> None:
    found = mark + "net".encode(codec).decode("latin-1")
    assert matches({f"f|{modifier}|contains": "net"}, {"f": f"x{found}y"})
    assert not matches({f"f|{modifier}|contains": "net"}, {"f": found[:-1]})
    assert not matches({f"f|{modifier}|contains": "net"}, {"f": "net"})


@pytest.mark.parametrize(
    ("network", "address", "expected"),
    [
        ("10.0.0.0/8", "10.255.1.2", True),
        ("10.0.0.0/8", "100.1.1.1", False),
        ("10.0.0.0/8", "::ffff:10.1.1.1", True),
        ("::ffff:10.0.0.0/104", "10.1.1.1", True),
        ("::/0", "::ffff:10.1.1.1", True),
        ("::/0", "10.1.1.1", False),
        ("2001:db8::/32", "2001:0DB8:0:0::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("10.0.0.0/8", "10.1.1.1.example.org", False),
        ("10.0.0.0/8", "", False),
    ],
)
def test_networks_hold_addresses_not_prefixes_of_text(
    matches: Matches, network: str, address: str, expected: bool
) -> None:
    assert matches({"f|cidr": network}, {"f": address}) is expected


@pytest.mark.parametrize("found", [4688, "4688", 4688.0, "4688.0"])
def test_a_number_matches_the_number_and_its_text(matches: Matches, found: object) -> None:
    assert matches({"f": 4688}, {"f": found})
    assert not matches({"f": 4689}, {"f": found})


@pytest.mark.parametrize("found", [0.1, "0.1", "0.10"])
def test_a_decimal_fraction_matches_the_number_and_its_text(matches: Matches, found: object) -> None:
    assert matches({"f": 0.1}, {"f": found})
    assert not matches({"f|gt": 0.1}, {"f": found})
    assert matches({"f|gte": 0.1}, {"f": found})


@pytest.mark.parametrize("found", [True, "0x1250", "4688 ", "４６８８", "4_688", None, "nan"])
def test_a_number_does_not_match_what_is_no_decimal_number(matches: Matches, found: object) -> None:
    assert not matches({"f": [1, 4688]}, {"f": found})


@pytest.mark.parametrize(
    ("modifier", "found", "expected"),
    [
        ("lt", 9, True),
        ("lt", "10", False),
        ("lte", "10", True),
        ("lte", "10.01", False),
        ("gt", "10.5", True),
        ("gt", "9", False),
        ("gte", 10, True),
        ("gte", "abc", False),
        ("gte", "9", False),
    ],
)
def test_comparisons_are_numeric_on_numbers_and_numeric_texts(
    matches: Matches, modifier: str, found: object, expected: bool
) -> None:
    assert matches({f"f|{modifier}": 10}, {"f": found}) is expected


def test_integers_above_2_to_the_53_keep_every_digit(matches: Matches) -> None:
    big = 2**53 + 1
    assert matches({"f": big}, {"f": big})
    assert matches({"f": big}, {"f": str(big)})
    assert not matches({"f": big}, {"f": 2**53})
    assert not matches({"f": big}, {"f": str(2**53)})
    assert not matches({"f|gt": 2**53}, {"f": 2**53})
    assert matches({"f|gt": 2**53}, {"f": str(big)})


def test_neq_is_none_of_the_values_and_true_without_the_field(matches: Matches) -> None:
    rule = {"f|neq": ["a", "b"]}
    assert not matches(rule, {"f": "a"})
    assert not matches(rule, {"f": "B"})
    assert matches(rule, {"f": "c"})
    assert matches(rule, {})


@pytest.mark.parametrize(
    ("doc", "exists", "null", "empty"),
    [
        ({}, False, True, False),
        ({"f": None}, True, True, False),
        ({"f": ""}, True, False, True),
        ({"f": "x"}, True, False, False),
    ],
)
def test_exists_null_and_empty_are_three_things(
    matches: Matches, doc: dict[str, object], exists: bool, null: bool, empty: bool
) -> None:
    assert matches({"f|exists": True}, doc) is exists
    assert matches({"f|exists": False}, doc) is not exists
    assert matches({"f": None}, doc) is null
    assert matches({"f": ""}, doc) is empty


def test_not_of_a_missing_field_is_true(matches: Matches) -> None:
    assert matches({"a": {"f": "x"}, "condition": "not a"}, {})
    assert matches({"a": {"f|contains": "x"}, "b": {"g": 1}, "condition": "b and not a"}, {"g": 1})


def test_keywords_are_searched_in_every_value_of_the_event(matches: Matches) -> None:
    rule = {"k": ["mimikatz", 4625], "condition": "k"}
    assert matches(rule, {"message": "ran MimiKatz.exe"})
    assert matches(rule, {"deep": {"er": [{"x": "mimikatz"}]}})
    assert matches(rule, {"winlog.event_id": 4625})
    assert not matches(rule, {"mimikatz": "a field's name is no value"})


def test_all_keywords_may_lie_in_different_fields(matches: Matches) -> None:
    rule = {"k": {"|all": ["alpha", "beta"]}, "condition": "k"}
    assert matches(rule, {"f": "alpha", "g": "beta"})
    assert not matches(rule, {"f": "alpha", "g": "gamma"})


def test_wildcards_work_inside_keywords(matches: Matches) -> None:
    assert matches({"k": ["al*ta"], "condition": "k"}, {"f": "so alpha beta it is"})


def test_any_member_of_a_list_is_enough(matches: Matches) -> None:
    assert matches({"f": "b"}, {"f": ["a", "b"]})
    assert not matches({"f": "c"}, {"f": ["a", "b"]})
    assert not matches({"f|neq": "a"}, {"f": ["a", "b"]})


def test_all_means_each_value_is_met_by_some_member(matches: Matches) -> None:
    rule = {"f|contains|all": ["pre", "drug"]}
    assert matches(rule, {"f": ["prescriber", "drug"]})
    assert not matches(rule, {"f": ["prescriber"]})


def test_the_literal_key_comes_before_the_path(matches: Matches) -> None:
    assert matches({"a.b": 1}, {"a.b": 1, "a": {"b": 2}})
    assert not matches({"a.b": 2}, {"a.b": 1, "a": {"b": 2}})
    assert matches({"a.b.c": 2}, {"a.b": {"c": 2}})


def test_a_field_may_hold_another_field(matches: Matches) -> None:
    assert matches({"n.x": "", "n.x.y|lt": 1}, {"n.x": {"x": "", "y": 0}})
    assert matches({"n.x": "b", "n.x.y": 0}, {"n.x": [{"x": "b"}, {"y": 0}]})
    assert not matches({"n.x": "b", "n.x.y": 0}, {"n.x": "b"})


def test_a_path_fans_out_over_lists_of_objects(matches: Matches) -> None:
    assert matches({"dns.answers.data": "10.1.1.1"}, {"dns": {"answers": [{"data": "a"}, {"data": "10.1.1.1"}]}})
    assert matches({"dns.answers.data": "b"}, {"dns.answers": [{"data": ["a", "b"]}]})


def test_field_names_are_stripped_of_spaces(matches: Matches) -> None:
    assert matches({" f ": "x"}, {"f": "x"})
    assert matches({" f |contains": "x"}, {"f": "axb"})


@pytest.mark.parametrize(
    ("part", "shanghai", "utc"),
    [("minute", 11, 11), ("hour", 2, 18), ("day", 2, 1), ("week", 10, 9), ("month", 3, 3), ("year", 2026, 2026)],
)
def test_parts_of_a_time_are_those_in_the_tenants_zone(tmp_path: Path, part: str, shanghai: int, utc: int) -> None:
    sunday_evening = event({"@timestamp": "2026-03-01T18:11:09.000Z"})
    ruleset = load(tmp_path, rule_document({f"@timestamp|{part}": shanghai}))
    assert ruleset.match(sunday_evening, ZoneInfo("Asia/Shanghai"))
    assert bool(ruleset.match(sunday_evening, ZoneInfo("UTC"))) is (shanghai == utc)


def test_parts_of_a_time_can_be_compared(matches: Matches) -> None:
    assert matches({"@timestamp|hour|gte": 10}, {"@timestamp": "2026-03-01T02:11:09.000Z"})
    assert not matches({"@timestamp|hour|gte": 11}, {"@timestamp": "2026-03-01T02:11:09.000Z"})
    assert not matches({"f|hour": 10}, {"f": "no time"})


def test_a_placeholder_without_values_rejects_the_rule(tmp_path: Path) -> None:
    assert "%servers%" in reason(tmp_path, {"f|expand": "%servers%"})


def test_a_field_reference_compares_two_fields(matches: Matches) -> None:
    assert matches({"f|fieldref": "g"}, {"f": "A", "g": "a"})
    assert matches({"f|fieldref": "g"}, {"f": 1, "g": "1"})
    assert not matches({"f|fieldref": "g"}, {"f": "a", "g": "b"})
    assert matches({"f|fieldref|neq": "g"}, {"f": "a", "g": "b"})
    assert matches({"f|fieldref|startswith": "g"}, {"f": "abc", "g": "ab"})
    assert matches({"f|fieldref|endswith": "g"}, {"f": "abc", "g": "bc"})
    assert matches({"f|fieldref|contains": "g"}, {"f": "abc", "g": "b"})
    assert not matches({"f|fieldref|endswith": "g"}, {"f": "abc", "g": "b"})


@pytest.mark.parametrize("doc", [{}, {"f": "a"}, {"g": "a"}, {"f": None, "g": None}])
def test_a_field_reference_with_a_missing_side_does_not_match(matches: Matches, doc: dict[str, object]) -> None:
    assert not matches({"f|fieldref": "g"}, doc)


def test_quantifiers_leave_out_names_that_start_with_an_underscore(matches: Matches) -> None:
    detections = {"selection_a": {"f": 1}, "selection_b": {"g": 2}, "_never": {"h": 3}}
    assert matches({**detections, "condition": "all of them"}, {"f": 1, "g": 2})
    assert not matches({**detections, "condition": "1 of them"}, {"h": 3})
    assert matches({**detections, "condition": "1 of selection_*"}, {"g": 2})
    assert not matches({**detections, "condition": "all of selection_*"}, {"g": 2})


@pytest.mark.parametrize("condition", ["1 of x*", "a and all of x*", "a or not 1 of x*", "not (all of x_*)"])
def test_a_quantifier_that_names_nothing_rejects_the_rule(tmp_path: Path, condition: str) -> None:
    assert "names no detection" in reason(tmp_path, {"a": {"f": 1}, "condition": condition})


@pytest.mark.parametrize(
    ("condition", "a", "b", "c", "expected"),
    [
        ("a or b and c", 1, 0, 0, True),
        ("b and c or a", 1, 0, 0, True),
        ("not a or b", 1, 1, 0, True),
        ("not a and b", 0, 0, 0, False),
        ("not (a or b)", 0, 1, 0, False),
        ("not a and not b", 0, 0, 0, True),
    ],
)
def test_not_binds_before_and_before_or(
    matches: Matches, condition: str, a: int, b: int, c: int, expected: bool
) -> None:
    detections = {name: {name: 1} for name in "abc"}
    assert matches({**detections, "condition": condition}, {"a": a, "b": b, "c": c}) is expected


def test_several_conditions_are_alternatives_and_one_match(tmp_path: Path) -> None:
    ruleset = load(tmp_path, rule_document({"a": {"f": 1}, "b": {"g": 1}, "condition": ["a", "b"]}))
    assert len(ruleset.match(event({"f": 1, "g": 1}))) == 1
    assert len(ruleset.match(event({"g": 1}))) == 1
    assert ruleset.match(event({"h": 1})) == []


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"product": "windows"}, True),
        ({"product": "Windows", "category": "process_creation"}, True),
        ({"product": "windows", "service": "sysmon"}, True),
        ({"category": "process_creation"}, True),
        ({"product": "linux"}, False),
        ({"product": "windows", "service": "security"}, False),
        ({"product": "windows", "category": "file_event"}, False),
    ],
)
def test_a_rule_applies_where_all_that_its_log_source_names_is_the_events(
    tmp_path: Path, named: dict[str, str], expected: bool
) -> None:
    ruleset = load(tmp_path, rule_document({"a.f": 1}, logsource=named))
    assert bool(ruleset.match(event({"a.f": 1}, LogSource("windows", "process_creation", "sysmon")))) is expected


def test_a_rule_on_registry_events_takes_in_every_kind_of_them(tmp_path: Path) -> None:
    ruleset = load(tmp_path, rule_document({"a.f": 1}, logsource={"product": "windows", "category": "registry_event"}))
    for category in ("registry_event", "registry_set", "registry_add", "registry_delete", "registry_rename"):
        assert ruleset.match(event({"a.f": 1}, LogSource("windows", category, "sysmon")))


FILTER = {
    "title": "Known",
    "logsource": {"product": "test"},
    "filter": {"rules": "any", "selection": {"user": "scanner"}, "condition": "not selection"},
}


@pytest.mark.parametrize("names", ["any", [rule_document({})["id"]]])
def test_a_filters_condition_must_hold_as_well(tmp_path: Path, names: object) -> None:
    own = {**FILTER, "filter": {**FILTER["filter"], "rules": names}}  # type: ignore[dict-item]
    ruleset = load(tmp_path, rule_document({"f": 1}), own)
    assert ruleset.rejected == []
    assert ruleset.match(event({"f": 1, "user": "alice"}))
    assert not ruleset.match(event({"f": 1, "user": "scanner"}))


def test_a_filters_selection_without_not_keeps_what_it_selects(tmp_path: Path) -> None:
    keep = {**FILTER, "filter": {**FILTER["filter"], "condition": "selection"}}  # type: ignore[dict-item]
    ruleset = load(tmp_path, rule_document({"f": 1}), keep)
    assert ruleset.match(event({"f": 1, "user": "scanner"}))
    assert not ruleset.match(event({"f": 1, "user": "alice"}))


def test_a_filter_leaves_rules_of_other_log_sources_alone(tmp_path: Path) -> None:
    other = {**rule_document({"f": 1}), "id": "0b1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b22", "logsource": {"product": "other"}}
    ruleset = load(tmp_path, rule_document({"f": 1}), FILTER, other)
    assert ruleset.match(event({"f": 1, "user": "scanner"}, LogSource("other")))


def test_a_match_names_the_fields_and_values_that_met_the_rule(tmp_path: Path) -> None:
    detections = {"a": {"f|contains": ["x", "y"], "g": 1}, "b": {"h": "z"}, "condition": "a and not b"}
    ruleset = load(tmp_path, rule_document(detections))
    (match,) = ruleset.match(event({"f": ["ax", "b", "cy"], "g": "1", "h": "no", "i": 1}))
    assert match.matched == {"f": ["ax", "cy"], "g": ["1"]}


def test_sigmahq_names_of_windows_fields_are_those_of_our_events(tmp_path: Path) -> None:
    detection = {"EventID": 1, "Image|endswith": r"\cmd.exe", "user.name": "a"}
    ruleset = load(tmp_path, rule_document(detection, logsource={"product": "windows"}))
    doc = {"winlog.event_id": 1, "winlog.event_data.Image": r"C:\cmd.exe", "user.name": "a"}
    assert ruleset.match(event(doc, LogSource("windows")))


def test_an_empty_ruleset_matches_nothing() -> None:
    assert Ruleset().match(event({"f": 1})) == []
