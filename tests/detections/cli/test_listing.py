"""``wardwatch rules list`` and ``show``."""

from __future__ import annotations

from pathlib import Path

import orjson

from detections.cli import rules
from tests.detections.cli.running import invoke
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
