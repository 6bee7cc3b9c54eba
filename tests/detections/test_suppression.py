"""Suppressions meet what they name and nothing more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detections import matches, suppression
from detections.control.rows import SuppressionRow
from detections.matches import MatchRecord
from detections.sigma.rule import Match
from detections.sigma.ruleset import ZONE, Ruleset
from detections.sigma.view import View
from tests.detections.rules_under_test import RULE_ID, event, load, rule_document

END = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def match(tmp_path_factory: pytest.TempPathFactory) -> MatchRecord:
    own = {"group_by": ["user.id", "custom"]}
    ruleset: Ruleset = load(tmp_path_factory.mktemp("rules"), rule_document({"f": "bad"}, wardwatch=own))
    found = event(
        {"f": "bad", "user.id": "Müller", "custom": 7, "host.ip": ["10.0.0.1", "10.0.0.2"], "host.asset.clinical": True}
    )
    (met,) = ruleset.match(found)
    assert isinstance(met, Match)
    return matches.of_event(met, found, View(found.doc, ZONE))


def row(**scope: Any) -> SuppressionRow:
    return SuppressionRow(by="lin", reason="why", expires=END, **scope)


@pytest.mark.parametrize(
    ("scope", "meets"),
    [
        ({"rule": RULE_ID}, True),
        ({"rule": "another"}, False),
        ({"where": {"user.id": "mÜLLER"}}, True),
        ({"where": {"user.id": "Müll"}}, False),
        ({"where": {"user.id": "*"}}, False),
        ({"where": {"custom": "7"}}, True),
        ({"where": {"host.ip": "10.0.0.2"}}, True),
        ({"where": {"host.asset.clinical": "true"}}, True),
        ({"where": {"absent": "x"}}, False),
        ({"where": {"user.id": "Müller", "host.ip": "10.0.0.9"}}, False),
        ({"rule": "another", "where": {"user.id": "Müller"}}, False),
        ({"rule": RULE_ID, "where": {"user.id": "Müller"}}, True),
    ],
)
def test_a_suppression_meets_its_rule_and_every_value_it_names(
    match: MatchRecord, scope: dict[str, Any], meets: bool
) -> None:
    assert suppression.meets(row(**scope), match) is meets


@given(late=st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_an_expired_suppression_has_no_effect(match: MatchRecord, late: timedelta) -> None:
    made = suppression.workflow({"s1": row(rule=RULE_ID)}, match, END + late)
    assert (made is not None) == (late < timedelta(0))


def test_of_several_the_first_by_id_is_named(match: MatchRecord) -> None:
    rows = {"b": row(rule=RULE_ID), "a": row(rule=RULE_ID), "0": row(rule="another")}
    made = suppression.workflow(rows, match, END - timedelta(1))
    assert made is not None
    assert made["suppression_id"] == "a"
