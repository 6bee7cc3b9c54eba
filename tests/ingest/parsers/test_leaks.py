"""Identities planted in every place of a record never reach the event, the error or the log of it."""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from ingest.parsers import Record, Site, parser
from ingest.scrub import scrub
from ingest.vault import HmacTokens
from tests.ingest.parsers.planted_devices import planted
from tests.ingest.parsers.samples import samples
from wardwatch.errors import ParseError
from wardwatch.event import encode

NAME, IDENTITY, PHONE, RECORD = "欧阳修梅", "110101199003070038", "13812345678", "MRCANARY204871"
VISIT, STUDY, ADDRESS, STAFF = "VCANARY8823", "1.2.826.0.1.9999.8823", "健康路十八号", "canary.chen"
CANARIES = (NAME, IDENTITY, PHONE, RECORD, VISIT, STUDY, ADDRESS, STAFF)
MARKS = dict(zip(["NAME", "IDENTITY", "PHONE", "RECORD", "VISIT", "STUDY", "ADDRESS", "STAFF"], CANARIES, strict=True))
TOKENS = HmacTokens(bytes(32))


def forms(canary: str) -> Iterator[bytes]:
    """Yield what a canary looks like on the way: plain, GBK, percent-encoded, as JSON escapes and in base64."""
    plain = canary.encode()
    yield from (plain, canary.encode("gbk"), quote(canary).encode(), canary.encode("unicode_escape"))
    yield plain.hex().encode()
    for encoded in (plain, canary.encode("gbk")):
        for shift in range(3):  # base64 depends on the place of the text within the content
            yield b64encode(b" " * shift + encoded)[4 if shift else 0 : -4]


def _hl7(charset: str) -> bytes:
    person = f"{NAME}^{NAME}"
    filled = "|".join(
        [f"{RECORD}^^^H1^MR~{IDENTITY}^^^CN^NI", RECORD, person, person, "19900307", "F", person, "", ADDRESS]
    )
    segments = (
        f"MSH|^~\\&|HIS|H1|LIS|H1|20260301021109||ADT^A08|1|P|2.5||||||{charset}",
        f"EVN|A08|20260301021108||{NAME}|{STAFF}^{NAME}",
        f"PID|1|{RECORD}|{filled}||{PHONE}|{PHONE}||||{IDENTITY}|{IDENTITY}|{IDENTITY}|{RECORD}||{ADDRESS}",
        f"NK1|1|{person}|FTH|{ADDRESS}|{PHONE}",
        f"PV1|1|I|心内科^03^12|||{ADDRESS}|{STAFF}^{NAME}|{STAFF}||||||||VIP|||{VISIT}" + "|" * 31 + VISIT,
        f"IN1|1|{IDENTITY}|{NAME}|{ADDRESS}",
        f"GT1|1|{RECORD}|{person}|{PHONE}",
        f"DG1|1||{NAME}",
        f"ORC|NW|{VISIT}|{VISIT}|||||||{STAFF}^{NAME}||{STAFF}",
        f"OBR|1|{VISIT}|{VISIT}|x||||||{NAME}",
        f"OBX|1|TX|x^{NAME}||{NAME} {PHONE}||||||F",
        f"NTE|1||{NAME} {IDENTITY}",
        f"QPD|Q22^{NAME}|1|@PID.5.1^{NAME}~@PID.3.1^{RECORD}~@{NAME}^x",
        f"MRG|{RECORD}^^^H1",
        f"{NAME}|{IDENTITY}",
    )
    return "\r".join(segments).encode("gbk" if charset == "GBK" else "utf-8")


def _dicom(content: bytes) -> bytes:
    encoded = b64encode(content).decode()
    return f"""<85>1 2026-03-01T02:11:09Z pacs1 archive 931 IHE+RFC-3881 - <AuditMessage x="{NAME}">
<EventIdentification EventActionCode="R" EventDateTime="{NAME}" EventOutcomeIndicator="{PHONE}">
<EventID csd-code="110112" originalText="{NAME}"/><EventTypeCode csd-code="{NAME}"/>
<EventOutcomeDescription>{NAME}</EventOutcomeDescription>
<PurposeOfUse code="{NAME}"/></EventIdentification>
<ActiveParticipant UserID="{STAFF}" AlternativeUserID="{STAFF}" UserName="{NAME}" UserIsRequestor="true"
NetworkAccessPointID="{NAME}"><RoleIDCode csd-code="110153"/></ActiveParticipant>
<ActiveParticipant UserID="{STAFF}" UserName="{NAME}" UserIsRequestor="false"
NetworkAccessPointID="{PHONE}" NetworkAccessPointTypeCode="3"/>
<AuditSourceIdentification AuditSourceID="{NAME}" code="{NAME}"/>
<ParticipantObjectIdentification ParticipantObjectID="{RECORD}^^^H1~{IDENTITY}" ParticipantObjectTypeCode="1"
ParticipantObjectTypeCodeRole="1" ParticipantObjectSensitivity="{NAME}">
<ParticipantObjectName>{NAME}</ParticipantObjectName>
<ParticipantObjectDetail type="{NAME}" value="{encoded}"/></ParticipantObjectIdentification>
<ParticipantObjectIdentification ParticipantObjectID="{STUDY}" ParticipantObjectTypeCode="2"
ParticipantObjectTypeCodeRole="3">
<ParticipantObjectDescription><Accession Number="{VISIT}"/><SOPClass UID="{NAME}" NumberOfInstances="{NAME}"/>
<ParticipantObjectContainsStudy><StudyIDs UID="{STUDY}"/></ParticipantObjectContainsStudy>
</ParticipantObjectDescription>
</ParticipantObjectIdentification>
<ParticipantObjectIdentification ParticipantObjectID="{VISIT}" ParticipantObjectTypeCode="2"
ParticipantObjectTypeCodeRole="24">
<ParticipantObjectQuery>{encoded}</ParticipantObjectQuery></ParticipantObjectIdentification></AuditMessage>""".encode()


def _dataset() -> bytes:
    values = ((0x0008, 0x0052, NAME), (0x0010, 0x0010, NAME), (0x0010, 0x0020, RECORD), (0x0020, 0x000D, STUDY))
    parts = ((group, element, value.encode()) for group, element, value in values)
    return b"".join(struct.pack("<HHI", group, element, len(value)) + value for group, element, value in parts)


def _files() -> Iterator[tuple[str, tuple[str, bytes]]]:
    """Yield the records of ``planted/<source>.*``, where ``@NAME@``, ``@PHONE@``… stand for the identities."""
    for path in sorted((Path(__file__).parent / "planted").iterdir()):
        text = re.sub("@([A-Z]+)@", lambda found: MARKS[found[1]], path.read_text("utf-8"))
        for number, record in enumerate(parser(path.stem).split(text.encode()), 1):
            yield f"{path.stem} {number}", (path.stem, record)


PLANTED = {
    **dict(_files()),
    "hl7v2 in UTF-8": ("hl7v2", _hl7("UNICODE UTF-8")),
    "hl7v2 in GBK": ("hl7v2", _hl7("GBK")),
    "hl7v2 in GBK that nobody declares": ("hl7v2", _hl7("GBK").replace(b"|||GBK", b"|||")),
    "dicom_audit with HL7 in base64": ("dicom_audit", _dicom(_hl7("UNICODE UTF-8"))),
    "dicom_audit with HL7 in GBK in base64": ("dicom_audit", _dicom(_hl7("GBK"))),
    "dicom_audit with a data set in base64": ("dicom_audit", _dicom(_dataset())),
    "dicom_audit with a FHIR query in base64": (
        "dicom_audit",
        _dicom(f"Patient?name={NAME}&identifier={RECORD}".encode()),
    ),
    "dicom_audit with an odd text in base64": ("dicom_audit", _dicom(" ".join(CANARIES).encode())),
    "dicom_audit with a body that is text": (
        "dicom_audit",
        f"<85>1 2026-03-01T02:11:09Z pacs1 a 1 b - {' '.join(CANARIES)}".encode(),
    ),
}

PLANTED |= planted(NAME, IDENTITY, PHONE, RECORD, STAFF)


def _leaving(source: str, data: bytes) -> bytes:
    """Return the bytes that leave the hospital for a record: its events, or the reason of its dead letter."""
    found = parser(source)
    try:
        parsed = found.parse(Record(data, peer="10.3.1.5"), Site())
    except ParseError as error:
        return str(error).encode()
    return b"\n".join(encode(scrub(one.doc, found.policy, TOKENS)) for one in parsed)


@pytest.mark.parametrize("planted", PLANTED)
def test_no_form_of_a_planted_identity_leaves(planted: str) -> None:
    source, data = PLANTED[planted]
    leaving = _leaving(source, data)
    assert b'"event.action"' in leaving  # it was parsed, not refused
    assert [canary for canary in CANARIES for form in forms(canary) if form in leaving] == []


@pytest.mark.parametrize("planted", PLANTED)
def test_no_form_of_a_planted_identity_leaves_of_a_record_in_gbk(planted: str) -> None:
    source, data = PLANTED[planted]
    leaving = _leaving(source, data.decode("utf-8", "replace").encode("gbk", "replace"))
    assert [canary for canary in CANARIES for form in forms(canary) if form in leaving] == []


@pytest.mark.parametrize("planted", PLANTED)
def test_nothing_leaves_of_a_record_cut_short_anywhere(planted: str) -> None:
    source, data = PLANTED[planted]
    for end in range(0, len(data), 13):
        leaving = _leaving(source, data[:end])
        assert [canary for canary in CANARIES for form in forms(canary) if form in leaving] == [], end


@pytest.mark.parametrize(("planted", "kinds"), [("hl7v2", '["en","pt","st"]'), ("dicom_audit", '["pt","sd","st"]')])
def test_every_planted_identifier_that_detection_needs_becomes_a_token(planted: str, kinds: str) -> None:
    for source, data in PLANTED.values():
        leaving = _leaving(source, data).decode()
        if source == planted and '"dicom.audit.parsed":false' not in leaving:
            assert f'"privacy.tokens":{kinds}' in leaving
            assert leaving.count(TOKENS.token("en", VISIT)) == (2 if source == "hl7v2" else 0)  # visit and order


def test_the_same_patient_has_the_same_token_in_both_sources() -> None:
    token = TOKENS.token("pt", RECORD).encode()
    assert token in _leaving(*PLANTED["hl7v2 in UTF-8"])
    assert token in _leaving(*PLANTED["dicom_audit with HL7 in base64"])


@pytest.mark.parametrize(
    ("folder", "source", "identities"),
    [
        ("hl7", "hl7v2", ["Nachname", "Blahplatz", "Everywoman", "MOORE", "111-11-1111", "333-4444", "Irgendwo"]),
        ("atna", "dicom_audit", ["IHERED-2342", "78106", "JW-824-v3", "WDF-LAP-1237"]),
    ],
)
def test_no_identity_of_a_real_sample_leaves(folder: str, source: str, identities: list[str]) -> None:
    for name, data in samples(folder).items():
        leaving = _leaving(source, data).decode()
        assert [identity for identity in identities if identity in leaving] == [], name
