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
from detections.sigma import Ruleset, RuleText
from detections.sigma.ruleset import ZONE
from ingest.parsers import Record, Site, parser
from tests.detections import oracle
from tests.detections.rules_under_test import event, rule_document
from wardwatch.event import Event

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


@settings(max_examples=400)
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


SHORT = st.text("aB*?", min_size=1, max_size=3)


@settings(max_examples=200)
@given(modifier=TEXT_MODIFIERS, value=SHORT, texts=st.lists(st.text("aAbB", max_size=4), min_size=8, max_size=8))
def test_short_texts_that_meet_often_are_answered_as_the_oracle_answers(
    modifier: str, value: str, texts: list[str]
) -> None:
    text = yaml.safe_dump(rule_document({f"f{modifier}": value}))
    ruleset = Ruleset.of([RuleText(Path("short.yml"), text)])
    for found in (event({"f": each}) for each in texts):
        assert bool(ruleset.match(found)) is oracle.matches(ruleset.rules[0].sigma, found.doc), found.doc["f"]


@settings(max_examples=300)
@given(a=SELECTIONS, b=SELECTIONS, condition=CONDITIONS, docs=st.lists(DOCUMENTS, min_size=1, max_size=5))
def test_a_record_decoded_as_far_as_rules_read_it_is_answered_as_the_whole_one(
    tmp_path_factory: pytest.TempPathFactory, a: Any, b: Any, condition: Any, docs: list[dict[str, Any]]
) -> None:
    text = yaml.safe_dump(rule_document({"a": a, "b": b, "condition": condition}), allow_unicode=True)
    ruleset = Ruleset.of([RuleText(Path("invented.yml"), text)])
    program = ruleset.program(event({}).logsource)
    for doc in docs:
        raw = orjson.dumps(event(doc).doc)
        candidates = program.candidates(raw)
        partial = program.decode(raw, candidates)
        assert partial.items() <= orjson.loads(raw).items()
        expected = [match.rule for match in ruleset.match(event(doc))]
        assert list(program.match(partial, ZONE, candidates)) == expected, doc


def parsed(data: bytes) -> Iterator[Event]:
    windows = parser("windows")
    for number, raw in enumerate(windows.split(data)):
        for found in windows.parse(Record(raw), Site()):
            yield Event({"event.id": str(number), **found.doc}, "hospital_a", "windows", found.logsource)


def windows_events(sample_data: Path, step: int) -> Iterator[Event]:
    with gzip.open(sample_data / "windows-events.ndjson.gz") as lines:
        yield from parsed(b"\n".join(line for number, line in enumerate(lines) if number % step == 0))


def test_sigmahq_rules_answer_real_windows_events_as_the_oracle_does(sigmahq: Ruleset, sample_data: Path) -> None:
    answered = 0
    for number, found in enumerate(windows_events(sample_data, step=400)):
        fired = {match.rule.id for match in sigmahq.match(found)}
        program = sigmahq.program(found.logsource)
        raw = orjson.dumps(found.doc)
        candidates = program.candidates(raw)
        assert {rule.id for rule in program.match(program.decode(raw, candidates), ZONE, candidates)} == fired
        for rule in list(sigmahq.candidates(found.logsource))[number % 7 :: 7]:
            expected = oracle.matches(rule.sigma, found.doc)
            assert (rule.id in fired) is expected, (rule.file.name, found.id)
            answered += 1
    assert answered > 1000


def test_a_bare_windows_document_tells_the_log_source_that_its_parser_gave_it(sample_data: Path) -> None:
    for found in windows_events(sample_data, step=400):
        assert of_document(found.doc) == found.logsource, (found.doc["winlog.channel"], found.doc["winlog.event_id"])


def test_sigmahq_regression_events_fire_the_rules_they_are_written_for(
    sigmahq: Ruleset, sample_data: Path, tmp_path: Path
) -> None:
    with tarfile.open(sample_data / "sigmahq-regression.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    loaded = {rule.id: rule for rule in sigmahq.rules}
    missed, fired = [], 0
    for info in sorted(tmp_path.rglob("info.yml")):
        about = yaml.safe_load(info.read_text("utf-8"))
        rule = loaded[about["rule_metadata"][0]["id"]]
        events = [found for file in info.parent.glob("*.json") for found in parsed(file.read_bytes())]
        hits = sum(any(match.rule is rule for match in sigmahq.match(found)) for found in events)
        fired += hits > 0
        if not hits:
            missed.append((rule.file.name, [found.logsource for found in events]))
    assert missed == []
    assert fired > 100
