"""Rule collections: several rules in one file, and what they take over from each other."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError

from detections.sigma import Ruleset
from detections.sigma.collection import MAX_EXPANDED, expand
from detections.sigma.documents import YamlDocument
from tests.detections.rules_under_test import event, load, rule_document
from wardwatch.event import LogSource

OTHER_ID = "0b1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b22"
THIRD_ID = "0b1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b33"


def collection(*documents: object) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False)


def test_what_is_global_is_added_to_each_rule_until_the_reset(tmp_path: Path) -> None:
    common = {"action": "global", "title": "Common", "level": "high", "logsource": {"product": "test"}}
    first = {"id": OTHER_ID, "detection": {"a": {"f": 1}, "condition": "a"}}
    second = {"id": THIRD_ID, "detection": {"a": {"f": 2}, "condition": "a"}}
    ruleset = load(tmp_path, collection(common, first, second, {"action": "reset"}, rule_document({"f": 3})))
    assert ruleset.rejected == []
    assert [(rule.title, rule.severity.value) for rule in ruleset.rules] == [
        ("Common", "high"),
        ("Common", "high"),
        ("A rule", "medium"),
    ]
    assert [match.rule.id for match in ruleset.match(event({"f": 2}))] == [THIRD_ID]


def test_a_repetition_is_the_rule_before_it_with_what_it_says(tmp_path: Path) -> None:
    repeated = {"action": "repeat", "id": OTHER_ID, "logsource": {"product": "other"}}
    ruleset = load(tmp_path, collection(rule_document({"f": 1}), repeated))
    assert ruleset.rejected == []
    assert [match.rule.id for match in ruleset.match(event({"f": 1}, LogSource("other")))] == [OTHER_ID]


def test_filters_and_correlations_take_over_nothing() -> None:
    shared = YamlDocument({"action": "global", "level": "high"}, 1, "level: high")
    for name in ("filter", "correlation"):
        document = YamlDocument({name: {}}, 2, name)
        assert list(expand([shared, document])) == [document]


def test_a_rule_of_a_collection_is_shown_whole_and_its_version_follows_what_it_takes_over(tmp_path: Path) -> None:
    def loaded(level: str) -> Any:
        text = collection({"action": "global", "level": level}, rule_document({"f": 1}))
        return load(tmp_path, text).rules[0]

    assert yaml.safe_load(loaded("low").text)["level"] == "low"
    assert loaded("low").sigma.level.name == "LOW"
    assert loaded("low").version != loaded("high").version


def test_a_wrong_rule_of_a_collection_is_rejected_at_its_own_line(tmp_path: Path) -> None:
    text = collection({"action": "global", "level": "low"}, {**rule_document({"f": 1}), "id": "none"})
    (rejected,) = load(tmp_path, text).rejected
    assert text.splitlines()[rejected.line - 1] == "id: none"


def test_a_collection_that_grows_without_bound_is_rejected(tmp_path: Path) -> None:
    text = collection({"action": "global", "description": "x" * 100_000}) + "---\na: b\n" * (
        MAX_EXPANDED // 100_000 + 1
    )
    assert [each.reason for each in load(tmp_path, text).rejected] == ["a collection that grows too large"]


LEAVES = st.sampled_from(["x", "y", 1, None])
DETECTIONS = st.fixed_dictionaries(
    {"condition": st.sampled_from(["a", "b", "a or b"])},
    optional={name: st.dictionaries(st.sampled_from(["f", "g"]), LEAVES, min_size=1) for name in "ab"},
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["one", "two"]),
        "level": st.sampled_from(["low", "high"]),
        "logsource": st.dictionaries(st.sampled_from(["product", "category", "service"]), st.just("x"), min_size=1),
        "detection": DETECTIONS,
        "tags": st.lists(st.sampled_from(["attack.t1", "attack.t2"]), max_size=2),
    },
)
WHOLE = st.just(rule_document({"f": 1}))
DOCUMENTS = st.lists(
    st.tuples(WHOLE | PARTS, st.sampled_from([None, None, "global", "reset", "repeat"])), min_size=1, max_size=6
)


@given(parts=DOCUMENTS)
def test_invented_collections_are_the_rules_that_pysigma_reads(parts: list[tuple[dict[str, Any], str | None]]) -> None:
    actions = [action for _, action in parts if action != "reset"]
    assume(("global", "repeat") not in pairwise(actions))  # pySigma then changes what is global, by accident
    found = [{**part, **({"action": action} if action else {})} for part, action in parts]
    try:
        expected = [rule.to_dict() for rule in SigmaCollection.from_dicts([deepcopy(each) for each in found]).rules]
    except SigmaError:
        return  # what pySigma refuses is refused rule by rule here
    rules = expand(YamlDocument(value, 1, str(value)) for value in found)
    own = SigmaCollection.from_dicts([rule.value for rule in rules]).rules
    # pySigma keeps the word "repeat" in what it repeats
    assert [rule.to_dict() for rule in own] == [
        {name: value for name, value in rule.items() if name != "action"} for rule in expected
    ]


@pytest.mark.parametrize("action", ["global", "repeat"])
def test_an_action_on_nothing_is_no_crash(tmp_path: Path, action: str) -> None:
    path = tmp_path / "r.yml"
    path.write_text(f"action: {action}\n---\naction: reset\n")
    assert len(Ruleset.load([path]).rejected) == 1
