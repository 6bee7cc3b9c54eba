"""Windows events in every shape that hospitals ship them, and EVTX files.

Account names of Windows stay readable: rules tell ``SYSTEM``, ``administrator`` and machine accounts (``DC01$``) apart
by name, and a name without its hospital's directory identifies nobody. A print job's document name, often a patient's,
is dropped with everything else of the print channels that is not listed in windows_events.py.
Sources: Microsoft "Advanced security audit policy settings" and "Sysmon", the references of NXLog and Winlogbeat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import orjson

from ingest.address import address
from ingest.parsers import Parsed, Parser, Record, Site
from ingest.parsers.clock import moment
from ingest.parsers.evtx_file import MAGIC, evtx_records
from ingest.parsers.json_objects import json_objects
from ingest.parsers.windows_events import KINDS, REGISTRY_ACTIONS, Kind
from ingest.parsers.windows_shapes import WindowsEvent, plain, windows_event
from ingest.scrub import Action
from wardwatch.channels import SERVICES
from wardwatch.errors import ParseError
from wardwatch.event import MAX_BYTES, MAX_INTEGER, Document, LogSource, rfc3339

_MAX_NAMES = 512  # event data of one event; Microsoft's largest have about 60
_MAX_NAME = 128
_NAME = re.compile(r"(?!.*\d{5})[A-Za-z_#][\w .:#-]{0,48}", re.A)
_UNKNOWN = Kind("")
_ABSENT = ("", "-", None)


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file: the records of an EVTX file as evtx_dump's JSON, else its JSON objects."""
    return evtx_records(data) if data.startswith(MAGIC) else json_objects(data)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a record of any shape; raises ParseError."""
    event = windows_event(_decode(record.data))
    event_id, channel = _event_id(event.event_id), str(event.channel or "")
    service = SERVICES.get(channel.lower(), "")
    kind = KINDS.get((service, event_id), _UNKNOWN)
    doc = _head(event, event_id, channel, service)
    doc["@timestamp"] = _time(event.time, record, site)
    data = _flat(event.data)
    user_data = _flat(event.user_data) if event.user_data else {}
    if not service.startswith("printservice"):
        for name, value in data.items():
            doc[_field("winlog.event_data", name)] = value
        for name, value in user_data.items():
            doc[_field("winlog.user_data", name)] = value
        if not data and not user_data and isinstance(event.message, str):
            doc["message"] = event.message
    _categorise(doc, kind)
    _map(doc, kind, {**data, **user_data} if user_data else data)
    category = REGISTRY_ACTIONS.get(str(data.get("EventType")), kind.sigma) if event_id == 12 else kind.sigma
    return [Parsed(doc, LogSource("windows", category, service))]


def _decode(data: bytes) -> Document:
    # not wardwatch.event.decode: NXLog writes the keywords of an event as -2^63
    if len(data) > MAX_BYTES:
        raise ParseError(f"{len(data)} bytes, at most {MAX_BYTES} are read", step="windows")
    if data.startswith(b"EVTX "):  # what evtx_records says of a damaged part
        raise ParseError(data[:80].decode("ascii", "replace"), step="windows")
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error}", step="windows") from None
    if not isinstance(raw, dict):
        raise ParseError(f"a JSON object is expected, not {type(raw).__name__}", step="windows")
    return raw


def _event_id(value: object) -> int:
    if isinstance(value, int | str) and re.fullmatch(r"\d{1,5}", str(value)):
        return int(value)
    raise ParseError("an event ID is a number of at most five digits", step="windows")


def _time(value: object, record: Record, site: Site) -> str:
    return moment(str(value), site.zone, step="windows") if value else rfc3339(record.received)


def _head(event: WindowsEvent, event_id: int, channel: str, service: str) -> Document:
    doc: Document = {
        "event.kind": "event",
        "event.module": "windows",
        "event.dataset": f"windows.{service or 'other'}",
        "event.code": str(event_id),
        "winlog.event_id": event_id,
        "winlog.channel": channel,
    }
    _put(doc, "winlog.provider_name", event.provider)
    _put(doc, "winlog.computer_name", event.computer)
    _put(doc, "host.name", event.computer)
    _put(doc, "winlog.record_id", event.record_id)
    return doc


def _put(doc: Document, name: str, value: object) -> None:
    if value not in _ABSENT:
        doc[name] = str(value)


def _flat(data: Mapping[str, object]) -> dict[str, str | int | list[str]]:
    """Return event data as strings, integers and lists of strings; raises ParseError for too many or too long names."""
    flat: dict[str, str | int | list[str]] = {}
    if len(data) > _MAX_NAMES:
        raise ParseError(f"{len(data)} names of event data, at most {_MAX_NAMES} are read", step="windows")
    for name, value in data.items():
        if name == "#attributes" or value is None:
            continue
        if len(name) > _MAX_NAME:
            raise ParseError(f"a name of event data is longer than {_MAX_NAME}", step="windows")
        if not _is_name(name):  # no name of Microsoft's: whoever wrote it may have put anything there
            continue
        if isinstance(value, str):
            flat[name] = value
            continue
        content = plain(value)
        flat[name] = [_scalar(item) for item in content] if isinstance(content, list) else _number_or_text(content)
    return flat


@lru_cache(maxsize=4096)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _field(place: str, name: str) -> str:
    return f"{place}.{name}"


def _number_or_text(value: object) -> str | int:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER:
        return value
    return _scalar(value)


def _scalar(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _categorise(doc: Document, kind: Kind) -> None:
    if kind.action:
        doc["event.action"] = kind.action
        doc["event.category"] = list(kind.category)
        doc["event.type"] = list(kind.type)
    if kind.outcome:
        doc["event.outcome"] = kind.outcome


def _map(doc: Document, kind: Kind, data: Mapping[str, object]) -> None:
    for name, target in kind.fields.items():
        value = data.get(name)
        if value not in _ABSENT and not isinstance(value, list):
            _SETTERS.get(target, _put)(doc, target, value)


def _set_number(doc: Document, target: str, value: object) -> None:
    text = str(value)
    if re.fullmatch(r"\d{1,18}|0[xX][0-9a-fA-F]{1,15}", text):
        doc[target] = int(text, 16 if text[:2] in ("0x", "0X") else 10)


def _set_address(doc: Document, target: str, value: object) -> None:
    found = address(str(value))
    if found:
        doc[target] = found


def _set_path(doc: Document, target: str, value: object) -> None:
    doc[target] = path = str(value)
    doc[f"{target.rpartition('.')[0]}.name"] = path.rpartition("\\")[2]


def _set_account(doc: Document, _target: str, value: object) -> None:
    domain, _, name = str(value).rpartition("\\")
    doc["user.name"] = name
    _put(doc, "user.domain", domain)


def _set_hashes(doc: Document, target: str, value: object) -> None:
    """Set the hashes of Sysmon's ``SHA256=…,IMPHASH=…``."""
    for pair in str(value).split(",")[:8]:
        name, _, digest = pair.partition("=")
        if name in _HASHES and _HEX.fullmatch(digest):
            doc[f"{target}.{name.lower()}"] = digest.lower()


def _set_lower(doc: Document, target: str, value: object) -> None:
    doc[target] = str(value).lower()


_HEX = re.compile("(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{1,64}")  # not of digits alone, as identity numbers are
_HASHES = ("MD5", "SHA1", "SHA256")
_SETTERS: Mapping[str, Callable[[Document, str, object], None]] = {
    "user": _set_account,
    "process.pid": _set_number,
    "process.parent.pid": _set_number,
    "process.target.pid": _set_number,
    "source.port": _set_number,
    "destination.port": _set_number,
    "print.job_id": _set_number,
    "print.pages": _set_number,
    "print.size_bytes": _set_number,
    "source.ip": _set_address,
    "destination.ip": _set_address,
    "process.executable": _set_path,
    "process.parent.executable": _set_path,
    "process.target.executable": _set_path,
    "dll.path": _set_path,
    "file.path": _set_path,
    "process.hash": _set_hashes,
    "file.hash": _set_hashes,
    "dll.hash": _set_hashes,
    "network.transport": _set_lower,
}

_TEXTS = (
    "message",
    "process.command_line",
    "process.parent.command_line",
    "file.path",
    "file.name",
    "winlog.event_data.CommandLine",
    "winlog.event_data.ParentCommandLine",
    "winlog.event_data.ScriptBlockText",
    "winlog.event_data.Payload",
    "winlog.event_data.ContextInfo",
    "winlog.event_data.TargetFilename",
    "winlog.event_data.RelativeTargetName",
    "winlog.event_data.Data",
)

PARSER = Parser(
    "windows",
    split,
    parse,
    {**dict.fromkeys(_TEXTS, Action.TEXT), "print.document": Action.DROP},
    title="Windows events",
    reads="flat NXLog JSON, winlogbeat JSON, evtx_dump JSON, EVTX files",
    logsources=(LogSource("windows", "*", "*"),),
    magic=MAGIC,
)
