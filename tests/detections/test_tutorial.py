"""The rules and tests of the tutorial (docs/rules.md) do what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from detections.cli import rules
from tests.detections.cli.running import invoke

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
FILES = ("mysql_whole_bills.yml", "mysql_whole_bills.test.yml", "", "mysql_many_bills.yml", "mysql_many_bills.test.yml")


@pytest.fixture
def blocks(tmp_path: Path) -> list[str]:
    """The YAML of the page, in its order; what is a file is written to the folder."""
    found = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert len(found) == len(FILES)
    for name, text in zip(FILES, found, strict=True):
        if name:
            (tmp_path / name).write_text(text, "utf-8")
    return found


@pytest.mark.usefixtures("blocks")
def test_its_rules_pass_their_tests_and_have_the_one_finding_that_it_shows(tmp_path: Path) -> None:
    assert invoke(rules, "test", tmp_path).exit_code == 0
    (finding,) = invoke(rules, "check", tmp_path).stdout.splitlines()
    assert "sigma_escaped_wildcard" in finding
    assert finding.partition(": ")[2] in PAGE.read_text("utf-8")


def test_the_exception_that_it_adds_leaves_out_that_machine_alone(tmp_path: Path, blocks: list[str]) -> None:
    rule, tests = tmp_path / FILES[0], tmp_path / FILES[1]
    rule.write_text(blocks[0].replace("  condition: bills and every_column\n", blocks[2]), "utf-8")
    assert invoke(rules, "test", rule).exit_code == 0
    tests.write_text(
        blocks[1].replace("  - event.action", "  - source.asset.name: his-app-01\n    event.action"), "utf-8"
    )
    assert "match 1: It does not match: `application` excludes it" in invoke(rules, "test", rule).stdout
