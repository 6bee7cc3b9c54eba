"""The compiled engine against a naive evaluator of pySigma's tree, on invented rules and events and on real ones.

Of real events the gate takes a sample. All of them, with every rule that concerns them, and how many that is:
``WARDWATCH_WHOLE_MATRIX=1 pytest tests/detections/test_semantics_oracle.py --timeout 0 --junit-xml proof.xml``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detections.logsource import of_document
from detections.sigma import Ruleset
from detections.sigma.ruleset import PACK
from tests.detections import oracle
from tests.detections.answers import (
    WHOLE,
    Property,
    answered,
    clinical_events,
    parsed,
    regression_events,
    source_events,
    windows_events,
)
from tests.detections.differential import CHECKS
from wardwatch.event import Event


@pytest.mark.parametrize("name", CHECKS)
@settings(max_examples=200)
@given(data=st.data())
def test_invented_rules_are_answered_as_the_oracle_answers(name: str, data: st.DataObject) -> None:
    cases, check = CHECKS[name]
    check(*data.draw(cases))


def test_a_bare_windows_document_tells_the_log_source_that_its_parser_gave_it(sample_data: Path) -> None:
    for found in windows_events(sample_data):
        assert of_document(found.doc) == found.logsource, (found.doc["winlog.channel"], found.doc["winlog.event_id"])


@dataclass
class Agreement:
    """How often engine and oracle said the same."""

    events: int = 0
    answers: int = 0
    matches: int = 0


def agree(ruleset: Ruleset, events: Iterable[Event], step: int = 1) -> Agreement:
    """Fail where the engine answers an event in another way than the oracle, asked for every ``step``-th candidate."""
    found = Agreement()
    for number, each in enumerate(events):
        fired = answered(ruleset, each)
        for rule in list(ruleset.candidates(each.logsource))[number % step :: step]:
            assert (rule.id in fired) is oracle.matches(rule.text, each.doc), (rule.file.name, each.id)
            found.answers += 1
        found.events += 1
        found.matches += len(fired)
    return found


def test_sigmahq_rules_answer_real_windows_events_as_the_oracle_does(
    sigmahq: Ruleset, sample_data: Path, record_testsuite_property: Property
) -> None:
    agreement = agree(sigmahq, windows_events(sample_data, whole=WHOLE), step=1 if WHOLE else 7)
    record_testsuite_property("Windows events", agreement)
    assert agreement.answers > 1000
    assert agreement.matches > 0


def test_sigmahq_rules_answer_each_others_events_as_the_oracle_does(
    sigmahq: Ruleset, regression: Path, record_testsuite_property: Property
) -> None:
    agreement = agree(sigmahq, regression_events(regression, "json"), step=1 if WHOLE else 20)
    record_testsuite_property("regression events", agreement)
    assert agreement.answers > 5000
    assert agreement.matches > 150


def test_json_and_evtx_of_an_event_fire_the_same_rules(sigmahq: Ruleset, regression: Path) -> None:
    def fired(suffix: str) -> list[list[str]]:
        found = (answered(sigmahq, each) for each in regression_events(regression, suffix))
        return sorted(sorted(ids) for ids in found)

    assert fired("evtx") == fired("json")


def test_every_rule_answers_the_sample_of_every_source_as_the_oracle_does(
    sigmahq_files: Path, record_testsuite_property: Property
) -> None:
    agreement = agree(Ruleset.load([PACK, sigmahq_files]), source_events())
    record_testsuite_property("samples of sources", agreement)
    assert agreement.answers > 1000


def test_hospital_rules_answer_messages_of_other_projects_as_the_oracle_does(
    sample_data: Path, record_testsuite_property: Property
) -> None:
    agreement = agree(Ruleset.load([PACK]), clinical_events(sample_data))
    record_testsuite_property("HL7 and ATNA messages", agreement)
    assert agreement.answers > 100


def test_sigmahq_regression_events_fire_the_rules_they_are_written_for(sigmahq: Ruleset, regression: Path) -> None:
    loaded = {rule.id: rule for rule in sigmahq.rules}
    missed, fired = [], 0
    for info in sorted(regression.rglob("info.yml")):
        about = yaml.safe_load(info.read_text("utf-8"))
        rule = loaded[about["rule_metadata"][0]["id"]]
        events = [found for file in info.parent.glob("*.json") for found in parsed(file.read_bytes())]
        hits = sum(any(match.rule is rule for match in sigmahq.match(found)) for found in events)
        fired += hits > 0
        if not hits:
            missed.append((rule.file.name, [found.logsource for found in events]))
    assert missed == []
    assert fired > 100
