"""Sysmon for Linux: an ``<Event>`` of Sysmon's XML in each line of syslog.

The meaning of an event ID is Windows Sysmon's (windows_events.py); Linux has 1, 3, 4, 5, 9, 11, 16, 23 and 255. A line
that syslog cut short is refused. ``LogonId`` is the ID of the account that logged in. Source: microsoft/SysmonForLinux
(README, sysmon(8), manifest.xml).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.audit_xml import read_xml
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, fill, put, put_hash, text_of
from ingest.parsers.windows_events import KINDS, Kind
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "sysmon_linux"
_START = b"<Event>"
_UNKNOWN = Kind("sysmon-event", ("host",), ("info",))
_NAMES: Mapping[str, str] = {
    "User": "user.name",
    "LogonId": "user.id",
    "Initiated": "sysmon.initiated",
    "RuleName": "rule.name",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a line; raises ParseError when it has no whole ``<Event>`` of Linux-Sysmon."""
    _, start, rest = record.data.partition(_START)
    if not start:
        raise ParseError("no <Event> of Sysmon", step=_STEP)
    event = read_xml(start + rest.rstrip(b"\r\n\0 "), site.charset, step=_STEP)
    event_id = event.findtext("System/EventID", "")
    provider = event.find("System/Provider")
    if provider is None or provider.get("Name") != "Linux-Sysmon" or not re.fullmatch(r"\d{1,3}", event_id):
        raise ParseError("no event ID of the provider Linux-Sysmon", step=_STEP)
    kind = KINDS.get(("sysmon", int(event_id)), _UNKNOWN)
    doc: Document = {
        "@timestamp": _time(event, site),
        "event.kind": "event",
        "event.module": "sysmon",
        "event.dataset": f"sysmon.{kind.sigma or 'other'}",
        "event.code": event_id,
    }
    put(doc, "host.name", event.findtext("System/Computer"))
    classify(doc, list(kind.category), list(kind.type), kind.action, kind.outcome or None)
    _fill(doc, kind, {item.get("Name", ""): item.text or "" for item in event.iterfind("EventData/Data")})
    return [Parsed(doc, LogSource("linux", kind.sigma, "sysmon"))]


def _time(event: Element, site: Site) -> str:
    created = event.find("System/TimeCreated")
    return moment(created.get("SystemTime", "") if created is not None else "", site.zone, step=_STEP)


def _fill(doc: Document, kind: Kind, values: Mapping[str, str]) -> None:
    fill(doc, values, _NAMES)
    for name, target in kind.fields.items():
        value = text_of(values.get(name))
        if target.endswith(".hash"):
            for digest in value.split(",")[:8]:
                put_hash(doc, digest.rpartition("=")[2], target.removesuffix(".hash"))
        elif target != "user":
            put(doc, target, value)
        if target.endswith(".executable"):
            put(doc, f"{target.removesuffix('.executable')}.name", value.rpartition("/")[2])


_FILES = (
    "file.path",
    "process.executable",
    "process.name",
    "process.working_directory",
    "process.parent.executable",
    "process.parent.name",
    "user.name",
    "user.id",
    "host.name",
    "source.domain",
    "destination.domain",
    "rule.name",
)

PARSER = Parser(
    "sysmon_linux",
    lines,
    parse,
    {
        **dict.fromkeys(_FILES, Action.MASK),
        **dict.fromkeys(("process.command_line", "process.parent.command_line"), Action.COMMAND),
    },
    title="Sysmon for Linux",
    reads="process, network, file and state events of Sysmon for Linux by syslog",
    logsources=(LogSource("linux", "*", "sysmon"),),
)
