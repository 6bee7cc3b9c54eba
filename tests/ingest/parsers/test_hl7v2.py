from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import hl7  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsers import Record, Site
from ingest.parsers.hl7v2 import MAX_BYTES, PARSER, parse, split
from tests.ingest.parsers.samples import fixture, samples
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource, encode

SITE = Site()
RECEIVED = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
MSH = "MSH|^~\\&|HIS|H1|LIS|H1|20260301021109||{kind}|1|P|2.5"


def _doc(data: bytes | str, site: Site = SITE) -> Document:
    record = Record(data.encode() if isinstance(data, str) else data, peer="10.3.1.5", received=RECEIVED)
    (parsed,) = parse(record, site)
    assert parsed.logsource == LogSource("hl7", "", "v2")
    return parsed.doc


def _message(kind: str, *segments: str) -> Document:
    return _doc("\r".join([MSH.format(kind=kind), *segments]))


def test_an_update_of_a_patient_becomes_a_database_change_with_its_context() -> None:
    assert _doc(fixture("hl7v2_adt_a08.hl7")) == {
        "@timestamp": "2026-02-28T18:11:09.000Z",  # 02:11:09 in Shanghai
        "ecs.version": "8.17.0",
        "event.kind": "event",
        "event.dataset": "hl7.v2",
        "event.module": "hl7",
        "event.category": ["database"],
        "event.type": ["change"],
        "event.action": "hl7-adt-a08",
        "event.outcome": "unknown",
        "source.ip": "10.3.1.5",
        "user.id": "10023",
        "hl7.message_type": "ADT",
        "hl7.trigger": "A08",
        "hl7.sending_app": "HIS",
        "hl7.sending_facility": "H1",
        "hl7.receiving_app": "LIS",
        "hl7.receiving_facility": "H1",
        "hl7.control_id": "MSG00001",
        "hl7.processing_id": "P",
        "hl7.version": "2.5",
        "hl7.event_time": "2026-02-28T18:11:08.000Z",
        "hl7.segment_count": 7,
        "hl7.observation_count": 1,
        "hl7.observation_status": ["F"],
        "hospital.patient.id_token": "MR204871",
        "hospital.patient.vip": True,
        "hospital.encounter.id_token": "V88231004",
        "hospital.department.name": "心内科",
    }


def test_custom_separators_escapes_and_a_zone_of_the_message_are_honoured() -> None:
    doc = _doc(fixture("hl7v2_separators.hl7"))
    assert (doc["hl7.message_type"], doc["hl7.trigger"], doc["event.type"]) == ("ORU", "R01", ["creation"])
    assert doc["hl7.sending_app"] == "LIS"
    assert doc["hl7.control_id"] == "A|7"
    assert doc["@timestamp"] == "2026-03-01T01:11:09.500Z"
    assert doc["hospital.patient.id_token"] == "MR900"  # of type MR, though it comes second
    assert doc["hospital.order.id_token"] == "PL77"
    assert doc["hl7.observation_status"] == ["F", "P"]
    assert doc["hospital.patient.vip"] is False


@pytest.mark.parametrize("field", ["A7~B8", "A7^B8", "A7&B8", "A7&B8^C9~D0"])
def test_a_field_is_read_to_its_first_part_as_an_independent_parser_does(field: str) -> None:
    text = f"MSH|^~\\&|HIS|H1|LIS|H1|20260301021109||ADT^A08|{field}|P|2.5"
    oracle = hl7.parse(text).segment("MSH")[10]
    while not isinstance(oracle, str):
        oracle = oracle[0]
    assert _doc(text)["hl7.control_id"] == oracle == "A7"


def test_of_segments_of_one_name_the_first_is_read() -> None:
    doc = _message("ADT^A08", "PID|1||MR1^^^H1^MR", "PID|2||MR2^^^H1^MR")
    assert doc["hospital.patient.id_token"] == "MR1"


def test_gbk_as_msh_18_declares_is_read_even_where_a_character_holds_a_separators_byte() -> None:
    data = fixture("hl7v2_gbk.hl7")
    assert b"\x9f|" in data
    doc = _doc(data)
    assert doc["hospital.department.name"] == "呼吸内科"
    assert "hl7.replaced_characters" not in doc


def test_without_msh_18_the_character_set_is_the_sites() -> None:
    data = (MSH.format(kind="ADT^A01") + "\rPV1|1|I|急诊科").encode("gbk")
    assert _doc(data, Site(charset="gbk"))["hospital.department.name"] == "急诊科"
    doc = _doc(data)
    assert doc["hl7.replaced_characters"] > 0


def test_a_message_that_lies_about_its_character_set_is_read_as_the_site_says() -> None:
    text = MSH.format(kind="ADT^A01") + "||||||UNICODE UTF-8\rPV1|1|I|急诊科"
    assert _doc(text.encode("gbk"), Site(charset="gbk"))["hospital.department.name"] == "急诊科"


def test_an_unknown_character_set_of_the_site_is_named() -> None:
    with pytest.raises(ParseError, match="character set"):
        _doc(MSH.format(kind="ADT^A01"), Site(charset="klingon"))


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\r\n\r\n"])
def test_every_line_end_gives_the_same_event(end: bytes) -> None:
    data = fixture("hl7v2_adt_a08.hl7")
    assert _doc(data.replace(b"\r", end)) == _doc(data)


def test_mllp_framing_in_a_file_is_tolerated() -> None:
    data = fixture("hl7v2_adt_a08.hl7")
    framed = b"\x0b" + data + b"\x1c\r"
    assert list(split(framed + framed)) == [data.strip()] * 2
    assert _doc(framed) == _doc(data)


def test_a_batch_is_cut_into_its_messages() -> None:
    records = list(split(fixture("hl7v2_batch.hl7")))
    docs = [_doc(record) for record in records]
    assert [doc["hospital.patient.id_token"] for doc in docs] == ["MR1", "MR2", "MR3"]
    assert {doc["event.action"] for doc in docs} == {"hl7-qbp-q21"}
    assert len(parse(Record(fixture("hl7v2_batch.hl7")), SITE)) == 3


def test_what_stands_before_the_first_message_is_a_record_that_is_refused() -> None:
    records = list(split(b"hello\r\n" + fixture("hl7v2_batch.hl7")))
    assert len(records) == 4
    with pytest.raises(ParseError, match="no MSH"):
        _doc(records[0])


@pytest.mark.parametrize(
    ("segments", "patient", "parameters"),
    [
        (("QPD|Q21^x|1|MR9^^^H1^MR",), "MR9", None),
        (("QPD|Q22^x|1|@PID.5.1^李~@PID.3.1^MR9",), "MR9", ["PID.3.1", "PID.5.1"]),
        (("QPD|Q22^x|1|@PID.5.1^李晓梅~@<script>^x",), None, ["PID.5.1"]),
        (("QRD|20260301|R|I|1|||1^RD|MR9^李晓梅|DEM",), "MR9", None),
    ],
)
def test_a_query_says_whom_it_asks_for(segments: tuple[str], patient: str | None, parameters: list[str] | None) -> None:
    doc = _message("QBP^Q22", *segments)
    assert doc.get("hospital.patient.id_token") == patient
    assert doc.get("hl7.query_parameters") == parameters
    assert doc["event.type"] == ["access"]
    assert "李" not in encode(doc).decode()


@pytest.mark.parametrize(
    ("kind", "segments", "expected"),
    [
        ("ADT^A01", (), ("database", "creation", "unknown")),
        ("ADT^A11", (), ("database", "deletion", "unknown")),
        ("ADT^A40", ("MRG|MR8",), ("database", "change", "unknown")),
        ("SIU^S12", (), ("database", "creation", "unknown")),
        ("ORM^O01", ("ORC|CA|PL1",), ("database", "deletion", "unknown")),
        ("MFN^M02", (), ("database", "change", "unknown")),
        ("ACK^A01", ("MSA|AA|1",), ("network", "protocol", "success")),
        ("ACK", ("MSA|AR|1",), ("network", "protocol", "failure")),
        ("RSP^K22", ("MSA|AE|1",), ("database", "access", "failure")),
        ("ZZZ^Z01", ("ZZ1|x",), ("database", "info", "unknown")),
    ],
)
def test_type_and_trigger_decide_the_classification(
    kind: str, segments: tuple[str], expected: tuple[str, str, str]
) -> None:
    doc = _message(kind, *segments)
    assert (doc["event.category"][0], doc["event.type"][0], doc["event.outcome"]) == expected


def test_a_hostile_query_or_result_adds_no_more_than_a_bounded_list_of_codes() -> None:
    asked = "~".join(f"@P{number:02}.{item}^x" for number in range(50) for item in range(1, 9))
    doc = _message(
        "ORU^R01", f"QPD|Q|1|{asked}", *(f"OBX|{number}||||||||||{chr(number)}" for number in range(32, 999))
    )
    assert len(doc["hl7.query_parameters"]) == 50
    assert doc["hl7.observation_status"] == [chr(letter) for letter in range(ord("A"), ord("Z") + 1)]


def test_a_merge_names_both_patients_and_both_are_tokenised() -> None:
    doc = _message("ADT^A40", "PID|1||MR1^^^H1^MR", "MRG|MR2^^^H1^MR")
    assert (doc["hospital.patient.id_token"], doc["hospital.patient.merged_id_token"]) == ("MR1", "MR2")
    assert "hospital.patient.merged_id_token" in PARSER.policy


@pytest.mark.parametrize(
    ("segment", "vip"),
    [("PV1|1|I|||||||||||||VIP|||", False), ("PV1|1" + "|" * 15 + "V", True), ("PV1|1" + "|" * 15 + '""', False),
     ("PD1" + "|" * 12 + "Y", True), ("PD1" + "|" * 12 + "N", False)],
)  # fmt: skip
def test_a_patient_is_a_vip_by_pv1_16_or_pd1_12(segment: str, vip: bool) -> None:
    assert _message("ADT^A08", "PID|1||MR1", segment)["hospital.patient.vip"] is vip


@pytest.mark.parametrize("time", ["", "yesterday", "20261301", "20260301250000", "99991231235959-1200", "00010101"])
def test_a_time_that_is_none_is_the_time_of_arrival(time: str) -> None:
    doc = _doc(f"MSH|^~\\&|HIS|H1|LIS|H1|{time}||ADT^A01|1|P|2.5")
    assert doc["@timestamp"] == "2026-03-01T02:30:00.000Z"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "0 messages"),
        (b"PID|1||MR204871", "no MSH"),
        (b"MSH", "MSH-1"),
        (b"MSHA^~\\&", "MSH-1"),
        (b"MSH|", "MSH-2"),
        (b"MSH||HIS", "MSH-2"),
        (b"MSH|^~\\&|HIS|H1", "MSH-9"),
        (MSH.format(kind="李晓梅").encode(), "MSH-9"),
        (b"MSH|^~\\&" + b"x" * MAX_BYTES, "bytes"),
        (b"MSH|^~\\&|\r" * 1001, "1001 messages"),
    ],
)
def test_a_message_without_a_usable_header_is_refused_naming_what_is_wrong(data: bytes, named: str) -> None:
    with pytest.raises(ParseError, match=named) as refused:
        _doc(data)
    assert "MR204871" not in str(refused.value)
    assert "李" not in str(refused.value)


@given(st.binary(max_size=300), st.sampled_from([b"", b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5||||||GBK\r"]))
def test_any_bytes_are_events_or_a_parse_error(tail: bytes, head: bytes) -> None:
    with suppress(ParseError):
        for parsed in parse(Record(head + tail), SITE):
            encode(parsed.doc)


@given(
    st.lists(st.sampled_from([b"MSH|1", b"PID|1", b"FHS|x", b"junk"])),
    st.sampled_from([b"\r", b"\n", b"\r\n"]),
)
def test_split_leaves_out_nothing_but_leading_batch_headers(lines: list[bytes], end: bytes) -> None:
    first = lines.index(b"MSH|1") if b"MSH|1" in lines else len(lines)
    preamble = lines[:first] if set(lines[:first]) - {b"FHS|x"} else []
    found = [line for record in split(end.join(lines)) for line in record.split(end)]
    assert found == preamble + lines[first:]


def test_every_sample_agrees_with_an_independent_parser() -> None:
    for name, data in samples("hl7").items():
        text = data.decode("utf-8", "replace").replace("\r\n", "\r").replace("\n", "\r")
        oracle = hl7.parse("\r".join(line for line in text.split("\r") if line))
        header = oracle.segment("MSH")
        doc = _doc(data)
        assert doc["hl7.control_id"] == str(header[10]), name
        assert doc["hl7.processing_id"] == str(header[11]).split("^")[0], name
        assert doc["hl7.version"] == str(header[12]).split("^")[0], name
        assert doc["hl7.message_type"] == str(header[9]).split("^")[0], name
        assert doc.get("hl7.sending_app", "") in str(header[3]), name
        assert doc["hl7.segment_count"] == len(oracle), name
        if "PID" in [str(segment[0]) for segment in oracle]:
            assert doc.get("hospital.patient.id_token", "") in str(oracle.segment("PID")), name
