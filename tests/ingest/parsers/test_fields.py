"""Values as fields have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsers.fields import fill, mac_of, number_of, put, put_hash
from wardwatch.event import Document, encode


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("source.ip", "10.3.1.5", "10.3.1.5"),
        ("source.ip", "::ffff:10.3.1.5", "10.3.1.5"),
        ("source.ip", "his.example", None),
        ("source.nat.ip", "0.0.0.0", None),
        ("source.port", "443", 443),
        ("source.port", "https", None),
        ("source.bytes", 9.0, 9),
        ("source.bytes", "9" * 30, None),
        ("network.transport", "17", "udp"),
        ("network.transport", "TCP", "tcp"),
        ("source.mac", "0016.31ec.17c4", "00-16-31-EC-17-C4"),
        ("source.mac", "sw1", None),
        ("rule.name", "(null)", None),
        ("rule.name", 7, "7"),
        ("rule.name", {"a": 1}, None),
        ("tls.established", True, True),
        ("dns.answers.data", ["a", "", None, "b"], ["a", "b"]),
        ("user.name", "HOSP\\li.na", "li.na"),
        ("user.name", "host/PC-07", "host/PC-07"),
    ],
)
def test_a_value_has_its_fields_type_or_stays_out(name: str, value: object, kept: object) -> None:
    doc: Document = {}
    put(doc, name, value)
    assert doc.get(name) == kept


def test_of_two_values_for_a_field_the_first_name_wins() -> None:
    doc: Document = {}
    fill(doc, {"b": "second", "a": "first"}, {"a": "rule.name", "b": "rule.name", "c": "rule.id"})
    assert doc == {"rule.name": "first"}


@pytest.mark.parametrize(("digits", "name"), [(32, "md5"), (40, "sha1"), (64, "sha256")])
def test_a_hash_is_named_by_its_length(digits: int, name: str) -> None:
    doc: Document = {}
    put_hash(doc, "A" * digits)
    put_hash(doc, "x" * digits, "process")
    assert doc == {f"file.hash.{name}": "a" * digits}


@given(
    st.sampled_from(["source.ip", "source.port", "source.mac", "user.name", "rule.name", "event.severity"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_any_value_can_travel_or_stays_out(name: str, value: object) -> None:
    doc: Document = {}
    put(doc, name, value)
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return
    encode(doc)


def test_numbers_and_addresses_of_other_scripts_are_none() -> None:
    assert number_of("²") is None
    assert mac_of("００163１ec17c4") is None
