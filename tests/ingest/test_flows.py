"""Decoding of flow exports, datagram by datagram."""

from __future__ import annotations

import struct

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import flows
from ingest.flows import HELD_BYTES, HELD_S, TEMPLATE_S, TEMPLATES, Decoder, FlowError

HALF_A_MINUTE = 30.0


def of_set(number: int, content: bytes) -> bytes:
    return struct.pack("!HH", number, len(content) + 4) + content


def v9(*sets: bytes, sequence: int = 1, domain: int = 7) -> bytes:
    return struct.pack("!HHIIII", 9, len(sets), 5_000, 1_772_302_269, sequence, domain) + b"".join(sets)


def ipfix(*sets: bytes, sequence: int = 0, domain: int = 7) -> bytes:
    content = b"".join(sets)
    return struct.pack("!HHIII", 10, 16 + len(content), 1_772_302_269, sequence, domain) + content


def template(number: int, *fields: tuple[int, int]) -> bytes:
    return struct.pack("!HH", number, len(fields)) + b"".join(struct.pack("!HH", *one) for one in fields)


BYTES_TO = template(256, (12, 4), (1, 4))
RECORD = bytes((10, 3, 1, 7)) + struct.pack("!I", 4210)


def test_the_example_of_rfc_7011_appendix_a_is_read() -> None:
    """A template of five fields and three records (RFC 7011, A.2.1 and A.4)."""
    fields = template(256, (8, 4), (12, 4), (15, 4), (2, 4), (1, 4))
    rows = ((12, 254, 5009, 5_344_385), (27, 23, 748, 388_934), (56, 65, 5, 6534))
    data = b"".join(
        bytes((192, 0, 2, last, 192, 0, 2, to, 192, 0, 2, 1)) + struct.pack("!II", packets, octets)
        for last, to, packets, octets in rows
    )
    found = Decoder().read(ipfix(of_set(2, fields), of_set(256, data)), "10.3.9.1", 0.0)
    assert [
        (one["sourceIPv4Address"], one["destinationIPv4Address"], one["packetDeltaCount"], one["octetDeltaCount"])
        for one in found
    ] == [(f"192.0.2.{last}", f"192.0.2.{to}", packets, octets) for last, to, packets, octets in rows]


def test_data_before_its_template_waits_for_it() -> None:
    decoder = Decoder()
    assert decoder.read(v9(of_set(256, RECORD)), "10.3.9.1", 0.0) == []
    assert decoder.expire(HALF_A_MINUTE) == []
    assert decoder.read(v9(of_set(0, BYTES_TO), sequence=2, domain=8), "10.3.9.1", HALF_A_MINUTE) == []  # of another
    assert decoder.read(v9(of_set(0, BYTES_TO), sequence=2), "10.3.9.2", HALF_A_MINUTE) == []  # of another exporter
    (flow,) = decoder.read(v9(of_set(0, BYTES_TO), sequence=2), "10.3.9.1", HALF_A_MINUTE)
    assert (flow["destinationIPv4Address"], flow["octetDeltaCount"], flow["sequence"]) == ("10.3.1.7", 4210, 1)
    assert (decoder.held_bytes, decoder.counts["lost_datagrams"]) == (0, 0)


def test_data_whose_template_never_comes_is_handed_back_readable() -> None:
    decoder = Decoder()
    decoder.read(v9(of_set(256, RECORD)), "10.3.9.1", 0.0)
    (held,) = decoder.expire(HELD_S + 1)
    again = Decoder()
    again.read(v9(of_set(0, BYTES_TO)), held.exporter, 0.0)
    assert len(again.read(held.message, held.exporter, 0.0)) == 1
    assert (decoder.held_bytes, decoder.counts["expired"], decoder.expire(1e9)) == (0, 1, [])


def test_held_data_that_does_not_fit_its_template_is_handed_back() -> None:
    decoder = Decoder()
    decoder.read(ipfix(of_set(256, b"\x09ab")), "10.3.9.1", 0.0)
    assert decoder.read(ipfix(of_set(2, template(256, (82, 0xFFFF)))), "10.3.9.1", 0.0) == []
    assert len(decoder.expire(0.0)) == 1


def test_what_waits_is_bounded() -> None:
    decoder = Decoder()
    for number in range(2_000):
        decoder.read(v9(of_set(300 + number % 500, bytes(20_000)), sequence=number), "10.3.9.1", 0.0)
        decoder.expire(0.0)
        assert decoder.held_bytes <= HELD_BYTES
    assert decoder.counts["expired"] > 1_000


def test_templates_and_exporters_are_bounded_and_the_newest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "DOMAINS", 4)
    decoder = Decoder()
    for number in range(TEMPLATES + 10):
        decoder.read(v9(of_set(0, template(256 + number, (12, 4), (1, 4))), sequence=number), "10.3.9.1", 0.0)
    assert decoder.read(v9(of_set(256, RECORD)), "10.3.9.1", 0.0) == []
    assert len(decoder.read(v9(of_set(256 + TEMPLATES + 9, RECORD)), "10.3.9.1", 0.0)) == 1
    for number in range(5):
        decoder.read(v9(of_set(0, BYTES_TO)), f"10.3.8.{number}", 0.0)
    assert decoder.read(v9(of_set(256, RECORD)), "10.3.8.0", 0.0) == []
    assert len(decoder.read(v9(of_set(256, RECORD)), "10.3.8.4", 0.0)) == 1


def test_a_template_that_nobody_repeats_expires() -> None:
    decoder = Decoder()
    decoder.read(v9(of_set(0, BYTES_TO)), "10.3.9.1", 0.0)
    assert len(decoder.read(v9(of_set(256, RECORD)), "10.3.9.1", TEMPLATE_S)) == 1
    assert decoder.read(v9(of_set(256, RECORD)), "10.3.9.1", TEMPLATE_S + 1) == []


def test_a_template_that_is_withdrawn_is_forgotten() -> None:
    decoder = Decoder()
    decoder.read(ipfix(of_set(2, BYTES_TO)), "10.3.9.1", 0.0)
    decoder.read(ipfix(of_set(2, struct.pack("!HH", 256, 0))), "10.3.9.1", 0.0)
    assert decoder.read(ipfix(of_set(256, RECORD)), "10.3.9.1", 0.0) == []


def test_fields_of_variable_length_and_of_enterprises_are_read_or_skipped() -> None:
    """Lengths of one and of three octets (RFC 7011, 7); an enterprise's element is skipped; a biflow's has its name."""
    fields = struct.pack("!HHHH", 256, 4, 82, 0xFFFF)
    fields += struct.pack("!HHI", 0x8000 | 17, 0xFFFF, 9) + struct.pack("!HHI", 0x8000 | 1, 3, 29305)
    fields += struct.pack("!HH", 12, 4)
    name = b"GigabitEthernet0/0/1"
    record = bytes((len(name),)) + name + b"\xff\x01\x00" + bytes(256) + b"\x01\x00\x00" + bytes((10, 3, 1, 7))
    found = Decoder().read(ipfix(of_set(2, fields), of_set(256, record * 2)), "10.3.9.1", 0.0)
    assert [one["interfaceName"] for one in found] == [name.decode()] * 2
    assert {(one["reverseOctetDeltaCount"], one["destinationIPv4Address"]) for one in found} == {(65_536, "10.3.1.7")}


def test_records_of_options_are_counted_and_no_flows() -> None:
    decoder = Decoder()
    options = struct.pack("!HHHHHHH", 300, 4, 4, 1, 4, 34, 4)
    assert decoder.read(v9(of_set(1, options), of_set(300, bytes(16))), "10.3.9.1", 0.0) == []
    assert (decoder.counts["options"], decoder.counts["flows"]) == (2, 0)


@pytest.mark.parametrize(
    ("sequences", "lost", "late", "restarts"),
    [
        ([1, 2, 3], 0, 0, 0),
        ([1, 2, 6, 7], 3, 0, 0),
        ([1, 3, 2, 4], 1, 1, 0),
        ([2**32 - 1, 0, 1], 0, 0, 0),
        ([5_000_000, 1, 2], 0, 0, 1),
    ],
)
def test_gaps_of_the_sequence_are_counted(sequences: list[int], lost: int, late: int, restarts: int) -> None:
    decoder = Decoder()
    for sequence in sequences:
        decoder.read(v9(of_set(0, BYTES_TO), sequence=sequence), "10.3.9.1", 0.0)
    assert [decoder.counts[name] for name in ("lost_datagrams", "late", "restarts")] == [lost, late, restarts]


def test_lost_flows_of_ipfix_are_counted_by_its_records() -> None:
    decoder = Decoder()
    decoder.read(ipfix(of_set(2, BYTES_TO), of_set(256, RECORD * 3), sequence=100), "10.3.9.1", 0.0)
    decoder.read(ipfix(of_set(256, RECORD), sequence=103), "10.3.9.1", 0.0)
    decoder.read(ipfix(of_set(256, RECORD * 2), sequence=114), "10.3.9.1", 0.0)
    assert decoder.counts["lost_flows"] == 10


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x01",
        b"\x00\x05\x00\x01" + bytes(20),
        v9()[:-1],
        v9(b"\x01\x00\x00\x00" + bytes(8)),  # a set of length 0: without end where it is believed
        v9(b"\x01\x00\x00\xff"),
        v9(b"\x01"),
        v9(of_set(0, template(256, (12, 0), (1, 0)))),  # records without octets: as many as one likes
        v9(of_set(0, template(256, (12, 0xFFFF)))),
        v9(of_set(0, struct.pack("!HH", 256, 0xFFFF))),
        v9(of_set(0, template(7, (12, 4)))),
        v9(of_set(1, struct.pack("!HH", 300, 4))),
        ipfix(of_set(2, struct.pack("!HHHH", 256, 1, 0x8001, 4))),
        ipfix() + b"\x00",
        ipfix(of_set(2, template(256, (82, 0xFFFF))), of_set(256, b"\xff\xff")),
    ],
)
def test_what_is_no_export_is_refused(data: bytes) -> None:
    with pytest.raises(FlowError):
        Decoder().read(data, "10.3.9.1", 0.0)


_part = st.one_of(
    st.binary(max_size=24),
    st.builds(of_set, st.sampled_from((0, 1, 2, 3, 256, 257)), st.binary(max_size=40)),
    st.builds(
        lambda number, fields: of_set(2, template(number, *fields)),
        st.integers(256, 258),
        st.lists(
            st.tuples(
                st.sampled_from((1, 8, 12, 22, 82, 150, 154, 160, 161)), st.sampled_from((0, 1, 3, 4, 8, 0xFFFF))
            ),
            max_size=4,
        ),
    ),
)


@given(st.lists(st.builds(lambda make, parts: make(*parts), st.sampled_from((v9, ipfix)), st.lists(_part, max_size=4))))
def test_any_datagrams_are_read_or_refused(datagrams: list[bytes]) -> None:
    decoder = Decoder()
    for data in datagrams:
        try:
            found = decoder.read(data, "10.3.9.1", 0.0)
        except FlowError:
            continue
        orjson.dumps(found)
        assert len(found) <= len(data) + decoder.held_bytes + sum(map(len, datagrams))
    decoder.expire(1e9)
    assert decoder.held_bytes == 0
