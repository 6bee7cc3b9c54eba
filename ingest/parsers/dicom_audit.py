"""DICOM and IHE ATNA audit messages (DICOM PS3.15 A.5, RFC 3881, IHE ITI-20) in RFC 5424 frames or as bare XML.

Two dialects are in use: attributes ``csd-code`` and ``originalText`` (DICOM) and ``code`` and ``displayName``
(RFC 3881). A body that is no XML is an event of the frame's header alone: its text stays in the hospital.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from xml.etree.ElementTree import Element

from ingest import syslog
from ingest.address import address
from ingest.parsers import Parsed, Parser, Record, Site
from ingest.parsers.audit_query import query_facts
from ingest.parsers.audit_xml import read_xml
from ingest.parsers.dicom_codes import BY_ACTION_CODE, EVENT_TYPES, EVENTS, OUTCOMES, OVERRIDES, SENSITIVITY, Meaning
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import ECS_VERSION, Document, LogSource, rfc3339

LOGSOURCE = LogSource(product="dicom", service="audit")
MAX_BYTES = 1 << 20
MAX_LISTED = 50

_COUNTED = re.compile(rb"\s*(\d{1,7}) (?=<\d)")
_FRAME = re.compile(rb"(?<=\n)(?:\d{1,7} )?<\d{1,3}>")
_BARE = (b"<?xml", b"<AuditMessage", b"<!")
_BLANK = b" \t\r\n" + codecs.BOM_UTF8
_CODE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_HOST = re.compile(r"[\w.:-]{1,255}", re.ASCII)
_AE_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,15})")
_AE_LIKE = re.compile(r"(?=.*[A-Z])[A-Z0-9_-]{1,16}")
_UID = re.compile(r"[0-9.]{1,64}")
_COUNT = re.compile(r"[0-9]{1,9}")

_SOURCE, _DESTINATION = "110153", "110152"
_TRANSFERS = ("110102", "110104")


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file into its records: one bare XML document, or syslog frames by octet count (RFC 5425) or by line."""
    if data.lstrip(_BLANK).startswith(_BARE):
        yield data.strip(_BLANK)
        return
    position = 0
    while position < len(data):
        counted = _COUNTED.match(data, position)
        if counted:
            start, end = counted.end(), counted.end() + int(counted[1])
        else:
            following = _FRAME.search(data, position + 1)
            start, end = position, following.start() if following else len(data)
        if frame := data[start:end].strip(_BLANK):
            yield frame
        position = end


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the event of one audit message; raises ParseError, also for any DTD (entity expansion)."""
    if len(record.data) > MAX_BYTES:
        raise ParseError(f"{len(record.data)} bytes, at most {MAX_BYTES} are read", step="dicom_audit")
    data = record.data.strip(_BLANK)
    header: Document = {"@timestamp": rfc3339(record.received)}
    if not data.startswith(_BARE):
        frame = syslog.parse(data, zone=site.zone, received=record.received)
        header |= _header(frame)
        data = frame.body.strip(_BLANK + b"\0")
    read = _audit(read_xml(data, site.charset, step="dicom_audit"), site.zone) if data.startswith(b"<") else _UNREAD
    doc = _FIXED | header | {name: value for name, value in read.items() if value not in (None, "", [])}
    return [Parsed(doc, LOGSOURCE)]


_FIXED: Document = {
    "ecs.version": ECS_VERSION,
    "event.kind": "event",
    "event.dataset": "dicom.audit",
    "event.module": "dicom",
}
_UNREAD: Document = {"event.outcome": "unknown", "event.action": "dicom-audit-unread", "dicom.audit.parsed": False}


def _header(frame: syslog.Syslog) -> Document:
    header: Document = {
        "log.syslog.facility.code": frame.facility,
        "log.syslog.severity.code": frame.severity,
    }
    if frame.timestamp:
        header["@timestamp"] = rfc3339(frame.timestamp)
    if _HOST.fullmatch(frame.host):
        header["host.name"] = frame.host
    return header


def _audit(root: Element, zone: tzinfo) -> Document:
    event = root.find("EventIdentification")
    event_id = event.find("EventID") if event is not None else None
    if root.tag != "AuditMessage" or event is None or event_id is None:
        raise ParseError("no AuditMessage with EventIdentification and EventID", step="dicom_audit")
    if not _code(event_id):
        raise ParseError("EventID has neither csd-code nor code", step="dicom_audit")
    people = [_participant(element) for element in root.iterfind("ActiveParticipant")]
    return (
        _identification(event, event_id, zone)
        | _origin(root)
        | _actors(people, transfer=_code(event_id) in _TRANSFERS)
        | _objects(root.findall("ParticipantObjectIdentification"))
    )


def _identification(event: Element, event_id: Element, zone: tzinfo) -> Document:
    code, types = _code(event_id), _codes(event, "EventTypeCode")
    category, kind, action = _meaning(code, types)
    indicator = event.get("EventOutcomeIndicator", "")
    outcome = int(indicator) if indicator in ("0", "4", "8", "12") else None
    return {
        "@timestamp": _time(event.get("EventDateTime", ""), zone),
        "event.category": [*category],
        "event.type": [*kind] or [BY_ACTION_CODE.get(event.get("EventActionCode", ""), "info")],
        "event.action": action,
        "event.outcome": "unknown" if outcome is None else OUTCOMES[outcome],
        "dicom.audit.parsed": True,
        "dicom.audit.event_id": code,
        "dicom.audit.event_type_code": types,
        "dicom.audit.outcome_code": outcome,
        "dicom.audit.dialect": "csd" if event_id.get("csd-code") else "rfc3881",
        "hospital.purpose_of_use": _codes(event, "PurposeOfUse"),
        "hospital.break_glass": True if OVERRIDES.intersection(types) else None,
    }


def _meaning(event_id: str, types: list[str]) -> Meaning:
    said = next((EVENT_TYPES[code] for code in types if code in EVENT_TYPES), None)
    return said or EVENTS.get(event_id) or ([], ["info"], f"dicom-{event_id.lower()}")


def _origin(root: Element) -> Document:
    """Return who recorded: AuditSourceTypeCode is a child element, its text, or attributes of its parent."""
    source = root.find("AuditSourceIdentification")
    if source is None:
        return {}
    child = source.find("AuditSourceTypeCode")
    kind = _code(source) or source.get("AuditSourceTypeCode", "")
    if child is not None:
        kind = _code(child) or (child.text or "").strip()
    name = source.get("AuditSourceID", "")
    return {
        "dicom.audit.source_id": name if _CODE.fullmatch(name) else "",
        "dicom.audit.source_type": kind if _CODE.fullmatch(kind) else "",
    }


@dataclass(frozen=True, slots=True)
class _Participant:
    """One active participant; "" stands for what is absent."""

    user: str
    requestor: bool
    roles: list[str]
    ae_title: str
    ip: str | None
    domain: str


def _participant(element: Element) -> _Participant:
    user = element.get("UserID", "").strip()
    roles = _codes(element, "RoleIDCode")
    requestor = element.get("UserIsRequestor", "true").lower() == "true"
    place = element.get("NetworkAccessPointID", "").strip()
    ip = address(place)
    named = element.get("NetworkAccessPointTypeCode") == "1"  # not a telephone number, 3, or an e-mail address, 4
    return _Participant(
        user=user or element.get("UserName", "").strip(),
        requestor=requestor,
        roles=roles,
        ae_title=_ae_title(element.get("AlternativeUserID", ""), user, may_be_person=requestor or not roles),
        ip=ip,
        domain=place if named and not ip and _HOST.fullmatch(place) else "",
    )


def _ae_title(alternative: str, user: str, *, may_be_person: bool) -> str:
    """Return the AE title: ``AETITLE=`` or ``AETITLES=`` (PS3.15 A.5.2), else a user id that can't be a person's."""
    key, _, titles = alternative.partition("=")
    title = titles.split(";")[0].strip() if key.strip().upper() in ("AETITLE", "AETITLES") else ""
    if _AE_TITLE.fullmatch(title):
        return title
    return user if not may_be_person and _AE_LIKE.fullmatch(user) else ""


def _actors(people: list[_Participant], *, transfer: bool) -> Document:
    requestors = sorted((one for one in people if one.requestor), key=lambda one: bool(one.ae_title))
    requestor = requestors[0] if requestors else _NOBODY
    source = _with_role(people, _SOURCE) or requestor
    others = (one for one in people if not one.requestor and one is not source)
    destination = _with_role(people, _DESTINATION) or next(others, _NOBODY)
    mover = next((one for one in requestors if one.ae_title and one not in (source, destination)), None)
    return {
        "user.id": requestor.user,
        "user.roles": requestor.roles,
        "source.ip": source.ip,
        "source.domain": source.domain,
        "destination.ip": destination.ip,
        "destination.domain": destination.domain,
        "dicom.calling_ae": mover.ae_title if transfer and mover else source.ae_title,
        "dicom.called_ae": (source.ae_title if mover else "") if transfer else destination.ae_title,
        "dicom.destination_ae": destination.ae_title if transfer else "",
    }


_NOBODY = _Participant("", False, [], "", "", "")


def _with_role(people: list[_Participant], role: str) -> _Participant | None:
    return next((one for one in people if role in one.roles), None)


def _objects(found: list[Element]) -> Document:
    """Return what the participant objects tell, told apart by type and role code (PS3.15 A.5.2)."""
    doc: Document = {}
    for element in found:
        match element.get("ParticipantObjectTypeCode", ""), element.get("ParticipantObjectTypeCodeRole", ""):
            case "1", "1":
                doc = _patient(element) | doc
            case "2", "3":
                doc.setdefault("dicom.study_uid_token", element.get("ParticipantObjectID", ""))
        for encoded in _encoded(element):
            doc |= query_facts(encoded)
    return doc | _instances(found)


def _patient(element: Element) -> Document:
    identifier = element.get("ParticipantObjectID", "").split("~")[0].split("^")[0]
    words = re.split(r"[,;/|]", element.get("ParticipantObjectSensitivity", ""))
    classes = {SENSITIVITY.get(word.strip().upper(), "sensitive") for word in words if word.strip()}
    return {
        "hospital.patient.id_token": identifier,
        "hospital.patient.sensitivity": sorted(classes),
        "hospital.patient.vip": "vip" in classes,
    }


def _encoded(element: Element) -> Iterator[str]:
    yield from (query.text or "" for query in element.iterfind("ParticipantObjectQuery"))
    yield from (detail.get("value", "") for detail in element.iterfind("ParticipantObjectDetail"))


def _instances(found: list[Element]) -> Document:
    classes = [one for element in found for one in element.iter("SOPClass")]
    counts = [int(count) for one in classes if _COUNT.fullmatch(count := one.get("NumberOfInstances", ""))]
    uids = sorted({uid for one in classes if _UID.fullmatch(uid := one.get("UID", ""))})
    return {"dicom.instances": sum(counts) if counts else None, "dicom.sop_class": uids[:MAX_LISTED]}


def _code(element: Element) -> str:
    code = element.get("csd-code") or element.get("code") or ""
    return code if _CODE.fullmatch(code) else ""


def _codes(element: Element, tag: str) -> list[str]:
    return [code for one in element.findall(tag)[:MAX_LISTED] if (code := _code(one))]


def _time(text: str, zone: tzinfo) -> str | None:
    """Return an XML dateTime as RFC 3339, in ``zone`` when it names none; None for what is no time."""
    try:
        moment = datetime.fromisoformat(text)
        return rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        return None


PARSER = Parser(
    name="dicom_audit",
    split=split,
    parse=parse,
    policy={
        "user.id": Action.STAFF,
        "hospital.patient.id_token": Action.PATIENT,
        "dicom.study_uid_token": Action.STUDY,
    },
    title="DICOM and IHE ATNA audit messages",
    reads="DICOM PS3.15 A.5 and IHE ITI-20, RFC 3881 and current dialect, in RFC 5424 syslog or bare XML",
    logsources=(LOGSOURCE,),
    whole=True,
)
