"""The shapes in which Windows events arrive as JSON, told apart by their keys.

evtx_dump (``Event.System``), winlogbeat 7 and newer (``winlog``, nested or dotted), winlogbeat 6 (``log_name`` and
``event_data``), NXLog's flat JSON (``EventID`` beside the event data).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from wardwatch.errors import ParseError
from wardwatch.event import Document

_ENVELOPE = re.compile(
    r"Account(Name|Type)|ActivityID|Category|Channel|Domain|ERROR_EVT_UNRESOLVED|Event(ID|ReceivedTime|Time|TypeOrignal)|"
    r"ExecutionProcessID|Hostname|Keywords|Level|Message|Opcode(Value)?|ProviderGuid|RecordNumber|RelatedActivityID|"
    r"Severity(Value)?|SourceModule(Name|Type)|SourceName|Task|ThreadID|TimeCreated|UserID|Version|@timestamp|@version|"
    r"host|port|tags|type"
)


class WindowsEvent(NamedTuple):
    """One event, whatever shape it came in: ``time`` is "" when the shape has none, ``data`` is not yet flat."""

    event_id: object
    channel: object
    provider: object
    computer: object
    record_id: object
    time: object
    data: Mapping[str, object]
    user_data: Mapping[str, object]
    message: object


def windows_event(raw: Document) -> WindowsEvent:
    """Return the event in a JSON object of any shape; raises ParseError."""
    if isinstance(raw.get("Event"), dict):
        return _evtx_dump(raw["Event"])
    if "winlog.event_id" in raw:
        return _dotted_beat(raw)
    if isinstance(raw.get("winlog"), dict):
        return _beat(raw, raw["winlog"])
    if "log_name" in raw and "event_id" in raw:
        return _beat6(raw)
    if "EventID" in raw:
        return _nxlog(raw)
    raise ParseError("none of the shapes of a Windows event (EventID, winlog, event_id, Event.System)", step="windows")


def _evtx_dump(event: Mapping[str, Any]) -> WindowsEvent:
    system = _object(event.get("System"))
    return WindowsEvent(
        plain(system.get("EventID")),
        system.get("Channel"),
        _attributes(system.get("Provider")).get("Name"),
        system.get("Computer"),
        system.get("EventRecordID"),
        _attributes(system.get("TimeCreated")).get("SystemTime"),
        _object(event.get("EventData")),
        _first_object(event.get("UserData")),
        None,
    )


def _beat(raw: Document, winlog: Mapping[str, Any]) -> WindowsEvent:
    return WindowsEvent(
        winlog.get("event_id"),
        winlog.get("channel"),
        winlog.get("provider_name"),
        winlog.get("computer_name"),
        winlog.get("record_id"),
        raw.get("@timestamp"),
        _object(winlog.get("event_data")),
        _object(winlog.get("user_data")),
        raw.get("message"),
    )


def _dotted_beat(raw: Document) -> WindowsEvent:
    winlog: dict[str, Any] = {"event_data": {}, "user_data": {}}
    for name, value in raw.items():
        if name.startswith("winlog."):
            head, dot, rest = name.removeprefix("winlog.").partition(".")
            if not dot:
                winlog[head] = value
            elif isinstance(winlog.get(head), dict):
                winlog[head][rest] = value
    return _beat(raw, winlog)


def _beat6(raw: Document) -> WindowsEvent:
    return WindowsEvent(
        raw["event_id"],
        raw["log_name"],
        raw.get("source_name"),
        raw.get("computer_name"),
        raw.get("record_number"),
        raw.get("@timestamp"),
        _object(raw.get("event_data")),
        _object(raw.get("user_data")),
        raw.get("message"),
    )


def _nxlog(raw: Document) -> WindowsEvent:
    # TimeCreated and @timestamp carry their zone; EventTime is the writer's local time
    times = (raw.get(name) for name in ("TimeCreated", "@timestamp", "EventTime"))
    return WindowsEvent(
        raw["EventID"],
        raw.get("Channel"),
        raw.get("SourceName"),
        raw.get("Hostname"),
        raw.get("RecordNumber"),
        next((time for time in times if time), None),
        {name: value for name, value in raw.items() if len(name) > _LONGEST or not _is_envelope(name)},
        {},
        raw.get("Message"),
    )


@lru_cache(maxsize=4096)
def _is_envelope(name: str) -> bool:
    return _ENVELOPE.fullmatch(name) is not None


_LONGEST = 32  # characters of a name of the envelope


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _attributes(value: object) -> Mapping[str, Any]:
    return _object(_object(value).get("#attributes"))


def _first_object(user_data: object) -> Mapping[str, Any]:
    """Return the one element that UserData wraps; its name says no more than the event ID."""
    return next((value for value in _object(user_data).values() if isinstance(value, dict)), {})


def plain(value: object) -> object:
    """Return the text of an element that evtx_dump wrote with its attributes."""
    return value.get("#text") if isinstance(value, dict) else value
