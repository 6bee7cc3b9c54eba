"""``wardwatch rules test``."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from detections.cli import rules
from tests.detections.cli.running import invoke, written
from tests.detections.rules_under_test import RULE_ID


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


THREE = {
    "title": "Three logins",
    "id": "11111111-1111-4111-8111-111111111111",
    "level": "high",
    "correlation": {
        "type": "event_count",
        "rules": [RULE_ID],
        "group-by": ["source.ip"],
        "timespan": "10m",
        "condition": {"gte": 3},
    },
}


def sequences_beside(folder: Path, **tests: object) -> None:
    (folder / "three.yml").write_text(written(THREE))
    logsource = {"product": "linux", "category": "", "service": "sshd"}
    (folder / "three.test.yml").write_text(written({"logsource": logsource, **tests}))
    tests_beside(folder, match=[{"user.name": "root"}])


def login(at: str, **more: object) -> dict[str, object]:
    return {"user.name": "root", "source.ip": "10.1.1.1", "at": at, **more}


def test_sequences_beside_a_correlation_say_when_it_fires(folder: Path) -> None:
    exact = {"user.name": "root", "source.ip": "10.1.1.1", "@timestamp": "2026-01-01T00:10:00.000Z"}
    sequences_beside(
        folder,
        match=[
            [login("0s"), login("10m"), login("90s")],
            [login("0s", times=3, every="5m")],
            [login("0s", times=2), exact],
        ],
        no_match=[
            [login("0s"), login("90s"), login("601s")],
            [login("0s", times=9, **{"source.ip": "10.1.1.{n}"})],
            [login("0s", times=5, **{"user.name": "alice"})],
        ],
    )
    report = folder / "report.xml"
    result = invoke(rules, "test", "--junit", report, folder)
    assert result.exit_code == 0, result.stdout
    suite = ElementTree.parse(report).getroot().findall("testsuite")[1]
    assert suite.get("name") == "Three logins"
    assert [case.get("name") for case in suite] == [f"{kind} {n}" for kind in ("match", "no_match") for n in (1, 2, 3)]


def test_a_sequence_that_fails_shows_each_event_with_the_rules_it_met(folder: Path) -> None:
    sequences_beside(folder, match=[[login("0s"), login("20m"), login("30s", **{"user.name": "alice"})]])
    result = invoke(rules, "test", folder)
    assert result.exit_code == 1
    assert "match 1: It does not fire: 2 of 3 events meet a rule." in result.stdout
    assert "2026-01-01T00:20:00.000Z: A rule" in result.stdout
    assert "2026-01-01T00:00:30.000Z: meets no rule" in result.stdout


def test_a_step_that_says_nothing_sensible_is_named(folder: Path) -> None:
    sequences_beside(folder, match=[[login("soon")]])
    result = invoke(rules, "test", folder)
    assert result.exit_code == 1
    assert "at: " in result.stdout
