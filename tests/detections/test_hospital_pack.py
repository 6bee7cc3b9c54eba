"""Conformance of the hospital pack: every rule is complete, and matches what its tests say."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from sigma.collection import SigmaCollection

import detections
from detections import rule_tests, sequence_tests
from detections.sigma import Ruleset
from wardwatch.demo.day import EXPECTED

PACK = Path(detections.__file__).parent / "rules" / "hospital"
ALL = sorted(file for file in PACK.rglob("*.yml") if not file.name.endswith(".test.yml"))
CORRELATIONS = [file for file in ALL if file.parent.name == "correlation"]
FILES = [file for file in ALL if file not in CORRELATIONS]
SOURCES = {
    "hl7v2": ("hl7", "", "v2"),
    "dicom_audit": ("dicom", "", "audit"),
    "windows": ("windows", None, None),
    "linux": ("linux", "", None),
    "huawei_usg": ("huawei", "firewall", "usg"),
    "mysql_audit": ("mysql", "database", "audit"),
    "reveal": ("wardwatch", "", "reveal"),
}
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
HAN = re.compile("[\u4e00-\u9fff]")

each_rule = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def read(file: Path) -> dict[str, Any]:
    found = yaml.safe_load(file.read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def events(file: Path) -> dict[str, Any]:
    return read(file.with_name(f"{file.stem}.test.yml"))


def test_the_pack_holds_rules_for_every_source_and_the_simulated_day() -> None:
    assert {file.parent.name for file in FILES} == set(SOURCES)
    assert {rule for _, rule in EXPECTED} <= {file.stem for file in ALL}


def test_no_two_rules_share_an_id_or_a_title() -> None:
    rules = [read(file) for file in ALL]
    for name in ("id", "title"):
        assert len({rule[name] for rule in rules}) == len(rules)


def test_every_test_file_stands_beside_its_rule() -> None:
    tests = {file.name.removesuffix(".test.yml") for file in PACK.rglob("*.test.yml")}
    assert tests == {file.stem for file in ALL}


@pytest.mark.parametrize("file", ALL, ids=lambda file: file.stem)
def test_a_rule_says_all_that_people_need(file: Path) -> None:
    rule = read(file)
    assert (rule["author"], rule["status"]) == ("wardwatch", "test")
    assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", str(rule["date"]))
    assert rule["description"].strip()
    assert rule["references"]
    assert rule["falsepositives"]
    assert any(re.fullmatch(r"attack\.t\d{4}(\.\d{3})?", tag) for tag in rule["tags"])
    own = rule["wardwatch"]
    assert all(HAN.search(own[name]["zh"]) for name in ("title", "reason", "response"))
    assert all(own[name]["en"].strip() for name in ("reason", "response"))
    assert own["group_by"] if file in FILES else read(file)["correlation"]["group-by"]


@each_rule
def test_a_rule_is_of_its_folders_log_source(file: Path) -> None:
    source = read(file)["logsource"]
    for name, expected in zip(("product", "category", "service"), SOURCES[file.parent.name], strict=True):
        assert expected is None or source.get(name, "") == expected


@each_rule
def test_sigma_reads_the_rule_without_complaint(file: Path) -> None:
    (rule,) = SigmaCollection.from_yaml(file.read_text("utf-8")).rules
    assert rule.errors == []


@each_rule
def test_every_match_has_the_fields_that_the_texts_and_the_group_name(file: Path) -> None:
    own = read(file)["wardwatch"]
    texts = " ".join(own[name][language] for name in ("reason", "response") for language in ("en", "zh"))
    named = {*PLACEHOLDER.findall(texts), *own["group_by"]}
    # a variant may lack what its first event has: the first is the event as its source writes it
    assert named <= set(events(file)["match"][0])
    assert set(PLACEHOLDER.findall(own["reason"]["en"])) == set(PLACEHOLDER.findall(own["reason"]["zh"]))


@each_rule
def test_events_are_flat_and_each_that_must_not_match_is_another(file: Path) -> None:
    tests = events(file)
    assert set(tests) == {"logsource", "match", "no_match"}
    assert len(tests["no_match"]) >= 2
    for doc in (*tests["match"], *tests["no_match"]):
        assert not any(isinstance(value, dict) for value in doc.values())
    assert not [doc for doc in tests["no_match"] if doc in tests["match"]]


@each_rule
def test_the_engine_agrees_with_every_event(file: Path) -> None:
    ruleset = Ruleset.load([file])
    assert ruleset.rejected == []
    tested = rule_tests.run(ruleset.rules[0])
    assert [outcome.answer for outcome in tested.outcomes if not outcome.passed] == []
    assert {outcome.must_match for outcome in tested.outcomes} == {True, False}


def test_every_correlation_fires_on_its_sequences_and_on_no_other() -> None:
    ruleset = Ruleset.load([PACK])
    assert ruleset.rejected == []
    assert {each.file for each in ruleset.correlations} == set(CORRELATIONS)
    for correlation in ruleset.correlations:
        tested = sequence_tests.run(correlation, ruleset)
        assert [outcome.answer for outcome in tested.outcomes if not outcome.passed] == []
        assert {outcome.must_match for outcome in tested.outcomes} == {True, False}


def test_only_rules_that_correlations_alone_ask_for_are_silent() -> None:
    ruleset = Ruleset.load([PACK])
    silent = {rule.card.slug for rule in ruleset.rules if rule.id in ruleset.correlated.silent}
    assert silent == {"linux_ssh_login", "linux_ssh_login_failed", "dicom_study_transferred", "reveal_tokens"}
    assert {each.card.slug for each in ruleset.correlations if not each.correlation.alerts} == {
        "linux_ssh_logins_failed"
    }
