"""``wardwatch rules test``."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

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


def test_a_failure_names_the_event_and_the_part_of_the_condition_that_failed(folder: Path) -> None:
    tests_beside(folder, match=[{"user.name": "root"}, {"user.name": "alice"}], no_match=[{"user.name": "root"}])
    said = invoke(rules, "test", folder).stdout
    assert 'match 2: It does not match: selection `selection` failed: `user.name` is "alice"' in said
    assert 'no_match 1: It matches: selection `selection`: `user.name` is "root"' in said
    assert "  match 1:" not in said


def test_junit_has_a_suite_for_each_rule_and_a_case_for_each_event(folder: Path) -> None:
    tests_beside(folder, match=[{"user.name": "root"}, {"user.name": "a\x9b<lice"}], no_match=[{"user.name": "bob"}])
    (folder / "broken.yml").write_text("a: [")
    report = folder / "report.xml"
    assert invoke(rules, "test", "--junit", report, folder).exit_code == 1
    root = ElementTree.parse(report).getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "1", "1")
    suite, broken = root.findall("testsuite")
    assert [case.get("name") for case in suite] == ["match 1", "match 2", "no_match 1"]
    (failure,) = suite.iter("failure")
    assert "`user.name`" in str(failure.get("message"))
    assert str(failure.text).startswith("✗ ")
    (error,) = broken.iter("error")
    assert "broken.yml:1" in str(error.get("message"))


def test_junit_is_valid_by_the_schema_that_ci_servers_use(folder: Path) -> None:
    tests_beside(folder, match=[{"user.name": "root"}, {"user.name": "alice"}])
    report = folder / "report.xml"
    invoke(rules, "test", "--junit", report, folder)
    root = ElementTree.parse(report).getroot()
    assert root.tag == "testsuites"
    for suite in root:
        assert {"name", "tests", "failures", "errors"} <= set(suite.keys())
        assert int(suite.get("tests", "")) == len(suite)
        assert {case.tag for case in suite} == {"testcase"}
        assert all({"name", "classname"} <= set(case.keys()) for case in suite)
        assert {part.tag for case in suite for part in case} <= {"failure", "error", "skipped"}
