"""HL7 v2 messages, as hospital systems send them over MLLP or leave them in files (HL7 v2.9, chapters 2, 2A, 3 and 5).

Only what detection needs is read: header, event, identifiers and codes. Names, addresses, telephone numbers, results
and notes never enter the document.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ingest.address import address
from ingest.parsers import Parsed, Parser, Record, Site
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import ECS_VERSION, Document, LogSource, rfc3339

LOGSOURCE = LogSource(product="hl7", service="v2")
MAX_BYTES = 1 << 20
MAX_MESSAGES = 1000  # in one record: a batch
MAX_TEXT = 256  # characters of one value
MAX_LISTED = 50
_REMEMBERED = 4096  # characters of a message whose header is remembered

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
_MESSAGE = re.compile(rb"(?:\A|(?<=[\r\n\x0b\x1c]))(?:\xef\xbb\xbf)?MSH")
_BATCH = (b"FHS", b"BHS", b"BTS", b"FTS")
_FRAMING = b"\x0b\x1c\r\n \t\0"
_CODES = re.compile(rb"[~^]")
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


class Separators(NamedTuple):
    """The separators of a message (MSH-1 and MSH-2) and what they make of a field."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str

    def value(self, field: str) -> str:
        """Return the first component of a field's first repetition, without escapes and subcomponents."""
        if not field:
            return ""
        if self.repetition in field:
            field = field.split(self.repetition, 1)[0]
        if self.component in field:
            field = field.split(self.component, 1)[0]
        return self.text(field)

    def any_of(self, field: str, *components: int) -> str:
        """Return the first of the components (from 1) that has text, of a field's first repetition."""
        if not field:
            return ""
        parts = field.split(self.repetition, 1)[0].split(self.component)
        for number in components:
            if number <= len(parts) and (text := self.text(parts[number - 1])):
                return text
        return ""

    def text(self, component: str) -> str:
        """Return a component without escapes and subcomponents."""
        if self.subcomponent in component:
            component = component.split(self.subcomponent, 1)[0]
        text = component.strip()
        if text == '""':
            return ""
        return (self._plain(text) if self.escape in text else text)[:MAX_TEXT]

    def _plain(self, text: str) -> str:
        plain = {"F": "|", "S": self.component, "T": self.subcomponent, "R": self.repetition, "E": "\\"}
        return _ESCAPE.sub(lambda found: plain[found[1]], text.replace(self.escape, "\\"))


class Message(NamedTuple):
    """One message in text, its segments not yet cut into fields."""

    separators: Separators
    names: list[str]
    lines: list[str]
    first: dict[str, str]

    def fields(self, segment: str, last: int) -> list[str]:
        """Return the first such segment's fields up to number ``last`` (index 0: the name), "" for what is absent.

        Those of MSH are numbered as in the standard: MSH-1 is the separator.
        """
        found = self.first.get(segment, "").split(self.separators.field, last + 1)
        if segment == "MSH":
            found.insert(1, self.separators.field)
        if len(found) <= last:
            found += [""] * (last + 1 - len(found))
        return found

    def value(self, segment: str, number: int) -> str:
        """Return the text of a field of the first such segment, as ``Separators.value`` does."""
        return self.separators.value(self.fields(segment, number)[number])


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file into its messages, each from its MSH segment on; batch headers and MLLP framing are left out."""
    starts = [found.start() for found in _MESSAGE.finditer(data)]
    preamble = data[: starts[0]] if starts else data
    if any(not line.startswith(_BATCH) for line in preamble.strip(_FRAMING).splitlines() if line.strip(_FRAMING)):
        yield preamble.strip(_FRAMING)
    for start, end in pairwise([*starts, len(data)]):
        yield data[start:end].strip(_FRAMING)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the event of each message in a record; raises ParseError naming the field of MSH that is wrong."""
    if len(record.data) > MAX_BYTES:
        raise ParseError(f"{len(record.data)} bytes, at most {MAX_BYTES} are read", step="hl7v2")
    is_one = record.data.startswith(b"MSH") and record.data.count(b"MSH") == 1
    messages = [record.data.strip(_FRAMING)] if is_one else list(split(record.data))
    if not messages or len(messages) > MAX_MESSAGES:
        raise ParseError(f"{len(messages)} messages in a record, 1 to {MAX_MESSAGES} are read", step="hl7v2")
    return [Parsed(_document(data, record, site), LOGSOURCE) for data in messages]


def _document(data: bytes, record: Record, site: Site) -> Document:
    text, replaced = _text(data, site)
    message = _message(text)
    first, value = message.first, message.separators.value
    header, event = message.fields("MSH", 12), message.fields("EVN", 5)
    said = (*header[3:7], header[9], header[11], header[12], event[1])
    about = tuple([message.fields(name, 1)[1] if name in first else "" for name in ("MSA", "ORC")])
    head = _head if len(text) <= _REMEMBERED else _head.__wrapped__
    doc = head(message.separators, said, about).copy()
    doc["@timestamp"] = _time(value(header[7]), site.zone) or rfc3339(record.received)
    doc["hl7.segment_count"] = len(message.names) - message.names.count("")
    _put(doc, "hl7.control_id", value(header[10]))
    _put(doc, "source.ip", address(record.peer))
    _put(doc, "hl7.event_time", _time(value(event[2]), site.zone))
    _put(doc, "user.id", _operator(message, event[5]))
    _patient(doc, message)
    if not first.keys().isdisjoint(_OF_ORDERS):
        _order(doc, message)
    if "QPD" in first:
        _query(doc, message)
    if replaced:
        doc["hl7.replaced_characters"] = replaced
    return doc


_OF_ORDERS = ("ORC", "OBR", "OBX")


def _put(doc: Document, name: str, value: object) -> None:
    if value:
        doc[name] = value


def _text(data: bytes, site: Site) -> tuple[str, int]:
    """Return the text by MSH-18, else by the site, and how many characters had to be replaced."""
    data = data.removeprefix(codecs.BOM_UTF8)
    fields = data.split(b"\r", 1)[0].split(b"\n", 1)[0].split(data[3:4] or b"|", 18)
    declared = fields[17] if len(fields) > 17 else b""
    charset = (_charset if len(declared) <= _MAX_DECLARED else _charset.__wrapped__)(declared) or site.charset
    try:
        return data.decode(charset), 0
    except UnicodeError:
        return _repaired(data, charset, site)
    except LookupError:
        raise ParseError("the site's character set is unknown", step="hl7v2") from None


@lru_cache(maxsize=256)
def _charset(declared: bytes) -> str:
    """Return the first character set of MSH-18, "" for one that isn't known."""
    return _CHARSETS.get(_CODES.split(declared, 1)[0].strip().decode("latin-1").upper(), "")


_MAX_DECLARED = 256  # bytes of MSH-18 that are remembered


def _repaired(data: bytes, charset: str, site: Site) -> tuple[str, int]:
    try:
        return data.decode(site.charset), 0
    except UnicodeError:
        text = data.decode(charset, "replace")
        return text, text.count("\ufffd")
    except LookupError:
        raise ParseError("the site's character set is unknown", step="hl7v2") from None


def _message(text: str) -> Message:
    if not text.startswith("MSH"):
        raise ParseError("no MSH segment at the start", step="hl7v2")
    separator = text[3:4]
    if not separator or separator.isalnum() or separator.isspace():
        raise ParseError("MSH-1 (field separator) is missing", step="hl7v2")
    lines = text.replace("\n", "\r").split("\r")
    names = [line.split(separator, 1)[0].strip() for line in lines]
    encoding = lines[0].split(separator, 2)[1]
    if not encoding or encoding[0].isalnum():
        raise ParseError("MSH-2 (encoding characters) is missing", step="hl7v2")
    return Message(_separators(separator, encoding[:4]), names, lines, dict(zip(names[::-1], lines[::-1], strict=True)))


@lru_cache(maxsize=256)
def _separators(field: str, encoding: str) -> Separators:
    return Separators(field, *(encoding + "^~\\&"[len(encoding) :]))


@lru_cache(maxsize=1024)
def _head(separators: Separators, said: tuple[str, ...], about: tuple[str, ...]) -> Document:
    """Return what MSH-3 to 6, 9, 11 and 12, EVN-1, MSA-1 and ORC-1 say, which most messages of a sender share."""
    value = separators.value
    kind = value(said[4])
    if not _CODE.fullmatch(kind):
        raise ParseError("MSH-9 (message type) is missing or no code", step="hl7v2")
    acknowledged, order_control = map(value, about)
    trigger = separators.any_of(said[4], 2) or value(said[7])
    doc: Document = {
        "ecs.version": ECS_VERSION,
        "event.kind": "event",
        "event.dataset": "hl7.v2",
        "event.module": "hl7",
        "hl7.message_type": kind.upper(),
    }
    _put(doc, "hl7.trigger", trigger.upper() if _CODE.fullmatch(trigger) else "")
    for name, field in zip(_APPLICATIONS, said[:4], strict=True):
        _put(doc, name, separators.any_of(field, 1, 2))
    _put(doc, "hl7.processing_id", value(said[5]))
    _put(doc, "hl7.version", value(said[6]))
    _put(doc, "hl7.ack_code", acknowledged)
    _put(doc, "hl7.order_control", order_control)
    return doc | _classified(doc)


_APPLICATIONS = ("hl7.sending_app", "hl7.sending_facility", "hl7.receiving_app", "hl7.receiving_facility")


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


def _operator(message: Message, entered_by: str) -> str:
    any_of = message.separators.any_of
    return any_of(entered_by, 1, 2) or (any_of(message.fields("ORC", 10)[10], 1, 2) if "ORC" in message.first else "")


def _patient(doc: Document, message: Message) -> None:
    first, value = message.first, message.separators.value
    patient, visit = message.fields("PID", 3), message.fields("PV1", 19)
    identifier = _identifier(message.separators, patient[3]) or value(patient[2])
    _put(doc, "hospital.patient.id_token", identifier or _asked(message))
    if "PID" in first or "PV1" in first:
        is_protected = "PD1" in first and message.value("PD1", 12).upper() == "Y"
        doc["hospital.patient.vip"] = value(visit[16]).upper() not in _NO or is_protected
    if "MRG" in first:
        _put(doc, "hospital.patient.merged_id_token", _identifier(message.separators, message.fields("MRG", 1)[1]))
    _put(doc, "hospital.encounter.id_token", value(visit[19]))
    _put(doc, "hospital.department.name", value(visit[3]))


_TYPE = 5  # component of a CX


def _identifier(separators: Separators, field: str) -> str:
    """Return the medical record number of a CX list (type MR, table 0203), else its first identifier."""
    for item in field.split(separators.repetition):
        parts = item.split(separators.component, 5)
        if len(parts) >= _TYPE and separators.text(parts[_TYPE - 1]) == "MR":
            return separators.text(parts[0])
    return separators.value(field)


def _order(doc: Document, message: Message) -> None:
    order, value = message.fields("ORC", 3), message.separators.value
    _put(doc, "hospital.order.id_token", value(order[2]) or message.value("OBR", 2) or value(order[3]))
    observations = [line for name, line in zip(message.names, message.lines, strict=True) if name == "OBX"]
    statuses = {fields[11].strip() for line in observations if len(fields := line.split(message.separators.field)) > 11}
    _put(doc, "hl7.observation_count", len(observations))
    _put(doc, "hl7.observation_status", sorted(status for status in statuses if _STATUS.fullmatch(status)))


def _query(doc: Document, message: Message) -> None:
    value = message.separators.value
    names = {value(item).lstrip("@") for item in _parameters(message) if item[:1] == "@"}
    _put(doc, "hl7.query_parameters", sorted(name for name in names if _PARAMETER.fullmatch(name))[:MAX_LISTED])


def _parameters(message: Message) -> list[str]:
    return message.fields("QPD", 3)[3].split(message.separators.repetition)


def _asked(message: Message) -> str:
    """Return whom a query asks for: QPD-3 of QBP, an identifier or ``@PID.3.1^value`` among others; QRD-8 of QRY."""
    for item in _parameters(message):
        if item.startswith("@PID.3"):
            return message.separators.any_of(item, 2)
        if item and not item.startswith("@"):
            return message.separators.value(item)
    return message.value("QRD", 8)


def _time(text: str, zone: tzinfo) -> str | None:
    """Return a DTM (chapter 2A, 2A.3.22) as RFC 3339, in ``zone`` when it names none; None for what is no time."""
    if len(text) == _SECONDS and text.isascii() and text.isdecimal() and text[12:] < "60":
        minute = _minute(text[:12], zone)
        if minute:
            return f"{minute}{text[12:]}.000Z"
    return _any_time(text, zone)


_SECONDS = 14  # characters of a time of day without fraction and zone


@lru_cache(maxsize=4096)
def _minute(text: str, zone: tzinfo) -> str:
    """Return what the times of a minute start with, ``2026-03-01T02:11:``; "" where a zone counts in seconds."""
    start = _any_time(text, zone) or ""
    return start[:17] if start[17:] == "00.000Z" else ""


def _any_time(text: str, zone: tzinfo) -> str | None:
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


PARSER = Parser(
    name="hl7v2",
    split=split,
    parse=parse,
    policy={
        "user.id": Action.STAFF,
        "hospital.patient.id_token": Action.PATIENT,
        "hospital.patient.merged_id_token": Action.PATIENT,
        "hospital.encounter.id_token": Action.ENCOUNTER,
        "hospital.order.id_token": Action.ENCOUNTER,
    },
    title="HL7 v2 messages",
    reads="ADT, QBP, ORU, … in any separators, CR, LF or CRLF, GBK or UTF-8 by MSH-18",
    logsources=(LOGSOURCE,),
    whole=True,
)
