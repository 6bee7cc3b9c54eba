"""Placeholders filled from lookup tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from detections.sigma import Ruleset, Vocabulary, placeholders
from tests.detections.rules_under_test import event, rule_document
from wardwatch.errors import RuleError, SettingsError

TABLES: dict[str, list[Any]] = {
    "servers": ["pacs01", "his*"],
    "ports": [104, 11112],
    "words": ["Alpha", "beta"],
    "none": [],
}


def load(folder: Path, *documents: object) -> Ruleset:
    for number, document in enumerate(documents):
        (folder / f"r{number}.yml").write_text(yaml.safe_dump(document))
    return Ruleset.load([folder], Vocabulary(placeholders=TABLES))


@pytest.mark.parametrize(
    ("detection", "met", "unmet"),
    [
        ({"f|expand": "%servers%"}, ["PACS01", "his-db"], ["pacs02", "%servers%"]),
        ({"f|expand": "%ports%"}, [104, "11112"], [1104]),
        ({"f|contains|expand": "x-%servers%"}, ["ax-pacs01b"], ["pacs01"]),
        ({"f|expand": "%words%-%ports%"}, ["alpha-104", "BETA-11112"], ["alpha-1"]),
        ({"f|expand|cased": "%words%"}, ["Alpha"], ["alpha"]),
        ({"f|contains|all|expand": ["%words%"]}, ["alpha and beta"], ["alpha"]),
        ({"f|re|expand": "^%words%$"}, ["Alpha"], ["alphabet", "ALPHA"]),
        ({"f|expand|neq": "%words%"}, ["gamma"], ["alpha", "beta"]),
    ],
)
def test_a_placeholder_stands_for_each_value_of_its_table(
    tmp_path: Path, detection: dict[str, Any], met: list[object], unmet: list[object]
) -> None:
    ruleset = load(tmp_path, rule_document(detection))
    assert ruleset.rejected == []
    assert [bool(ruleset.match(event({"f": value}))) for value in met] == [True] * len(met)
    assert [bool(ruleset.match(event({"f": value}))) for value in unmet] == [False] * len(unmet)


def test_a_percent_sign_without_expand_is_itself(tmp_path: Path) -> None:
    assert load(tmp_path, rule_document({"f": "%servers%"})).match(event({"f": "%servers%"}))


def test_keywords_have_placeholders_too(tmp_path: Path) -> None:
    ruleset = load(tmp_path, rule_document({"k": {"|expand": "%servers%"}, "condition": "k"}))
    assert ruleset.match(event({"message": "from pacs01 to"}))


@pytest.mark.parametrize("name", ["none", "unknown"])
def test_a_placeholder_without_values_rejects_its_rule_alone(tmp_path: Path, name: str) -> None:
    other = {**rule_document({"f|expand": "%servers%"}), "id": "0b1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b22"}
    ruleset = load(tmp_path, rule_document({"f|expand": f"%{name}%"}), other)
    assert [each.reason for each in ruleset.rejected] == [f"placeholder %{name}% has no values"]
    assert len(ruleset.rules) == 1


def test_a_filter_has_placeholders_too(tmp_path: Path) -> None:
    own = {
        "title": "Known servers",
        "logsource": {"product": "test"},
        "filter": {"rules": "any", "known": {"host|expand": "%servers%"}, "condition": "not known"},
    }
    ruleset = load(tmp_path, rule_document({"f": 1}), own)
    assert ruleset.match(event({"f": 1, "host": "x"}))
    assert not ruleset.match(event({"f": 1, "host": "pacs01"}))


def test_placeholders_that_multiply_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(yaml.safe_dump(rule_document({"f|expand": "%a%" * 12})))
    tables = Vocabulary(placeholders={"a": [str(number) for number in range(10)]})
    (rejected,) = Ruleset.load([tmp_path], tables).rejected
    assert "more than 20000 values" in rejected.reason


def test_tables_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tables.yml"
    path.write_text("servers: [pacs01, 7]\nempty: []\n")
    assert placeholders.read(path) == {"servers": ["pacs01", 7], "empty": []}


@pytest.mark.parametrize("text", ["- a", "a: b", "a: [{b: c}]", "a: [true]", "a: ["])
def test_a_file_that_is_no_table_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tables.yml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"tables\.yml"):
        placeholders.read(path)


def test_a_table_names_the_entry_that_is_wrong() -> None:
    with pytest.raises(RuleError, match="'hosts' is no list"):
        placeholders.table({"hosts": "pacs01"})
