"""Every source of the catalogue keeps the same promises: types, categories, times, documentation, sample, no crash."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from inspect import getdoc, getmodule
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.address import address
from ingest.catalogue import PEER, RECEIVED, events, index, page, type_of
from ingest.parsers import MAPPINGS, PARSERS, Parsed, Record, Site, parser
from ingest.scrub import scrub
from ingest.vault import HmacTokens
from tests.ingest.parsers.test_leaks import PLANTED
from wardwatch.errors import ParseError, ScrubError
from wardwatch.event import encode

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "reference" / "sources"
ECS = tomllib.loads(files("ingest").joinpath("ecs.toml").read_text("utf-8"))
REQUIRED = ("event.kind", "event.category", "event.type", "event.action", "event.module", "event.dataset")
WITH_OUTCOME = {"authentication", "database", "iam"}
LISTS = ("event.category", "event.type", "process.args", "related.", "tags")
BETWEEN = b" \t\r\n,[]\x00\x0b\x1c\xef\xbb\xbf"
TOKENS = HmacTokens(bytes(32))
everything = pytest.mark.parametrize("name", PARSERS)


@lru_cache(maxsize=128)
def parsed(name: str) -> tuple[Parsed, ...]:
    """Return the events of a source's sample."""
    return tuple(events(parser(name), parser(name).sample()))


def type_by_name(table: str) -> dict[str, str]:
    return {name: kind for kind, names in ECS[table].items() for name in names}


KNOWN = type_by_name("ecs") | type_by_name("own")
SETS = {name.partition(".")[0] for name in type_by_name("ecs") if "." in name}
STORED = {"ip": "keyword", "date": "keyword"}


def wrong_types(name: str, value: object) -> Iterator[str]:
    """Yield what is wrong with a field's value, by the schema."""
    kind = type_of(value)
    if name in KNOWN and kind.removesuffix("[]") != STORED.get(KNOWN[name], KNOWN[name]):
        yield f"{name} is {kind}, not {KNOWN[name]}"
    if name not in KNOWN and name.partition(".")[0] in SETS:
        yield f"{name} is not in ecs.toml"
    if name.startswith(LISTS) and not isinstance(value, list):
        yield f"{name} is no list"
    if KNOWN.get(name) == "ip" and address(str(value)) != value:
        yield f"{name} is no address"
    if kind == "object":
        yield f"{name} is {type(value).__name__}"


@everything
def test_its_entry_and_its_docstring_tell_what_it_reads_and_who_says_so(name: str) -> None:
    found = parser(name)
    assert found.title
    assert found.reads
    assert found.logsources
    doc = getdoc(getmodule(found.parse)) or ""
    assert re.search(r"Sources?:|RFC \d|PS3\.15|HL7 v2\.9", doc), "name the format's standard or manual"


@everything
def test_its_page_is_what_the_parser_says(name: str) -> None:
    assert (PAGES / f"{name}.md").read_text("utf-8") == page(parser(name)), "run make catalogue"


def test_the_index_lists_the_sources_and_no_page_is_left_over() -> None:
    assert (PAGES / "README.md").read_text("utf-8") == index(), "run make catalogue"
    assert {path.stem for path in PAGES.glob("*.md")} == {"README", *PARSERS}


@everything
def test_it_has_tests_of_its_own_and_a_case_among_the_leaks(name: str) -> None:
    assert name in MAPPINGS or Path(__file__).with_name(f"test_{name}.py").exists()  # a mapping has its tests in it
    assert name in {source for source, _ in PLANTED.values()}


@everything
def test_every_field_of_its_sample_has_the_type_of_the_schema(name: str) -> None:
    assert sorted({wrong for one in parsed(name) for pair in one.doc.items() for wrong in wrong_types(*pair)}) == []


def test_a_field_has_one_type_in_all_sources() -> None:
    found: dict[str, set[str]] = {}
    for name in PARSERS:
        for one in parsed(name):
            for field, value in one.doc.items():
                if value is not None and value != []:
                    found.setdefault(field, set()).add(type_of(value).removesuffix("[]"))
    assert {field: kinds for field, kinds in found.items() if len(kinds) > 1} == {}


@everything
def test_every_event_is_categorised_by_values_of_the_schema(name: str) -> None:
    for one in parsed(name):
        assert [field for field in REQUIRED if not one.doc.get(field)] == [], one.doc
        for field, allowed in ECS["values"].items():
            value = one.doc.get(field, [])
            assert {*([value] if isinstance(value, str) else value)} <= {*allowed}, (field, one.doc)
        if WITH_OUTCOME & {*one.doc["event.category"]}:
            assert "event.outcome" in one.doc, one.doc


@everything
def test_its_events_have_the_log_sources_it_declares(name: str) -> None:
    declared = parser(name).logsources
    for one in parsed(name):
        assert any(
            fnmatchcase(one.logsource.product, source.product)
            and fnmatchcase(one.logsource.category, source.category)
            and fnmatchcase(one.logsource.service, source.service)
            for source in declared
        ), one.logsource


@everything
def test_a_time_without_zone_is_the_hospitals(name: str) -> None:
    times = [[one.doc["@timestamp"] for one in read(name, Site(zone))] for zone in (UTC, ZoneInfo("Asia/Shanghai"))]
    for here, there in zip(*times, strict=True):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", here)
        assert here == there or here[:19] != there[:19]


def read(name: str, site: Site) -> Iterator[Parsed]:
    found = parser(name)
    for record in found.split(found.sample()):
        yield from found.parse(Record(record, peer=PEER, received=RECEIVED), site)


@everything
def test_splitting_its_sample_loses_no_byte(name: str) -> None:
    data = rest = parser(name).sample()
    for record in parser(name).split(data):
        before, found, rest = rest.partition(record)
        assert found
        assert before.strip(BETWEEN) == b""
    assert rest.strip(BETWEEN) == b""


@everything
@given(data=st.data())
def test_it_never_crashes_on_a_record_that_was_damaged(name: str, data: st.DataObject) -> None:
    records = list(parser(name).split(parser(name).sample()))
    record = bytearray(data.draw(st.sampled_from(records)))
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(record)))
        end = data.draw(st.integers(start, min(len(record), start + 40)))
        record[start:end] = data.draw(st.one_of(st.binary(max_size=12), st.sampled_from(HOSTILE)))
    assert_accounted(name, bytes(record))


@everything
@given(record=st.binary(max_size=300))
def test_it_never_crashes_on_any_bytes(name: str, record: bytes) -> None:
    assert_accounted(name, record)
    b"".join(parser(name).split(record))


HOSTILE = [b"\x00", b"\xff\xfe", b"=", b'"', b"\\", b",", b"{", b"}", b"[]", b"null", b"1e999", b"-1", b"9" * 30, b"\n"]


def assert_accounted(name: str, record: bytes) -> None:
    """Assert that a record becomes events that may leave, or is refused."""
    found = parser(name)
    with suppress(ParseError, ScrubError):
        for one in found.parse(Record(record, peer=PEER, received=RECEIVED), Site()):
            encode(scrub(one.doc, found.policy, TOKENS))
            assert [wrong for pair in one.doc.items() for wrong in wrong_types(*pair) if pair[1] is not None] == []
