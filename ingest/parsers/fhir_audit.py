"""FHIR AuditEvent resources in the shapes of R4 and R5, alone, in a Bundle or as NDJSON, and IHE BALP's.

R4 has ``type`` and ``subtype`` codings, ``outcome`` as a code and ``agent.network``; R5 has ``category`` and ``code``,
``outcome.code``, ``agent.network*`` and ``patient``. They are told apart by shape. Of a query (base64) only its kind
is known (audit_query.py). Sources: HL7 FHIR R4 4.0.1 and R5 5.0.0, AuditEvent; IHE BALP 1.1; DICOM PS3.16 CID 400.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ingest.parsers import Parsed, Parser, Record, Site
from ingest.parsers.audit_query import query_facts
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, put, text_of
from ingest.parsers.json_body import body, inner
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "fhir_audit"
_LOGSOURCE = LogSource("fhir", service="audit")
_MAX = 64
_CODE = re.compile(r"\d{1,2}|11\d{4}|[A-Za-z][A-Za-z-]{0,39}")  # of DICOM, HL7 v3 and FHIR; no text, no identifier
_BREAK_GLASS = frozenset(("110127", "BTG", "ETREAT"))
_ACTIONS = {"C": "creation", "R": "access", "U": "change", "D": "deletion", "E": "access"}
_KINDS: Mapping[str, tuple[list[str], str, str]] = {
    "110100": (["process"], "info", "application-activity"),
    "110101": (["file"], "access", "audit-log-used"),
    "110106": (["file"], "access", "export"),
    "110107": (["file"], "creation", "import"),
    "110112": (["database"], "access", "query"),
    "110113": (["iam"], "admin", "security-alert"),
    "110114": (["authentication"], "start", "authentication"),
    "110122": (["authentication"], "start", "login"),
    "110123": (["authentication"], "end", "logout"),
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return an event for each AuditEvent in a record; raises ParseError where there is none."""
    _, resource = body(record, site, step=_STEP)
    found = [Parsed(_document(one, site), _LOGSOURCE) for one in _resources(resource)]
    if not found:
        raise ParseError("no AuditEvent", step=_STEP)
    return found


def _resources(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    entries = [one.get("resource") for one in _objects(resource.get("entry"))]
    for one in [resource, *entries]:
        if isinstance(one, dict) and one.get("resourceType") == "AuditEvent":
            yield one


def _document(event: Mapping[str, Any], site: Site) -> Document:
    doc: Document = {
        "@timestamp": moment(text_of(event.get("recorded")), site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "fhir",
        "event.dataset": "fhir.audit",
        "fhir.audit.shape": "r5" if "code" in event or "category" in event else "r4",
    }
    kinds = [*_codes(event.get("type")), *_codes(event.get("category"))]
    subtypes = [*_codes(event.get("subtype")), *_codes(event.get("code"))]
    put(doc, "fhir.audit.type", kinds)
    put(doc, "fhir.interaction", subtypes)
    _categorise(doc, [*subtypes, *kinds], text_of(event.get("action")))
    _outcome(doc, event.get("outcome"))
    purposes = [code for name in ("purposeOfEvent", "authorization") for code in _codes(event.get(name))]
    _agents(doc, event, purposes)
    put(doc, "hospital.purpose_of_use", sorted(set(purposes)))
    if _BREAK_GLASS & {*purposes, *subtypes}:
        doc["hospital.break_glass"] = True
    put(doc, "observer.name", _reference(inner(event, "source").get("observer"))[1])
    _entities(doc, event)
    return doc


def _categorise(doc: Document, codes: list[str], action: str) -> None:
    known = next((_KINDS[code] for code in codes if code in _KINDS), None)
    if known:
        category, kind, name = known
        classify(doc, list(category), kind, f"fhir-{name}")
        return
    interaction = next((code for code in codes if code.isascii() and code.replace("-", "").isalpha()), "access")
    classify(doc, ["database", "web"], _ACTIONS.get(action, "access"), f"fhir-{interaction.lower()}")


def _outcome(doc: Document, value: object) -> None:
    code = next(iter(_codes(inner({"o": value}, "o").get("code")) or _codes({"code": value})), "")
    put(doc, "fhir.audit.outcome_code", code)
    doc["event.outcome"] = {"": "unknown", "0": "success", "success": "success"}.get(code.lower(), "failure")


def _agents(doc: Document, event: Mapping[str, Any], purposes: list[str]) -> None:
    agents = _objects(event.get("agent"))
    for agent in sorted(agents, key=lambda one: one.get("requestor") is not True):
        kind, who = _reference(agent.get("who"))
        if kind != "Device":
            put(doc, "user.id", who or text_of(agent.get("altId")))
        put(doc, "source.ip", inner(agent, "network").get("address") or agent.get("networkString"))
        put(doc, "source.ip", text_of(agent.get("networkUri")).partition("://")[2].partition("/")[0].partition(":")[0])
        purposes += [code for name in ("purposeOfUse", "authorization") for code in _codes(agent.get(name))]


def _entities(doc: Document, event: Mapping[str, Any]) -> None:
    put(doc, "hospital.patient.id_token", _reference(event.get("patient"))[1])
    put(doc, "hospital.encounter.id_token", _reference(event.get("encounter"))[1])
    types, labels = set(), set()
    for entity in _objects(event.get("entity")):
        kind, what = _reference(entity.get("what"))
        if kind in _TOKENS:
            put(doc, _TOKENS[kind], what)
        types |= {kind} - {""}
        labels |= {*_codes(entity.get("securityLabel"))}
        doc |= {name: value for name, value in query_facts(text_of(entity.get("query"))).items() if name not in doc}
    put(doc, "fhir.resource_type", sorted(types))
    put(doc, "hospital.patient.sensitivity", sorted(labels))


_TOKENS = {"Patient": "hospital.patient.id_token", "Encounter": "hospital.encounter.id_token"}
_TOKENS["ImagingStudy"] = "dicom.study_uid_token"


def _reference(value: object) -> tuple[str, str]:
    """Return type and id of a Reference: ``Patient/7`` with any address before it, or its identifier."""
    reference = inner({"r": value}, "r")
    parts = text_of(reference.get("reference")).partition("/_history")[0].split("/")
    identifier = text_of(inner(reference, "identifier").get("value"))
    kind = (parts[-2] if len(parts) > 1 else "") or text_of(reference.get("type"))
    return (kind if kind.isascii() and kind.isalpha() and len(kind) < 40 else ""), identifier or parts[-1]


def _codes(value: object) -> list[str]:
    """Return the codes of a Coding, a CodeableConcept, or a list of either; a text that is no code stays."""
    if isinstance(value, list):
        return [code for one in value[:_MAX] for code in _codes(one)]
    coding = inner({"c": value}, "c")
    if "coding" in coding:
        return _codes(coding["coding"])
    code = text_of(coding.get("code"))
    return [code] if _CODE.fullmatch(code) else []


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value[:_MAX] if isinstance(one, dict)] if isinstance(value, list) else []


PARSER = Parser(
    "fhir_audit",
    json_objects,
    parse,
    {
        "user.id": Action.STAFF,
        "hospital.patient.id_token": Action.PATIENT,
        "hospital.encounter.id_token": Action.ENCOUNTER,
        "dicom.study_uid_token": Action.STUDY,
        "observer.name": Action.MASK,
    },
    title="FHIR AuditEvent",
    reads="AuditEvent in the shapes of R4 and R5, alone, in a Bundle or as NDJSON",
    logsources=(_LOGSOURCE,),
)
