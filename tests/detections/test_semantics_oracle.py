"""The compiled engine against a naive evaluator of pySigma's tree, on invented rules and events and on real ones."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detections.logsource import of_document
from detections.sigma import Ruleset
from tests.detections import oracle
from tests.detections.rules_under_test import event, rule_document
from wardwatch.event import Event

DATA = Path(__file__).parents[3] / "shared" / "data"

FIELDS = ["f", "g", "n.x", "n.x.y"]
LETTERS = st.text(alphabet="aAbB*?\\.1ßẞäÄ\n-/ ", max_size=6)
NUMBERS = st.integers(-3, 12) | st.sampled_from([2**53, 2**53 + 1, 1.5])
SCALARS = (
    LETTERS | NUMBERS | st.booleans() | st.none() | st.sampled_from(["10.1.1.1", "::1", "1.5", "2026-01-01T09:30:00Z"])
)
DOCUMENTS = st.dictionaries(
    st.sampled_from([*FIELDS, "n"]),
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "x.y"]), inner)
    ),
    max_size=4,
)
TEXT_MODIFIERS = st.sampled_from(
    [
        "",
        "|contains",
        "|startswith",
        "|endswith",
        "|cased",
        "|contains|cased",
        "|contains|all",
        "|windash|contains",
        "|neq",
    ]
)


@st.composite
def items(draw: st.DrawFn) -> tuple[str, Any]:
    field = draw(st.sampled_from(FIELDS))
    kind = draw(st.sampled_from(["text", "number", "other", "re", "compare", "fieldref", "exists", "cidr"]))
    if kind == "text":
        return field + draw(TEXT_MODIFIERS), draw(LETTERS | st.lists(LETTERS, min_size=1, max_size=3))
    if kind == "number":
        return field + draw(st.sampled_from(["", "|neq"])), draw(NUMBERS | st.lists(NUMBERS, min_size=1, max_size=3))
    if kind == "re":
        return field + draw(st.sampled_from(["|re", "|re|i", "|re|s", "|re|m"])), draw(
            st.sampled_from(["a.b", "^a", "b$", "[ab]+"])
        )
    if kind == "compare":
        return field + draw(st.sampled_from(["|lt", "|lte", "|gt", "|gte"])), draw(st.integers(-3, 12))
    if kind == "fieldref":
        suffix = draw(st.sampled_from(["", "|startswith", "|endswith", "|contains", "|neq"]))
        return f"{field}|fieldref{suffix}", draw(st.sampled_from(["f", "g", "n.x"]))
    if kind == "exists":
        return f"{field}|exists", draw(st.booleans())
    if kind == "cidr":
        return f"{field}|cidr", draw(st.sampled_from(["10.0.0.0/8", "::/64", "192.168.0.0/16"]))
    return field, draw(st.booleans() | st.none() | st.just(""))


SELECTIONS = st.one_of(
    st.lists(items(), min_size=1, max_size=3).map(dict),
    st.lists(st.lists(items(), min_size=1, max_size=2).map(dict), min_size=1, max_size=2),
    st.lists(LETTERS.filter(bool), min_size=1, max_size=2),
)
CONDITIONS = st.sampled_from(
    ["a", "not a", "a and b", "a or b", "a and not b", "not (a or b)", "1 of them", "all of them", ["a", "b and not a"]]
)


@settings(max_examples=400, deadline=None)
@given(a=SELECTIONS, b=SELECTIONS, condition=CONDITIONS, docs=st.lists(DOCUMENTS, min_size=1, max_size=5))
def test_invented_rules_are_answered_as_the_oracle_answers(
    tmp_path_factory: pytest.TempPathFactory, a: Any, b: Any, condition: Any, docs: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "invented.yml"
    path.write_text(
        yaml.safe_dump(rule_document({"a": a, "b": b, "condition": condition}), allow_unicode=True), "utf-8"
    )
    ruleset = Ruleset.load([path])
    for rule in ruleset.rules:
        for doc in docs:
            found = event(doc)
            assert bool(ruleset.match(found)) is oracle.matches(rule.sigma, found.doc), doc


def windows_events() -> Iterator[Event]:
    with gzip.open(DATA / "windows-events.ndjson.gz") as lines:
        for number, line in enumerate(lines):
            if number % 500 == 0:
                raw = orjson.loads(line)
                doc = {f"winlog.event_data.{name}": value for name, value in raw.items()}
                head = {
                    "event.id": str(number),
                    "@timestamp": "2026-03-01T02:11:09.000Z",
                    "winlog.event_id": raw.get("EventID", ""),
                }
                head["winlog.channel"] = raw.get("Channel", "")
                whole = doc | head
                yield Event(whole, "hospital_a", "windows", of_document(whole))


def test_sigmahq_rules_answer_real_windows_events_as_the_oracle_does(tmp_path: Path) -> None:
    if not DATA.exists():
        pytest.skip("shared/data beside the checkout holds no SigmaHQ rules and Windows events")
    with tarfile.open(DATA / "sigmahq-rules.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    ruleset = Ruleset.load([tmp_path / "rules" / "windows"])
    answered = matched = 0
    for number, found in enumerate(windows_events()):
        fired = {match.rule.id for match in ruleset.match(found)}
        for rule in list(ruleset.candidates(found.logsource))[number % 3 :: 3]:
            expected = oracle.matches(rule.sigma, found.doc)
            assert (rule.id in fired) is expected, (rule.file.name, found.id)
            answered += 1
        matched += len(fired)
    assert answered > 1000
    assert matched > 0
