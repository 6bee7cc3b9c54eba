"""The codec's limits and the envelope."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardwatch.errors import DecodeError
from wardwatch.event import MAX_BYTES, MAX_DEPTH, Document, Event, LogSource, decode, encode, event_id, from_record

_SCALARS = st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(-1e18, 1e18) | st.text()
_DOCUMENTS = st.dictionaries(st.text(), _SCALARS | st.lists(_SCALARS, max_size=5), max_size=8)

_PARTS = st.lists(st.text(alphabet="ab", max_size=3), max_size=3)


@given(_DOCUMENTS)
def test_every_document_within_the_limits_comes_back_as_json_reads_it(doc: Document) -> None:
    data = encode(doc)
    assert decode(data) == doc
    assert json.loads(data) == doc


@given(st.binary())
def test_any_bytes_are_a_document_or_refused(data: bytes) -> None:
    try:
        doc = decode(data)
    except DecodeError:
        return
    assert doc == json.loads(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"[1]", "a JSON object is expected, not list"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON|nested deeper"),
        (b'{"a":' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}", "'a': nested deeper than 8"),
        (b'{"a": 1180591620717411303424}', "'a': a number outside"),
        (b'{"a": 9223372036854775808}', "'a': a number outside"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": 1e999}', "not JSON|a number outside"),
        (b'{"a": "\\ud800"}', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b'{"a": "' + b"x" * MAX_BYTES + b'"}', "at most"),
    ],
)
def test_what_breaks_a_limit_is_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode(data)


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf"), 2**70, object(), "x" * MAX_BYTES])
def test_what_json_does_not_carry_is_not_encoded(value: object) -> None:
    with pytest.raises(DecodeError):
        encode({"a": value})


def test_an_event_survives_the_wire_and_takes_its_tenant_from_the_topic() -> None:
    doc = {"event.id": "1", "@timestamp": "2026-03-01T02:11:09.000Z"}
    received = datetime(2026, 3, 1, 2, 11, 10, tzinfo=UTC)
    event = Event(doc, "liar", "windows", LogSource("windows", "process_creation", "sysmon"), "x@1", received)
    read = from_record(encode(doc), event.headers(), "renai")
    assert read == Event(doc, "renai", "windows", LogSource("windows", "process_creation", "sysmon"), "x@1", received)


@given(
    st.lists(st.text(alphabet="ab", max_size=3), max_size=3), st.lists(st.text(alphabet="ab", max_size=3), max_size=3)
)
def test_ids_differ_exactly_where_the_parts_do(one: list[str], two: list[str]) -> None:
    assert (event_id("t", "s", *one) == event_id("t", "s", *two)) == (one == two)
