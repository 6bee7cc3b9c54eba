from __future__ import annotations

import struct
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsers import Record, Site
from ingest.parsers.dicom_audit import MAX_BYTES, parse, split
from tests.ingest.parsers.samples import fixture, samples
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource, encode

SITE = Site()
RECEIVED = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
HEADER = b"<85>1 2026-03-01T02:11:09Z pacs1 archive 931 IHE+RFC-3881 - "


def _doc(data: bytes, site: Site = SITE) -> Document:
    (parsed,) = parse(Record(data, peer="10.3.1.5", received=RECEIVED), site)
    assert parsed.logsource == LogSource("dicom", "", "audit")
    return parsed.doc


def _audit(event: str, *, types: tuple[str, ...] = (), action: str = "R", outcome: str = "0", rest: str = "") -> bytes:
    coded = "".join(f'<EventTypeCode csd-code="{code}"/>' for code in types)
    return (
        f'<AuditMessage><EventIdentification EventActionCode="{action}" EventDateTime="2026-03-01T02:11:09Z" '
        f'EventOutcomeIndicator="{outcome}"><EventID csd-code="{event}"/>{coded}</EventIdentification>{rest}'
        "</AuditMessage>"
    ).encode()


def _person(user: str, *, role: str = "", requestor: bool = False, alternative: str = "", place: str = "") -> str:
    coded = f'<RoleIDCode csd-code="{role}"/>' if role else ""
    return (
        f'<ActiveParticipant UserID={quoteattr(user)} UserIsRequestor="{str(requestor).lower()}" '
        f'AlternativeUserID={quoteattr(alternative)} NetworkAccessPointID="{place}">{coded}</ActiveParticipant>'
    )


def _query(content: bytes) -> str:
    encoded = b64encode(content).decode()
    return (
        '<ParticipantObjectIdentification ParticipantObjectTypeCode="2" ParticipantObjectTypeCodeRole="24">'
        f"<ParticipantObjectQuery>{encoded}</ParticipantObjectQuery></ParticipantObjectIdentification>"
    )


def _dataset(*elements: tuple[int, int, bytes]) -> bytes:
    return b"".join(struct.pack("<HHI", group, element, len(value)) + value for group, element, value in elements)


def test_a_transfer_tells_who_moved_what_from_where_to_where() -> None:
    assert _doc(fixture("dicom_transfer_csd.log")) == {
        "@timestamp": "2026-03-01T02:11:09.120Z",
        "ecs.version": "8.17.0",
        "event.kind": "event",
        "event.dataset": "dicom.audit",
        "event.module": "dicom",
        "event.category": ["network", "file"],
        "event.type": ["access"],
        "event.action": "dicom-instances-transferred",
        "event.outcome": "success",
        "log.syslog.facility.code": 10,
        "log.syslog.severity.code": 5,
        "host.name": "pacs1",
        "user.id": "10023",
        "source.ip": "10.3.1.5",
        "destination.ip": "10.9.7.7",
        "dicom.audit.parsed": True,
        "dicom.audit.event_id": "110104",
        "dicom.audit.outcome_code": 0,
        "dicom.audit.dialect": "csd",
        "dicom.audit.source_id": "pacs1",
        "dicom.audit.source_type": "4",
        "dicom.calling_ae": "PACS1",
        "dicom.destination_ae": "WS7",
        "dicom.instances": 1503,
        "dicom.sop_class": ["1.2.840.10008.5.1.4.1.1.2"],
        "dicom.study_uid_token": "1.2.826.0.1.3680043.88231004",
        "hospital.patient.id_token": "MR204871",
        "hospital.patient.sensitivity": ["vip"],
        "hospital.patient.vip": True,
    }


def test_the_rfc_3881_dialect_behind_a_mark_and_a_new_line_is_read_in_the_sites_zone() -> None:
    doc = _doc(fixture("dicom_override_rfc3881.log"))
    assert doc["dicom.audit.dialect"] == "rfc3881"
    assert doc["@timestamp"] == "2026-03-01T02:11:09.000Z"  # 10:11:09 in Shanghai
    assert doc["event.action"] == "dicom-emergency-override-start"
    assert doc["hospital.break_glass"] is True
    assert (doc["event.outcome"], doc["dicom.audit.outcome_code"]) == ("failure", 4)
    assert doc["source.domain"] == "ward3-pc7"
    assert doc["user.roles"] == ["110150"]
    assert doc["dicom.audit.source_type"] == "4"
    assert doc["hospital.patient.vip"] is False


def test_a_special_disease_leaves_only_as_sensitive() -> None:
    doc = _doc(fixture("dicom_override_rfc3881.log"))
    assert doc["hospital.patient.sensitivity"] == ["normal", "sensitive"]
    assert "HIV" not in str(doc)


@pytest.mark.parametrize(
    "source",
    [
        '<AuditSourceIdentification code="4"/>',
        '<AuditSourceIdentification AuditSourceTypeCode="4"/>',
        '<AuditSourceIdentification><AuditSourceTypeCode code="4"/></AuditSourceIdentification>',
        "<AuditSourceIdentification><AuditSourceTypeCode>4</AuditSourceTypeCode></AuditSourceIdentification>",
    ],
)
def test_the_type_of_the_audit_source_is_an_attribute_or_a_child(source: str) -> None:
    assert _doc(_audit("110100", rest=source))["dicom.audit.source_type"] == "4"


@pytest.mark.parametrize(
    ("event", "types", "action_code", "category", "kind", "action"),
    [
        ("110100", ("110120",), "E", "process", "start", "dicom-application-start"),
        ("110101", (), "R", "file", "access", "dicom-audit-log-used"),
        ("110103", (), "R", "file", "access", "dicom-instances-accessed"),
        ("110103", (), "U", "file", "change", "dicom-instances-accessed"),
        ("110104", (), "C", "network", "creation", "dicom-instances-transferred"),
        ("110105", (), "D", "file", "deletion", "dicom-study-deleted"),
        ("110106", (), "R", "file", "access", "dicom-export"),
        ("110107", (), "C", "file", "creation", "dicom-import"),
        ("110110", (), "U", "database", "change", "dicom-patient-record"),
        ("110112", (), "E", "database", "access", "dicom-query"),
        ("110113", ("110126",), "E", "authentication", "denied", "dicom-node-authentication"),
        ("110113", ("110137",), "E", "iam", "change", "dicom-user-attributes-changed"),
        ("110113", ("ASSOCIATION-FAILURE",), "E", "network", "connection", "dicom-association-rejected"),
        ("110113", (), "E", "intrusion_detection", "info", "dicom-security-alert"),
        ("110114", ("110122",), "E", "authentication", "start", "dicom-login"),
    ],
)
def test_event_id_and_event_type_decide_the_classification(
    event: str, types: tuple[str, ...], action_code: str, category: str, kind: str, action: str
) -> None:
    doc = _doc(_audit(event, types=types, action=action_code))
    assert (doc["event.category"][0], doc["event.type"][0], doc["event.action"]) == (category, kind, action)


@pytest.mark.parametrize(
    ("code", "outcome"), [("0", "success"), ("4", "failure"), ("8", "failure"), ("12", "failure"), ("x", "unknown")]
)
def test_the_outcome_indicator_is_success_only_when_0(code: str, outcome: str) -> None:
    assert _doc(_audit("110112", outcome=code))["event.outcome"] == outcome


def test_a_move_ordered_by_a_third_machine_names_all_three() -> None:
    people = (
        _person("WSX1", requestor=True, alternative="AETITLE=WSX1", place="10.3.1.5")
        + _person("PACS1", role="110153", alternative="AETITLES=PACS1;PACS2", place="10.3.1.9")
        + _person("LAPTOP9", role="110152", place="10.9.7.7")
    )
    doc = _doc(_audit("110104", rest=people))
    names = ("dicom.calling_ae", "dicom.called_ae", "dicom.destination_ae")
    assert [doc[name] for name in names] == ["WSX1", "PACS1", "LAPTOP9"]
    assert (doc["source.ip"], doc["destination.ip"]) == ("10.3.1.9", "10.9.7.7")


def test_the_user_is_the_person_among_the_requestors_and_never_an_ae_title() -> None:
    people = _person("WSX1", requestor=True, alternative="AETITLE=WSX1") + _person("CHENJING", requestor=True)
    doc = _doc(_audit("110103", rest=people))
    assert doc["user.id"] == "CHENJING"
    assert "CHENJING" not in [value for name, value in doc.items() if name != "user.id"]


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (b"MSH|^~\\&|A|B\rQPD|Q22|1|@PID.5.1^LI*", {"query_kind": "hl7v2", "query_wildcard": True}),
        ("QPD|Q22|1|@PID.5.1^李晓梅".encode(), {"query_kind": "hl7v2", "query_wildcard": False}),
        (b"<queryByParameter><x/></queryByParameter>", {"query_kind": "hl7v3"}),
        (b"Patient?name:contains=li&birthdate=1990", {"query_kind": "fhir", "query_wildcard": True}),
        (b"identifier=MR204871", {"query_kind": "fhir", "query_wildcard": False}),
        (
            _dataset((0x0008, 0x0052, b"STUDY "), (0x0010, 0x0010, b"LI^XIAO*"), (0x0010, 0x0020, b"MR204871")),
            {"query_kind": "dicom", "query_wildcard": True, "query_level": "STUDY"},
        ),
        (
            _dataset((0x0008, 0x0052, b"MR204871"), (0x0010, 0x0010, b"LI ")),
            {"query_kind": "dicom", "query_wildcard": False},
        ),
        (b"\xff\xfe\x00 neither", {}),
        (b"", {}),
    ],
)
def test_of_a_query_only_kind_level_and_wildcard_are_told(content: bytes, facts: dict[str, object]) -> None:
    doc = _doc(_audit("110112", rest=_query(content)))
    assert {name: value for name, value in doc.items() if name.startswith("dicom.query")} == {
        f"dicom.{name}": value for name, value in facts.items()
    }


def test_a_query_that_is_no_base64_is_left_out() -> None:
    rest = _query(b"").replace("<ParticipantObjectQuery>", "<ParticipantObjectQuery>!李晓梅")
    assert "李" not in str(_doc(_audit("110112", rest=rest)))


def test_purpose_of_use_is_kept() -> None:
    rest = _audit("110103").replace(b"</EventI", b'<PurposeOfUse code="TREAT"/></EventI')
    assert _doc(rest)["hospital.purpose_of_use"] == ["TREAT"]


@pytest.mark.parametrize("body", [b"\xe6\x9d\x8e\xe6\x99\x93\xe6\xa2\x85 logged in", b"{}", b"", b"\x00\xff"])
def test_a_body_that_is_no_xml_is_an_event_of_its_header_alone(body: bytes) -> None:
    assert _doc(HEADER + body) == {
        "@timestamp": "2026-03-01T02:11:09.000Z",
        "ecs.version": "8.17.0",
        "event.kind": "event",
        "event.dataset": "dicom.audit",
        "event.module": "dicom",
        "event.action": "dicom-audit-unread",
        "event.outcome": "unknown",
        "dicom.audit.parsed": False,
        "host.name": "pacs1",
        "log.syslog.facility.code": 10,
        "log.syslog.severity.code": 5,
    }


def test_a_gbk_document_is_read_as_declared_and_one_that_lies_as_the_site_says() -> None:
    text = '<?xml version="1.0" encoding="{}"?>' + _audit("110112", rest=_person("李", requestor=True)).decode()
    assert _doc(text.format("GBK").encode("gbk"))["user.id"] == "李"
    assert _doc(text.format("UTF-8").encode("gbk"), Site(charset="gbk"))["user.id"] == "李"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (fixture("dicom_billion_laughs.xml"), "DTD"),
        (HEADER + fixture("dicom_billion_laughs.xml"), "DTD"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><AuditMessage/>', "DTD"),
        (b"<AuditMessage>" + b"<a>" * 100_000, "deeper"),
        (b"<AuditMessage>" + b"<a/>" * 100_000, "elements"),
        (HEADER + b"<AuditMessage><EventIdent", "not well-formed"),
        (HEADER + b"<AuditMessage>\x00</AuditMessage>", "not well-formed"),
        (b"<AuditMessage/>", "EventIdentification"),
        (_audit("").replace(b'csd-code=""', b""), "code"),
        (HEADER + b"<html><EventIdentification><EventID/></EventIdentification></html>", "AuditMessage"),
        (b"no frame", "priority"),
        (b"", "priority"),
        (b"<85>1 " + b" " * MAX_BYTES, "bytes"),
    ],
)
def test_a_record_that_is_no_audit_message_is_refused(data: bytes, named: str) -> None:
    with pytest.raises(ParseError, match=named):
        _doc(data)


def test_frames_by_octet_count_and_by_line_are_told_apart() -> None:
    frame = HEADER + b"<AuditMessage>\n<a/>\n</AuditMessage>"
    counted = str(len(frame)).encode() + b" " + frame
    assert list(split(counted + counted + b"\n" + counted)) == [frame] * 3
    assert list(split(frame + b"\n" + frame + b"\r\n")) == [frame] * 2
    assert list(split(b"9999999 " + frame)) == [frame]


def test_a_file_may_hold_one_bare_document() -> None:
    document = b"\xef\xbb\xbf\n" + _audit("110112") + b"\n"
    assert list(split(document)) == [_audit("110112")]
    assert list(split(b"\n \n")) == []


@given(st.lists(st.sampled_from([b"<85>1 a", b"7 <85>1 ab", b"x", b"0 <1>", b" "])))
def test_split_ends_and_loses_no_byte_but_white_space_and_counts(lines: list[bytes]) -> None:
    kept = b"".join(split(b"\n".join(lines)))
    for mark in (b"a", b"b", b"x", b"<"):
        assert kept.count(mark) == b"".join(lines).count(mark)


@given(
    st.binary(max_size=300), st.sampled_from([b"", HEADER, HEADER + b"<", b"<AuditMessage>", _audit("110112")[:-40]])
)
def test_any_bytes_are_an_event_or_a_parse_error(tail: bytes, head: bytes) -> None:
    with suppress(ParseError):
        encode(_doc(head + tail))


def test_every_sample_is_an_event_with_the_codes_of_its_text() -> None:
    for name, data in samples("atna").items():
        (record,) = split(data)
        doc = _doc(record)
        assert f'csd-code="{doc["dicom.audit.event_id"]}"' in data.decode(), name
        assert doc["@timestamp"].removesuffix("Z") in data.decode(), name
        assert doc["event.outcome"] == "success", name
        assert "hospital.patient.id_token" in doc or "application" in doc["event.action"], name
