"""FHIR AuditEvent in both shapes."""

from __future__ import annotations

import pytest

from ingest.catalogue import RECEIVED, events
from ingest.parsers import Record, Site
from ingest.parsers.fhir_audit import PARSER
from wardwatch.errors import ParseError
from wardwatch.event import Document


def docs() -> list[Document]:
    return [one.doc for one in events(PARSER, PARSER.sample())]


def one(data: bytes) -> Document:
    (parsed,) = PARSER.parse(Record(data, received=RECEIVED), Site())
    return parsed.doc


def test_an_r4_read_names_the_requestor_the_patient_and_where_from() -> None:
    doc = docs()[0]
    assert (doc["fhir.audit.shape"], doc["event.action"], doc["event.outcome"]) == ("r4", "fhir-read", "success")
    assert (doc["user.id"], doc["source.ip"]) == ("D1024", "10.3.1.5")
    assert (doc["hospital.patient.id_token"], doc["hospital.encounter.id_token"]) == ("M204871", "V8823")
    assert (doc["dicom.query_kind"], doc["dicom.query_wildcard"]) == ("fhir", True)


def test_an_r5_override_is_a_break_glass() -> None:
    doc = docs()[1]
    assert (doc["fhir.audit.shape"], doc["event.outcome"]) == ("r5", "failure")
    assert doc["hospital.break_glass"]
    assert (doc["hospital.patient.id_token"], doc["source.ip"]) == ("M204872", "10.3.2.8")
    assert doc["event.category"] == ["iam"]


def test_a_bundle_holds_an_event_for_each_entry() -> None:
    entry = b'{"resource": {"resourceType": "AuditEvent", "recorded": "2026-03-01T02:11:09Z"}}'
    bundle = b'{"resourceType": "Bundle", "entry": [' + entry + b"," + entry + b"]}"
    assert len(PARSER.parse(Record(bundle), Site())) == 2


@pytest.mark.parametrize("data", [b"{}", b"", b'{"resourceType": "Patient"}', b'{"resourceType": "AuditEvent"}'])
def test_what_is_no_audit_event_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        one(data)
