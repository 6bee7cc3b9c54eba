"""``wardwatch rules new``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from detections.cli import rules
from detections.drafting import EXAMPLES
from tests.detections.cli.running import invoke
from wardwatch.sources import reader


@pytest.mark.parametrize("source", EXAMPLES)
def test_a_new_rule_of_every_source_passes_check_and_test_as_it_is(source: str, tmp_path: Path) -> None:
    assert invoke(rules, "new", "brand_new_rule", "--source", source, "--in", tmp_path).exit_code == 0
    checked = invoke(rules, "check", "--strict", tmp_path)
    assert (checked.exit_code, checked.stdout) == (0, "")
    assert invoke(rules, "test", tmp_path).exit_code == 0


def test_every_source_of_the_shipped_pack_has_an_example() -> None:
    assert set(EXAMPLES) <= set(reader().SOURCES)


def test_the_flags_are_in_the_rule(tmp_path: Path) -> None:
    flags = ("--field", "user.name", "--value", "backup: yes", "--level", "low", "--title", "T", "--title-zh", "标题")
    invoke(rules, "new", "brand_new_rule", "--source", "linux", *flags, "--author", "me", "--in", tmp_path)
    rule = yaml.safe_load((tmp_path / "brand_new_rule.yml").read_text("utf-8"))
    assert (rule["title"], rule["wardwatch"]["title"]["zh"], rule["level"], rule["author"]) == (
        "T",
        "标题",
        "low",
        "me",
    )
    assert list(rule["detection"]["selection"]) == ["user.name"]
    assert invoke(rules, "test", tmp_path).exit_code == 0


def test_a_file_that_exists_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "brand_new_rule.yml").write_text("mine")
    assert invoke(rules, "new", "brand_new_rule", "--source", "linux", "--in", tmp_path).exit_code == 2
    assert (tmp_path / "brand_new_rule.yml").read_text() == "mine"


@pytest.mark.parametrize("arguments", [("../escape_the_folder",), ("short",), ("good_name_here", "--source", "fax")])
def test_a_wrong_name_or_source_is_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert invoke(rules, "new", *arguments, "--in", tmp_path).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_it_asks_for_what_is_not_given(tmp_path: Path) -> None:
    mine, theirs = os.openpty()
    program = [sys.executable, "-m", "wardwatch", "rules", "new", "brand_new_rule", "--in", str(tmp_path)]
    with subprocess.Popen(program, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.write(mine, b"mysql_audit\ndb.export\nTables copied\n\n\nteam\n")
        process.communicate(timeout=60)
    rule = yaml.safe_load((tmp_path / "brand_new_rule.yml").read_text("utf-8"))
    assert (rule["title"], rule["author"], rule["logsource"]["product"]) == ("Tables copied", "team", "mysql")
    assert rule["detection"]["selection"] == {"db.export": True}
