"""Engine against oracle on one invented rule and some events: what is drawn, and the comparison that fails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from detections.sigma import Ruleset, RuleText, Vocabulary
from tests.detections import oracle
from tests.detections.answers import answered
from tests.detections.invented import (
    CONDITIONS,
    DOCUMENTS,
    FIELDS,
    NAMES,
    ON_PATHS,
    PATHS,
    QUANTIFIED,
    SELECTIONS,
    TABLES,
    TESTS,
    VALUES,
    ZONES,
)
from tests.detections.rules_under_test import event, rule_document

Docs = list[dict[str, Any]]
Case = tuple[dict[str, Any], Docs, tzinfo]
"""The detection of a rule, documents for it, and the tenant's zone."""


def of_detection(detection: dict[str, Any]) -> tuple[str, Ruleset]:
    """Return the text of a rule, and a set of that rule alone, with what placeholders stand for."""
    text = yaml.safe_dump(rule_document(detection), allow_unicode=True)
    return text, Ruleset.of([RuleText(Path("invented.yml"), text)], Vocabulary(placeholders=TABLES))


def compare(detection: dict[str, Any], docs: Docs, zone: tzinfo) -> None:
    """Fail where the engine answers a document in another way than the oracle, or refuses the rule."""
    text, ruleset = of_detection(detection)
    assert ruleset.rejected == []
    trees = oracle.conditions(oracle.parse(text, TABLES))
    for found in map(event, docs):
        assert bool(answered(ruleset, found, zone)) is oracle.met(trees, found.doc, zone), found.doc


def compare_condition(detection: dict[str, Any], docs: Docs, zone: tzinfo) -> None:
    """Fail where a condition means something else than in Python; each selection asks for the field of its name."""
    _, ruleset = of_detection(detection)
    for doc in docs:
        try:
            expected = oracle.condition_holds(detection["condition"], {name: name in doc for name in NAMES})
        except LookupError:
            assert "names no detection" in ruleset.rejected[0].reason
        else:
            assert ruleset.rejected == []
            assert bool(answered(ruleset, event(doc), zone)) is expected


@st.composite
def _tests(draw: st.DrawFn, kind: str) -> Case:
    modifiers, value = draw(TESTS[kind])
    values = st.lists(VALUES[kind], min_size=6, max_size=6)
    docs = [{"f": one, "g": other} for one, other in zip(draw(values), draw(values), strict=True)]
    return {f"f{modifiers}": value}, docs, draw(st.sampled_from(ZONES))


@st.composite
def _rules(draw: st.DrawFn) -> Case:
    detection = {"a": draw(SELECTIONS), "b": draw(SELECTIONS), "condition": draw(CONDITIONS)}
    return detection, draw(st.lists(DOCUMENTS, min_size=1, max_size=5)), draw(st.sampled_from(ZONES))


@st.composite
def _paths(draw: st.DrawFn) -> Case:
    field, (modifier, value) = draw(st.sampled_from(FIELDS[2:])), draw(ON_PATHS)
    return {f"{field}{modifier}": value}, draw(st.lists(PATHS, min_size=6, max_size=6)), ZONES[0]


@st.composite
def _conditions(draw: st.DrawFn) -> Case:
    detection = {**{name: {name: 1} for name in NAMES}, "condition": draw(QUANTIFIED)}
    met = draw(st.lists(st.sets(st.sampled_from(NAMES)), min_size=1, max_size=3))
    return detection, [dict.fromkeys(sorted(names), 1) for names in met], ZONES[0]


Check = tuple[st.SearchStrategy[Case], Callable[[dict[str, Any], Docs, tzinfo], None]]
CHECKS: dict[str, Check] = {
    **{kind: (_tests(kind), compare) for kind in TESTS},
    "paths": (_paths(), compare),
    "conditions": (_conditions(), compare_condition),
    "rules": (_rules(), compare),
}
"""Each kind of test by itself, names that are paths, conditions, and whole rules on nested documents."""
