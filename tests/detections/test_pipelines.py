"""Rules' names of fields become those of our events: fast, and as pySigma itself does it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from sigma.rule import SigmaRule

from detections.control.live import of_files, vocabulary
from detections.sigma import Ruleset, Vocabulary, pipelines
from detections.sigma import expression as tree
from detections.sigma.condition import from_detections
from detections.sigma.pipelines import Pipelines, PipelineText
from detections.sigma.vocabulary import SHIPPED
from tests.detections.rules_under_test import event, load, rule_document
from wardwatch.errors import RuleError, SettingsError
from wardwatch.event import LogSource
from wardwatch.settings import MatcherSettings

SYSMON = LogSource("windows", "process_creation", "sysmon")
SECURITY = LogSource("windows", "process_creation", "security")


def test_names_are_those_that_pysigma_gives_on_every_rule_of_sigmahq(sigmahq: Ruleset) -> None:
    for rule in sigmahq.rules:
        own = deepcopy(rule.sigma)
        SHIPPED.pipelines.whole.apply(own)
        by_pysigma = from_detections(own.detection, lambda name: (name,))
        assert tree.fields(rule.condition) == tree.fields(by_pysigma), rule.file.name


@pytest.mark.parametrize(
    ("logsource", "name", "expected"),
    [
        ({"product": "windows"}, "EventID", ("winlog.event_id",)),
        ({"product": "windows"}, "winlog.task", ("winlog.task",)),
        ({"product": "windows", "service": "windefend"}, "ThreatName", ("winlog.event_data.Threat Name",)),
        ({"product": "windows", "service": "applocker"}, "FilePath", ("winlog.user_data.FilePath",)),
        ({"product": "windows", "category": "file_event"}, "Image", ("winlog.event_data.Image",)),
        ({"product": "linux", "category": "process_creation"}, "Image", ("process.executable",)),
        ({"category": "proxy"}, "c-uri", ("url.original", "url.path")),
        ({"product": "aws", "service": "cloudtrail"}, "eventName", ("event.action",)),
        ({"product": "hl7", "service": "v2"}, "hl7.trigger", ("hl7.trigger",)),
    ],
)
def test_a_field_is_named_by_its_log_source(logsource: dict[str, str], name: str, expected: tuple[str, ...]) -> None:
    assert SHIPPED.pipelines.rename(LogSource(**logsource))(name) == expected


def test_a_rule_on_process_creation_meets_sysmon_and_the_security_log(tmp_path: Path) -> None:
    detection = {"Image|endswith": r"\cmd.exe", "IntegrityLevel": ["High", "S-1-16-12288"]}
    rule = rule_document(detection, logsource={"product": "windows", "category": "process_creation"})
    ruleset = load(tmp_path, rule)
    started = {"process.executable": r"C:\cmd.exe"}
    assert ruleset.match(event({**started, "winlog.event_data.IntegrityLevel": "High"}, SYSMON))
    assert ruleset.match(event({**started, "winlog.event_data.MandatoryLabel": "S-1-16-12288"}, SECURITY))


def pipeline(*steps: dict[str, Any], **more: Any) -> str:
    return yaml.safe_dump({"name": "own", "transformations": list(steps), **more})


RENAME = {"type": "field_name_mapping", "mapping": {"who": "user.name"}}
TEST_ONLY = {"rule_conditions": [{"type": "logsource", "product": "test"}]}


def with_own(text: str) -> Vocabulary:
    return Vocabulary(pipelines=Pipelines([PipelineText(Path("own.yml"), text)]))


def loaded(folder: Path, document: dict[str, Any], text: str) -> Ruleset:
    (folder / "r.yml").write_text(yaml.safe_dump(document))
    return Ruleset.load([folder], with_own(text))


def test_a_pipeline_of_ones_own_renames_fields(tmp_path: Path) -> None:
    ruleset = loaded(tmp_path, rule_document({"who": "alice"}), pipeline(RENAME))
    assert ruleset.match(event({"user.name": "alice"}))


def test_a_field_mapped_to_two_is_met_by_either(tmp_path: Path) -> None:
    step = {"type": "field_name_mapping", "mapping": {"who": ["user.name", "user.id"]}}
    ruleset = loaded(tmp_path, rule_document({"who|contains|all": ["a", "e"]}), pipeline(step))
    assert ruleset.match(event({"user.id": "alice"}))
    assert not ruleset.match(event({"user.id": "al", "user.name": "e"}))


def test_steps_that_change_more_than_names_go_through_pysigma(tmp_path: Path) -> None:
    step = {"type": "add_condition", "conditions": {"user.name": "alice"}, **TEST_ONLY}
    ruleset = loaded(tmp_path, rule_document({"f": 1}), pipeline(RENAME, step))
    assert ruleset.match(event({"f": 1, "user.name": "alice"}))
    assert not ruleset.match(event({"f": 1, "user.name": "bob"}))


def test_a_step_that_refuses_a_rule_rejects_that_rule(tmp_path: Path) -> None:
    step = {"type": "rule_failure", "message": "no such data here", **TEST_ONLY}
    (rejected,) = loaded(tmp_path, rule_document({"f": 1}), pipeline(step)).rejected
    assert "no such data here" in rejected.reason


def test_pipelines_are_applied_in_order_of_their_priorities() -> None:
    first = pipeline({"type": "field_name_mapping", "mapping": {"a": "b"}}, priority=1)
    second = pipeline({"type": "field_name_mapping", "mapping": {"b": "c"}}, priority=2)
    found = Pipelines(PipelineText(Path("own.yml"), text) for text in (second, first))
    assert found.rename(LogSource("test"))("a") == ("c",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("transformations: [", "not YAML"),
        ("- a", "not a processing pipeline"),
        ("", "not a processing pipeline"),
        (pipeline({"type": "field_name_maping"}), "field_name_maping"),
        (pipeline({"type": "field_name_mapping"}), "mapping"),
        (pipeline({"type": "command_placeholders", "command": "id"}), "command_placeholders"),
        (pipeline({"type": "nest", "items": [{"type": "http_placeholders"}]}), "http_placeholders"),
        (pipeline(RENAME, finalizers=[{"type": "concat"}]), "no place in a pipeline"),
        ("nmae: x", "nmae"),
    ],
)
def test_a_wrong_pipeline_is_refused_with_its_file_and_reason(text: str, reason: str) -> None:
    with pytest.raises(RuleError) as refused:
        pipelines.parse(PipelineText(Path("own.yml"), text))
    assert reason in str(refused.value)
    assert "own.yml" in str(refused.value)


def test_pipelines_are_read_from_folders_and_files(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(pipeline(RENAME))
    (tmp_path / "a.yml").write_text(pipeline(RENAME))
    assert len(list(pipelines.read([tmp_path, tmp_path / "a.yml"]))) == 3


def test_a_rule_keeps_the_names_it_is_written_with(tmp_path: Path) -> None:
    (rule,) = loaded(tmp_path, rule_document({"who|contains": "a"}), pipeline(RENAME)).rules
    assert isinstance(rule.sigma, SigmaRule)
    assert [test.written for test in tree.tests(rule.condition)] == ["who|contains"]


def test_the_settings_name_pipelines_and_placeholders(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text(pipeline(RENAME))
    (tmp_path / "lists.yml").write_text("staff: [alice]")
    (tmp_path / "rule.yml").write_text(yaml.safe_dump(rule_document({"who|expand": "%staff%"})))
    own = MatcherSettings(
        rules=(tmp_path / "rule.yml",),
        shipped_rules=False,
        pipelines=(tmp_path / "own.yml",),
        placeholders=tmp_path / "lists.yml",
    )
    assert of_files(own).ruleset.match(event({"user.name": "alice"}))


def test_a_wrong_pipeline_in_the_settings_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text("transformations: [{type: nothing}]")
    with pytest.raises(SettingsError, match=r"own\.yml"):
        vocabulary(MatcherSettings(pipelines=(tmp_path,)))
