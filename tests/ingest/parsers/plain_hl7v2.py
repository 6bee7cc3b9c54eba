"""HL7 v2 messages read in the plainest way, for comparison: every segment cut into fields, nothing remembered.

Only what detection needs is read: header, event, identifiers and codes. Names, addresses, telephone numbers, results
and notes never enter the document.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from ingest.address import address
from ingest.parsers import Parsed, Record, Site
from ingest.parsers.hl7v2 import split
from wardwatch.errors import ParseError
from wardwatch.event import ECS_VERSION, Document, LogSource, rfc3339

LOGSOURCE = LogSource(product="hl7", service="v2")
MAX_BYTES = 1 << 20
MAX_MESSAGES = 1000  # in one record: a batch
MAX_TEXT = 256  # characters of one value
MAX_LISTED = 50

_CHARSETS = {  # table 0211; "" leaves the choice to the site
    "GBK": "gb18030",
    "GB2312": "gb18030",
    "GB 18030-2000": "gb18030",
    "GB18030": "gb18030",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "8859/1": "latin-1",
    "8859/15": "iso-8859-15",
    "BIG-5": "big5",
}
_SEGMENT_END = re.compile(r"[\r\n]+")
_CODE = re.compile(r"[A-Za-z0-9_]{1,20}")
_ESCAPE = re.compile(r"\\([FSTRE])\\")
_STATUS = re.compile(r"[A-Z]")  # table 0085
_PARAMETER = re.compile(r"[A-Z][A-Z0-9]{2}(\.[0-9]{1,2}){1,3}")
_TIME = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?)?)?)?(?:([+-])(\d\d)(\d\d))?"
)

_CREATION = frozenset(["A01", "A04", "A05", "A14", "A28", "S12", "T01", "T02", "V04"])
_DELETION = frozenset(["A11", "A23", "A27", "A29", "A38", "S15", "S17", "T11"])
_TYPES = {"ORU": "creation", "RDE": "creation", "RDS": "creation", "RAS": "creation", "DFT": "creation"}
_CHANGED = frozenset(("ADT", "SIU", "MDM", "MFN", "VXU", "BAR"))
_ORDERED = frozenset(("ORM", "OMG", "OML", "OMI", "OMP", "OMS"))
_ORDER_TYPES = {"NW": "creation", "CA": "deletion", "OC": "deletion", "DC": "deletion"}
_ACCESS = frozenset(("QBP", "QRY", "QSB", "QVR", "QCN", "RSP", "RTB", "ADR", "ORF"))
_OUTCOMES = dict.fromkeys(("AA", "CA"), "success") | dict.fromkeys(("AE", "AR", "CE", "CR"), "failure")
_NO = frozenset(("", '""', "N", "NO", "0"))


@dataclass(frozen=True, slots=True)
class Message:
    """One message in text: its separators and, of each segment name, the fields of every segment (index 0: the name).

    The fields of MSH are shifted so that index n is MSH-n.
    """

    segments: dict[str, list[list[str]]]
    component: str
    repetition: str
    escape: str
    subcomponent: str

    def field(self, segment: str, number: int) -> str:
        """Return a whole field of the first such segment; "" when it is not there."""
        found = self.segments.get(segment)
        return found[0][number] if found and number < len(found[0]) else ""

    def value(self, segment: str, number: int, *components: int) -> str:
        """Return the first of the components (from 1; the default) with text, of the field's first repetition."""
        return self.component_of(self.field(segment, number).split(self.repetition, 1)[0], *components)

    def component_of(self, repetition: str, *components: int) -> str:
        """Return the first of the components (from 1; the default) with text, without escapes and subcomponents."""
        parts = repetition.split(self.component)
        for number in components or (1,):
            text = parts[number - 1].split(self.subcomponent, 1)[0].strip() if number <= len(parts) else ""
            if text and text != '""':
                return self._plain(text)[:MAX_TEXT]
        return ""

    def repetitions(self, segment: str, number: int) -> list[str]:
        """Return the field's repetitions."""
        return self.field(segment, number).split(self.repetition)

    def _plain(self, text: str) -> str:
        if self.escape not in text:
            return text
        plain = {"F": "|", "S": self.component, "T": self.subcomponent, "R": self.repetition, "E": "\\"}
        return _ESCAPE.sub(lambda found: plain[found[1]], text.replace(self.escape, "\\"))


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the event of each message in a record; raises ParseError naming the field of MSH that is wrong."""
    if len(record.data) > MAX_BYTES:
        raise ParseError(f"{len(record.data)} bytes, at most {MAX_BYTES} are read", step="hl7v2")
    messages = list(split(record.data))
    if not messages or len(messages) > MAX_MESSAGES:
        raise ParseError(f"{len(messages)} messages in a record, 1 to {MAX_MESSAGES} are read", step="hl7v2")
    return [Parsed(_document(data, record, site), LOGSOURCE) for data in messages]


def _document(data: bytes, record: Record, site: Site) -> Document:
    text, replaced = _text(data, site)
    message = _message(text)
    doc: Document = {
        "@timestamp": _time(message.value("MSH", 7), site.zone) or rfc3339(record.received),
        "ecs.version": ECS_VERSION,
        "event.kind": "event",
        "event.dataset": "hl7.v2",
        "event.module": "hl7",
    }
    doc |= _header(message)
    doc |= _classified(doc)
    fields = _event(message, site.zone) | _patient(message) | _order(message) | _query(message)
    fields["source.ip"] = address(record.peer)
    fields["hl7.replaced_characters"] = replaced
    doc |= {name: value for name, value in fields.items() if value not in (None, "", 0, []) or value is False}
    return doc


def _text(data: bytes, site: Site) -> tuple[str, int]:
    """Return the text by MSH-18, else by the site, and how many characters had to be replaced."""
    header = re.split(rb"[\r\n]", data, maxsplit=1)[0].removeprefix(codecs.BOM_UTF8)
    fields = header.split(header[3:4] or b"|")
    declared = re.split(rb"[~^]", fields[17])[0].strip() if len(fields) > 17 else b""
    charset = _CHARSETS.get(declared.decode("latin-1").upper(), "") or site.charset
    data = data.removeprefix(codecs.BOM_UTF8)
    for name in dict.fromkeys((charset, site.charset)):
        try:
            return data.decode(name), 0
        except UnicodeError:
            continue
        except LookupError:
            raise ParseError("the site's character set is unknown", step="hl7v2") from None
    text = data.decode(charset, "replace")
    return text, text.count("\ufffd")


def _message(text: str) -> Message:
    if not text.startswith("MSH"):
        raise ParseError("no MSH segment at the start", step="hl7v2")
    separator = text[3:4]
    if not separator or separator.isalnum() or separator.isspace():
        raise ParseError("MSH-1 (field separator) is missing", step="hl7v2")
    segments: dict[str, list[list[str]]] = {}
    for line in _SEGMENT_END.split(text):
        fields = line.split(separator)
        segments.setdefault(fields[0].strip(), []).append(fields)
    header = segments["MSH"][0]
    header.insert(1, separator)
    encoding = header[2] if len(header) > 2 else ""
    if not encoding or encoding[0].isalnum():
        raise ParseError("MSH-2 (encoding characters) is missing", step="hl7v2")
    return Message(segments, *(encoding[:4] + "^~\\&"[len(encoding) :]))


def _header(message: Message) -> Document:
    kind = message.value("MSH", 9)
    if not _CODE.fullmatch(kind):
        raise ParseError("MSH-9 (message type) is missing or no code", step="hl7v2")
    trigger = message.value("MSH", 9, 2) or message.value("EVN", 1)
    header = {
        "hl7.message_type": kind.upper(),
        "hl7.trigger": trigger.upper() if _CODE.fullmatch(trigger) else "",
        "hl7.sending_app": message.value("MSH", 3, 1, 2),
        "hl7.sending_facility": message.value("MSH", 4, 1, 2),
        "hl7.receiving_app": message.value("MSH", 5, 1, 2),
        "hl7.receiving_facility": message.value("MSH", 6, 1, 2),
        "hl7.control_id": message.value("MSH", 10),
        "hl7.processing_id": message.value("MSH", 11),
        "hl7.version": message.value("MSH", 12),
        "hl7.ack_code": message.value("MSA", 1),
        "hl7.order_control": message.value("ORC", 1),
    }
    return {name: value for name, value in header.items() if value}


def _classified(doc: Document) -> Document:
    kind, trigger = doc["hl7.message_type"], doc.get("hl7.trigger", "")
    return {
        "event.category": ["network"] if kind in ("ACK", "NAK") else ["database"],
        "event.type": [_type(kind, trigger, doc.get("hl7.order_control", ""))],
        "event.action": f"hl7-{kind}-{trigger}".lower().rstrip("-"),
        "event.outcome": _OUTCOMES.get(doc.get("hl7.ack_code", ""), "unknown"),
    }


def _type(kind: str, trigger: str, order_control: str) -> str:
    if kind in _CHANGED:
        return "creation" if trigger in _CREATION else "deletion" if trigger in _DELETION else "change"
    if kind in _ORDERED:
        return _ORDER_TYPES.get(order_control, "change")
    if kind in _ACCESS:
        return "access"
    return "protocol" if kind in ("ACK", "NAK") else _TYPES.get(kind, "info")


def _event(message: Message, zone: tzinfo) -> Document:
    return {
        "hl7.event_time": _time(message.value("EVN", 2), zone),
        "user.id": message.value("EVN", 5, 1, 2) or message.value("ORC", 10, 1, 2),
        "hl7.segment_count": sum(len(found) for name, found in message.segments.items() if name),
    }


def _patient(message: Message) -> Document:
    known = "PID" in message.segments or "PV1" in message.segments
    vip = message.value("PV1", 16).upper() not in _NO or message.value("PD1", 12).upper() == "Y"
    return {
        "hospital.patient.id_token": _identifier(message, "PID", 3) or message.value("PID", 2) or _asked(message),
        "hospital.patient.merged_id_token": _identifier(message, "MRG", 1),
        "hospital.patient.vip": vip if known else None,
        "hospital.encounter.id_token": message.value("PV1", 19),
        "hospital.department.name": message.value("PV1", 3),
    }


def _identifier(message: Message, segment: str, number: int) -> str:
    """Return the medical record number of a CX list (type MR, table 0203), else its first identifier."""
    repetitions = message.repetitions(segment, number)
    records = (item for item in repetitions if message.component_of(item, 5) == "MR")
    return message.component_of(next(records, repetitions[0]))


def _order(message: Message) -> Document:
    observations = message.segments.get("OBX", [])
    statuses = {fields[11].strip() for fields in observations if len(fields) > 11}
    return {
        "hospital.order.id_token": message.value("ORC", 2) or message.value("OBR", 2) or message.value("ORC", 3),
        "hl7.observation_count": len(observations),
        "hl7.observation_status": sorted(status for status in statuses if _STATUS.fullmatch(status)),
    }


def _query(message: Message) -> Document:
    names = {message.component_of(item).lstrip("@") for item in message.repetitions("QPD", 3) if item[:1] == "@"}
    return {"hl7.query_parameters": sorted(name for name in names if _PARAMETER.fullmatch(name))[:MAX_LISTED]}


def _asked(message: Message) -> str:
    """Return whom a query asks for: QPD-3 of QBP, an identifier or ``@PID.3.1^value`` among others; QRD-8 of QRY."""
    for item in message.repetitions("QPD", 3):
        if item.startswith("@PID.3"):
            return message.component_of(item, 2)
        if item and not item.startswith("@"):
            return message.component_of(item)
    return message.value("QRD", 8)


def _time(text: str, zone: tzinfo) -> str | None:
    """Return a DTM (chapter 2A, 2A.3.22) as RFC 3339, in ``zone`` when it names none; None for what is no time."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (
        int(part or low) for part, low in zip(found.groups(), "011000", strict=False)
    )
    if found[8]:
        offset = timedelta(hours=int(found[9]), minutes=int(found[10]))
        zone = timezone(-offset if found[8] == "-" else offset) if offset < timedelta(days=1) else zone
    try:
        micros = int((found[7] or "").ljust(6, "0"))
        return rfc3339(datetime(year, month, day, hour, minute, second, micros, tzinfo=zone))
    except (ValueError, OverflowError):
        return None
