"""Every rule file ends up loaded, or rejected with its line and the reason."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detections.sigma import Rejected, Ruleset, RuleText, documents
from detections.sigma import expression as tree
from detections.sigma.loading import parse, read
from detections.sigma.rule import Related
from tests.detections.rules_under_test import RULE_ID, event, load, rule_document


def rejection(folder: Path, document: object) -> Rejected:
    ruleset = load(folder, document)
    assert ruleset.rules == []
    (rejected,) = ruleset.rejected
    return rejected


def test_all_rules_of_sigmahq_load_or_are_rejected_for_what_we_do_not_have(sigmahq: Ruleset) -> None:
    assert len(sigmahq.rules) + len(sigmahq.rejected) == 3754
    assert [each.reason for each in sigmahq.rejected] == ["placeholder %known_cdcs% has no values"] * 2


def test_a_folder_is_read_in_order_and_tests_beside_rules_are_not_rules(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yml").write_text(yaml.safe_dump(rule_document({"f": 1})))
    (tmp_path / "deep" / "a.test.yml").write_text("match: []")
    (tmp_path / "notes.txt").write_text("no rule")
    ruleset = Ruleset.load([tmp_path])
    assert [rule.file.name for rule in ruleset.rules] == ["a.yml"]
    assert ruleset.rejected == []


def test_a_bad_rule_does_not_stop_the_others(tmp_path: Path) -> None:
    ruleset = load(tmp_path, "a: [", rule_document({"f": 1}), {"title": 3})
    assert len(ruleset.rules) == 1
    assert len(ruleset.rejected) == 2


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: b\nc: [", 2, "not YAML"),
        ("a: &x b\nc: *x", 2, "aliases"),
        ("[" * 100, 1, "nested deeper than 64"),
        ("[" * 25_000, 1, "nested deeper than 64"),
        ("a: " + "x" * documents.MAX_BYTES, 1, "more than"),
        ("", 1, "holds no rule"),
        ("# only a comment", 1, "holds no rule"),
        ("---\n- a", 1, "a rule is a mapping, not a list"),
        ("action: global\ntitle: x", 1, "holds no rule"),
        ("---\ntitle: x\naction: repaet", 3, "unknown action 'repaet'"),
    ],
)
def test_a_file_that_is_no_rule_is_rejected_with_its_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    rejected = rejection(tmp_path, text)
    assert reason in rejected.reason
    assert rejected.line == line


def test_bytes_that_are_not_utf_8_are_rejected_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_bytes("title: a\n# 统方".encode("gbk"))
    (rejected,) = Ruleset.load([tmp_path]).rejected
    assert (rejected.line, rejected.reason) == (2, "not UTF-8")


def test_a_path_that_is_not_there_is_rejected(tmp_path: Path) -> None:
    (rejected,) = Ruleset.load([tmp_path / "missing.yml"]).rejected
    assert "can't be read" in rejected.reason


WRONG = """\
title: {title}
id: {id}
logsource: {logsource}
level: {level}
detection:
  selection:
    f{modifier}: {value}
  condition: {condition}
"""
RIGHT = {
    "title": "A rule",
    "id": RULE_ID,
    "logsource": "{product: test}",
    "level": "high",
    "modifier": "",
    "value": "x",
    "condition": "selection",
}


def test_the_form_of_the_wrong_rules_below_is_right(tmp_path: Path) -> None:
    assert load(tmp_path, WRONG.format(**RIGHT)).rejected == []


@pytest.mark.parametrize(
    ("part", "value", "line", "reason"),
    [
        ("id", "", 2, "needs an 'id'"),
        ("id", "not-a-uuid", 2, "UUID"),
        ("logsource", "{}", 3, "log source"),
        ("logsource", "text", 3, "log"),
        ("level", "urgent", 4, "urgent"),
        ("modifier", "|containz", 7, "containz"),
        ("modifier", "|re", 7, "(?="),
        ("condition", "selection and", 8, "Expected"),
        ("condition", "other", 8, "other"),
        ("condition", "1 of x*", 8, "1 of x*"),
        ("condition", "selection | count() > 5", 8, "pipe"),
    ],
)
def test_a_wrong_rule_is_rejected_at_the_line_that_is_wrong(
    tmp_path: Path, part: str, value: str, line: int, reason: str
) -> None:
    parts = RIGHT | {part: value} | ({"value": "'a(?=b)'"} if value == "|re" else {})
    rejected = rejection(tmp_path, WRONG.format(**parts))
    assert reason in rejected.reason
    assert rejected.line == line


@pytest.mark.parametrize("condition", ["(" * 100_000 + "a" + ")" * 100_000, "not " * 1000 + "a", "not " * 70 + "a"])
def test_a_condition_without_end_is_rejected(tmp_path: Path, condition: str) -> None:
    rejection(tmp_path, rule_document({"a": {"f": 1}, "condition": condition}))


def test_a_rule_names_the_rules_that_it_is_related_to(tmp_path: Path) -> None:
    other = "0b1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b22"
    (rule,) = load(tmp_path, rule_document({"f": 1}, related=[{"id": other, "type": "obsolete"}])).rules
    assert rule.card.related == [Related(other, "obsolete")]


@pytest.mark.parametrize(
    ("related", "reason"),
    [
        ([{"id": "none", "type": "derived"}], "UUID"),
        ([{"id": RULE_ID, "type": "cousin"}], "cousin"),
        ([{"id": RULE_ID}], "type"),
        ("text", "list"),
    ],
)
def test_a_relation_that_is_none_rejects_the_rule_at_its_line(tmp_path: Path, related: object, reason: str) -> None:
    rejected = rejection(tmp_path, rule_document({"f": 1}, related=related))
    assert reason in rejected.reason
    assert (tmp_path / "rule0.yml").read_text().splitlines()[rejected.line - 1].startswith("related:")


@pytest.mark.parametrize("status", ["stable", "test", "experimental", "deprecated", "unsupported"])
def test_a_rule_of_every_status_is_in_force_and_its_alerts_name_it(tmp_path: Path, status: str) -> None:
    ruleset = load(tmp_path, rule_document({"f": 1}, status=status))
    assert [match.rule.card.status for match in ruleset.match(event({"f": 1}))] == [status]


def test_an_id_can_be_used_once(tmp_path: Path) -> None:
    ruleset = load(tmp_path, rule_document({"f": 1}), rule_document({"f": 2}))
    assert len(ruleset.rules) == 1
    assert "rule0.yml" in ruleset.rejected[0].reason


def test_each_document_of_a_file_is_a_rule_with_its_own_line(tmp_path: Path) -> None:
    first = yaml.safe_dump(rule_document({"f": 1}))
    second = yaml.safe_dump({**rule_document({"f": 2}), "level": "urgent"}, sort_keys=False)
    ruleset = load(tmp_path, f"{first}---\n{second}")
    assert len(ruleset.rules) == 1
    lines = f"{first}---\n{second}".splitlines()
    assert lines[ruleset.rejected[0].line - 1] == "level: urgent"


def test_a_filter_that_can_not_be_evaluated_leaves_the_rule_in_force(tmp_path: Path) -> None:
    bad = {
        "title": "Bad",
        "logsource": {"product": "test"},
        "filter": {"rules": "any", "a": {"f|re": "a(?=b)"}, "condition": "not a"},
    }
    ruleset = load(tmp_path, rule_document({"f": 1}), bad)
    assert ruleset.match(event({"f": 1}))
    assert "(?=" in ruleset.rejected[0].reason


def test_a_filter_that_concerns_no_rule_is_reported(tmp_path: Path) -> None:
    lost = {
        "title": "Lost",
        "logsource": {"product": "test"},
        "filter": {"rules": ["nobody"], "a": {"f": 1}, "condition": "not a"},
    }
    assert "concerns no loaded rule" in load(tmp_path, rule_document({"f": 1}), lost).rejected[0].reason


@pytest.mark.parametrize(
    ("block", "named"),
    [
        ({"window": "soon"}, "window"),
        ({"window": "8d"}, "window"),
        ({"windwo": "1h"}, "windwo"),
        ({"group_by": "user.id"}, "group_by"),
        ({"title": {"fr": "x"}}, "title.fr"),
        ("text", ""),
    ],
)
def test_a_wrong_presentation_is_rejected_by_name(tmp_path: Path, block: object, named: str) -> None:
    assert named in rejection(tmp_path, rule_document({"f": 1}, wardwatch=block)).reason


def test_the_version_is_the_date_and_follows_the_content(tmp_path: Path) -> None:
    versions = {
        load(tmp_path, rule_document({"f": value}, date="2026-01-01", modified="2026-11-24")).rules[0].version
        for value in (1, 1, 2)
    }
    assert len(versions) == 2
    assert all(version.startswith("2026-11-24-") for version in versions)


@given(st.binary(max_size=300))
def test_any_bytes_are_documents_or_a_named_refusal(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_bytes(data)
    text = read(path)
    found = [text] if isinstance(text, Rejected) else list(parse(text))
    rejected = [each for each in found if isinstance(each, Rejected)]
    assert all(each.line >= 1 and each.reason for each in rejected)


_TREE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(detection=_TREE, logsource=_TREE, level=_TREE)
def test_anything_in_a_rules_place_is_loaded_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, detection: object, logsource: object, level: object
) -> None:
    document = {**rule_document({"f": 1}), "detection": detection, "logsource": logsource, "level": level}
    path = tmp_path_factory.getbasetemp() / "shape.yml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    ruleset = Ruleset.load([path])
    assert len(ruleset.rules) + len(ruleset.rejected) == 1


def test_a_rule_reads_the_same_from_a_file_and_from_a_text(tmp_path: Path) -> None:
    file = tmp_path / "rule.yml"
    file.write_text(yaml.safe_dump(rule_document({"f|contains": "x"})), "utf-8")
    (of_file,) = Ruleset.load([file]).rules
    (of_text,) = Ruleset.of([RuleText(file, file.read_text("utf-8"))]).rules
    assert of_file == of_text


def test_a_rule_of_a_tenant_holds_for_that_tenant_alone() -> None:
    text = yaml.safe_dump(rule_document({"f": 1}))
    for tenant, expected in (("", True), ("hospital_a", True), ("hospital_b", False)):
        assert bool(Ruleset.of([RuleText(Path("rule"), text, tenant)]).match(event({"f": 1}))) is expected


def test_a_condition_keeps_the_names_of_its_selections_and_what_the_rule_wrote() -> None:
    detection = {"a": {"f|contains|all": ["x", "y*z"]}, "b": ["word"], "condition": "a and not 1 of b*"}
    (rule,) = Ruleset.of([RuleText(Path("rule"), yaml.safe_dump(rule_document(detection)))]).rules
    written = "f|contains|all"
    both = tree.And(
        (tree.Test("f", "contains", "x", written=written), tree.Test("f", "like", "*y*z*", written=written))
    )
    word = tree.Test("", "contains", "word")
    assert rule.condition == tree.And((tree.Named("a", both), tree.Not(tree.Named("b", word))))
    assert msgspec.json.decode(msgspec.json.encode(rule.condition), type=tree.Expression) == rule.condition
