"""``wardwatch rules list`` and ``show``."""

from __future__ import annotations

from pathlib import Path

import orjson

from detections.cli import rules
from tests.detections.cli.running import invoke, written
from tests.detections.rules_under_test import RULE_ID


def test_list_shows_each_rule_and_json_is_one_object_a_line(folder: Path) -> None:
    assert "A rule" in invoke(rules, "list", folder).stdout
    (line,) = invoke(rules, "list", "--json", folder).stdout.splitlines()
    assert orjson.loads(line)["id"] == RULE_ID


def test_list_of_rejected_rules_says_where_and_why(folder: Path) -> None:
    (folder / "broken.yml").write_text("a: [")
    (line,) = invoke(rules, "list", "--rejected", "--json", folder).stdout.splitlines()
    assert orjson.loads(line)["file"].endswith("broken.yml")


def test_show_prints_the_rule_as_written(folder: Path) -> None:
    assert "user.name: root" in invoke(rules, "show", RULE_ID, folder).stdout


def test_a_correlation_is_listed_and_shown_as_other_rules_are(folder: Path) -> None:
    correlation = {"type": "event_count", "rules": [RULE_ID], "timespan": "5m", "condition": {"gte": 3}}
    identity = "11111111-1111-4111-8111-111111111111"
    (folder / "three.yml").write_text(written({"title": "Three", "id": identity, "correlation": correlation}))
    found = [orjson.loads(line) for line in invoke(rules, "list", "--json", folder).stdout.splitlines()]
    assert [(each["id"], each["logsource"]) for each in found] == [
        (RULE_ID, "linux//sshd"),
        (identity, "correlation: event_count"),
    ]
    assert "2 loaded" in invoke(rules, "list", folder).stdout
    assert "timespan: 5m" in invoke(rules, "show", identity, folder).stdout


def test_check_asks_a_correlation_for_texts_and_tests(folder: Path) -> None:
    correlation = {"type": "event_count", "rules": [RULE_ID], "timespan": "5m", "condition": {"gte": 3}}
    identity = "11111111-1111-4111-8111-111111111111"
    (folder / "three.yml").write_text(written({"title": "Three", "id": identity, "correlation": correlation}))
    found = [orjson.loads(line) for line in invoke(rules, "check", "--format", "json", folder).stdout.splitlines()]
    names = {each["name"] for each in found if each["file"].endswith("three.yml")}
    assert names == {"missing_field", "no_tests"}
