"""Syslog of any device: RFC 5424 and RFC 3164, its header as fields; its text leaves as ASCII without long numbers.

For devices that have no parser of their own. A frame without time has the time when it was received. Sources: RFC 5424,
RFC 3164; facilities and severities by RFC 5424, 6.2.1.
"""

from __future__ import annotations

from ingest import syslog
from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.charset import text
from ingest.parsers.fields import put
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource, rfc3339

_LOGSOURCE = LogSource(service="syslog")
_SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")
_AUTHENTICATION = (4, 10)  # security and authorisation messages


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a frame; raises ParseError without a priority."""
    message = syslog.parse(record.data.lstrip(), zone=site.zone, received=record.received)
    if message.facility is None or message.severity is None:
        raise ParseError("no syslog priority", step="generic_syslog")
    is_login = message.facility in _AUTHENTICATION
    doc: Document = {
        "@timestamp": rfc3339(message.timestamp or record.received),
        "event.kind": "event",
        "event.module": "syslog",
        "event.dataset": "syslog.message",
        "event.category": ["authentication" if is_login else "host"],
        "event.type": ["info"],
        "event.action": "syslog-message",
        "log.syslog.facility.code": message.facility,
        "log.syslog.severity.code": message.severity,
        "log.level": _SEVERITIES[message.severity],
    }
    if is_login:
        doc["event.outcome"] = "unknown"
    put(doc, "host.name", message.host)
    put(doc, "process.name", message.app)
    put(doc, "process.pid", message.process_id)
    put(doc, "log.syslog.msgid", message.message_id)
    put(doc, "message", text(message.body, site.charset).strip())
    return [Parsed(doc, _LOGSOURCE)]


PARSER = Parser(
    "generic_syslog",
    lines,
    parse,
    dict.fromkeys(("message", "host.name", "process.name", "log.syslog.msgid"), Action.MASK),
    title="Syslog of any device",
    reads="RFC 5424 and RFC 3164 frames of what has no parser of its own",
    logsources=(_LOGSOURCE,),
)
