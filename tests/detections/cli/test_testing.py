"""``wardwatch rules test``."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from detections.cli import rules
from tests.detections.cli.running import invoke


def tests_beside(folder: Path, **tests: object) -> None:
    (folder / "root.test.yml").write_text(yaml.safe_dump(tests))


def test_rule_tests_pass_when_every_event_behaves(folder: Path) -> None:
    tests_beside(folder, match=[{"user.name": "root"}], no_match=[{"user.name": "alice"}])
    result = invoke(rules, "test", folder)
    assert (result.exit_code, "passed" in result.stdout) == (0, True)


@pytest.mark.parametrize(
    "tests",
    [
        {"match": [{"user.name": "alice"}]},
        {"no_match": [{"user.name": "root"}]},
        {"match": [{"user.name": "root", "logsource": {"product": "windows"}}]},
        {"match": []},
        {"mtach": []},
    ],
)
def test_rule_tests_fail_when_an_event_does_not_behave(folder: Path, tests: dict[str, object]) -> None:
    tests_beside(folder, **tests)
    assert invoke(rules, "test", folder).exit_code == 1


def test_a_rule_without_tests_fails(folder: Path) -> None:
    assert invoke(rules, "test", folder).exit_code == 1
