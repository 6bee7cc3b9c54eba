"""Each lint finds what it is for, on its line, and nothing in a rule that is as it should be."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from detections.linting import LINTS, Draft, Finding, lint
from detections.sigma import Ruleset, documents
from tests.detections.rules_under_test import rule_document

GOOD = rule_document(
    {"selection": {"user.name": "root"}, "filter": {"source.ip": "10.3.9.14"}, "condition": "selection and not filter"},
    status="test",
    description="Root logs in.",
    author="wardwatch",
    date="2026-11-24",
    tags=["attack.persistence", "attack.t1078", "attack.g0016"],
    falsepositives=["Maintenance"],
    level="high",
    logsource={"product": "linux", "service": "sshd"},
    wardwatch={"title": {"zh": "root 登录"}, "reason": {"en": "root", "zh": "root"}},
)


def found(folder: Path, changes: dict[str, Any], *, tests: bool = True) -> list[Finding]:
    document = _merged(copy.deepcopy(GOOD), changes)
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    (folder / "rule.yml").write_text(text, "utf-8")
    if tests:
        (folder / "rule.test.yml").write_text("match: []")
    ruleset = Ruleset.load([folder / "rule.yml"])
    assert not ruleset.rejected
    (written,) = documents.split(text, folder / "rule.yml")
    return list(lint(Draft(written, ruleset.rules[0])))


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for name, value in changes.items():
        if value is None:
            del base[name]
        else:
            base[name] = _merged(base[name], value) if isinstance(value, dict) and name in base else value
    return base


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "missing_field": ({"level": None}, "title:"),
    "long_title": ({"title": "x" * 121}, "title:"),
    "constant_condition": ({"detection": {"condition": "(selection or not selection) or filter"}}, "condition:"),
    "only_wildcards": ({"detection": {"selection": {"process.name": "*"}}}, "process.name:"),
    "open_regex": ({"detection": {"selection": {"process.name|re": ".*sh"}}}, "process.name|re:"),
    "single_all": (
        {"detection": {"selection": {"user.name": ["a"], "host.name|contains|all": ["b"]}}},
        "host.name|contains|all:",
    ),
    "unknown_attack_tag": ({"tags": ["attack.t1078", "attack.t9999"]}, "attack.t9999"),
    "no_data": ({"detection": {"selection": {"dns.question.name": "a"}}}, "logsource:"),
    "missing_chinese": ({"wardwatch": {"reason": {"zh": ""}}}, "reason:"),
}


def test_a_rule_as_it_should_be_has_no_finding(tmp_path: Path) -> None:
    assert found(tmp_path, {}) == []


@pytest.mark.parametrize("name", [*CASES, "no_tests"])
def test_a_lint_finds_its_fault_on_its_line_and_no_other_does(name: str, tmp_path: Path) -> None:
    changes, where = CASES.get(name, ({}, "title:"))
    (finding,) = found(tmp_path, changes, tests=name != "no_tests")
    assert (finding.name, finding.severity) == (name, LINTS[name][0])
    assert where in (tmp_path / "rule.yml").read_text("utf-8").splitlines()[finding.line - 1]


def test_every_lint_has_a_case() -> None:
    assert {*CASES, "no_tests"} == set(LINTS)


@pytest.mark.parametrize(
    ("condition", "constant"),
    [
        ("selection and not selection", "always false"),
        ("filter and (selection or not selection)", ""),
        ("1 of them or not filter", "always true"),
        ("1 of them and not filter", ""),
        ("not (selection and filter) or all of them", "always true"),
    ],
)
def test_a_condition_that_depends_on_nothing_is_an_error(condition: str, constant: str, tmp_path: Path) -> None:
    said = [each.message for each in found(tmp_path, {"detection": {"condition": condition}})]
    assert any(constant in each for each in said) if constant else not any("always" in each for each in said)
