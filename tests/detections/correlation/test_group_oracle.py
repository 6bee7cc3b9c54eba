"""Groups against a naive evaluator that reads the whole history again, on invented correlations and histories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.correlations import SigmaCorrelationRule

from detections.correlation import group as groups
from detections.correlation.group import Arrived, Firing, Group
from detections.correlation.measures import Entry
from detections.correlation.rule import Correlation
from detections.sigma import Ruleset, RuleText
from tests.detections.correlation import oracle
from tests.detections.correlation.oracle import Fired, Happened

NAMES = ("first", "second", "third")
IDS = {name: f"00000000-0000-4000-8000-00000000000{place}" for place, name in enumerate(NAMES)}
OPERATORS = st.sampled_from(["lt", "lte", "gt", "gte", "eq", "neq"])
SPAN_S = 10
NUMBERS = st.sampled_from(["0", "1", "2", "-3", "0.1", "2.5", "1e2", "9007199254740993"])
CONDITIONS = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: (
        inner.map("not ({})".format)
        | st.tuples(inner, st.sampled_from(["and", "or"]), inner).map("({0[0]} {0[1]} {0[2]})".format)
    ),
    max_leaves=5,
)


@st.composite
def correlations(draw: st.DrawFn) -> dict[str, Any]:
    """Return a correlation as it stands in YAML."""
    kind = draw(
        st.sampled_from(["event_count", "value_count", "value_sum", "value_avg", "value_percentile", "value_median"])
        | st.sampled_from(["temporal", "temporal_ordered"])
    )
    own: dict[str, Any] = {"type": kind, "timespan": f"{SPAN_S}s", "group-by": ["host.name"]}
    if kind.startswith("temporal") and draw(st.booleans()):
        return own | {"condition": draw(CONDITIONS)}
    own["rules"] = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    if kind == "temporal_ordered":
        return own
    condition: dict[str, Any] = {draw(OPERATORS): draw(st.integers(-2, 5))}
    if kind.startswith("value"):
        condition["field"] = "v"
    if kind == "value_percentile":
        condition["percentile"] = draw(st.integers(0, 100))
    return own | {"condition": condition}


@st.composite
def histories(draw: st.DrawFn) -> list[Happened]:
    """Return matches in any order; many lie exactly at the edge of a window."""
    ids = draw(st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=14))
    moments = st.builds(lambda s, ms: s * 1000 + ms, st.integers(-12, 45), st.sampled_from([0, 0, 0, 1, -1]))
    met = st.frozensets(st.sampled_from(NAMES), min_size=1)
    values = st.lists(NUMBERS, min_size=1, max_size=3, unique=True).map(tuple)
    return [Happened(draw(moments), each, draw(met), draw(st.sampled_from("xy")), draw(values)) for each in ids]


def loaded(own: dict[str, Any]) -> tuple[Correlation, SigmaCorrelationRule]:
    """Return a correlation over three plain rules, as the engine and as pySigma read it."""
    plain = [
        {
            "title": name,
            "name": name,
            "id": identity,
            "logsource": {"product": "test"},
            "detection": {"selection": {"met": name}, "condition": "selection"},
        }
        for name, identity in IDS.items()
    ]
    above = {"title": "Above", "id": "00000000-0000-4000-8000-0000000000ff", "correlation": own}
    ruleset = Ruleset.of([RuleText(Path("rules.yml"), yaml.safe_dump_all([*plain, above]))])
    assert ruleset.rejected == []
    return ruleset.correlated.correlations[0], SigmaCorrelationRule.from_dict(above)


def entry(match: Happened, correlation: Correlation) -> Entry:
    sources = [place for place, source in enumerate(correlation.sources) if source.title in match.rules]
    return Entry(match.at_ms, match.id, tuple(sources), match.values, "index")


def said(firing: Firing) -> Fired:
    """Return a firing in the oracle's words."""
    return Fired(
        firing.last[:2], firing.opened_ms, firing.first, tuple(each[:2] for each in firing.evidence), firing.value
    )


def run(correlation: Correlation, batches: Sequence[Sequence[Happened]], history: Sequence[Happened]) -> list[Fired]:
    """Feed one group batch by batch; after each, evaluate as far as nothing is missing."""
    group = Group(correlation, "hospital_a", ("x",))
    missing = {each.place for each in history}
    fired: list[Fired] = []
    for batch in batches:
        for match in batch:
            known = match.place not in missing
            assert (group.take(entry(match, correlation), "test", b"{}") is Arrived.TAKEN) != known
            missing.discard(match.place)
        until = min(missing, default=(2**62, ""))
        complete = [each.place for each in history if each.place < until]
        fired += map(said, group.evaluate(max(complete))) if complete else []
    return fired


@st.composite
def deliveries(draw: st.DrawFn, history: Sequence[Happened]) -> list[list[Happened]]:
    """Return the matches in any order, some of them again, cut into batches."""
    again = draw(st.lists(st.sampled_from(history), max_size=4)) if history else []
    shuffled = draw(st.permutations([*history, *again]))
    cuts = draw(st.lists(st.integers(0, len(shuffled)), max_size=4).map(sorted))
    return [shuffled[start:end] for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]


@pytest.mark.parametrize("held", [10_000, 3])
def test_a_group_fires_as_the_whole_history_says(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "HELD", held)

    @settings(max_examples=300)
    @given(data=st.data(), own=correlations(), history=histories())
    def check(data: st.DataObject, own: dict[str, Any], history: list[Happened]) -> None:
        correlation, sigma = loaded(own)
        listed = {source.title for source in correlation.sources}
        for group in "xy":
            concerned = [each for each in history if each.group == group and each.rules & listed]
            seen = [Happened(each.at_ms, each.id, each.rules & listed, group, each.values) for each in concerned]
            expected = oracle.fired(sigma, seen, held)
            assert run(correlation, data.draw(deliveries(seen)), seen) == expected

    check()
