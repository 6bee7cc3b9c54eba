"""Basic encoding rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.snmp import ber
from ingest.snmp.ber import BerError, Reader


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_is_read_as_it_was_written(number: int) -> None:
    assert Reader(ber.integer(number)).integer() == number


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20), st.integers(0, 39))
def test_an_object_identifier_is_read_as_it_was_written(arcs: list[int], second: int) -> None:
    dotted = ".".join(map(str, (1, second, *arcs)))
    assert ber.object_of(Reader(ber.object_identifier(dotted)).octets(ber.OBJECT)) == dotted


def test_the_example_of_the_standard_is_read() -> None:
    assert ber.object_of(b"\x88\x37\x03") == "2.999.3"  # X.690, 8.19.5


@given(st.binary(max_size=40))
def test_any_octets_are_an_element_or_refused(data: bytes) -> None:
    reader = Reader(data)
    try:
        _, begin, end = reader.element()
    except BerError:
        return
    assert 2 <= begin <= end == reader.at <= len(data)


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x80", b"\x30\x85\0\0\0\0\0", b"\x30\x82\xff", b"\x02\x02\x01"])
def test_what_is_cut_or_of_no_definite_length_is_refused(data: bytes) -> None:
    with pytest.raises(BerError):
        Reader(data).element()


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x2b\x81", b"\x2b\x9f\xff\xff\xff\x7f", b"\x01" * 200])
def test_what_is_no_object_identifier_is_refused(content: bytes) -> None:
    with pytest.raises(BerError):
        ber.object_of(content)
