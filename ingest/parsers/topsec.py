"""Topsec firewalls (TOS): ``id=tos time="…" fw=… pri=… type=… recorder=… src=… dst=… rule=…`` in syslog, UTF-8 or GBK.

Source: no manual of the vendor's could be had; the names are those of logs that public parsers were tested with
(types ac, mgmt, system, sv_netacc and of the threat modules). Free text (``msg``) is never copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.device_events import explain
from ingest.parsers.fields import fill
from ingest.parsers.key_value import pairs
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "topsec"
_LOG = re.compile(r"\bid=(?:tos|TOS|topsec|ngtos)\s(.*)", re.S)
_REFUSED = ("deny", "drop", "reject", "block", "reset")
_OPERATION = re.compile(r"log(?:in|out|off)|connect|disconnect", re.I)
_NAMES: Mapping[str, str] = {
    "fw": "observer.name",
    "pri": "event.severity",
    "type": "event.code",
    "recorder": "event.provider",
    "src": "source.ip",
    "sport": "source.port",
    "smac": "source.mac",
    "dst": "destination.ip",
    "dport": "destination.port",
    "dmac": "destination.mac",
    "proto": "network.transport",
    "indev": "observer.ingress.interface.name",
    "outdev": "observer.egress.interface.name",
    "user": "user.name",
    "rule": "rule.action",
    "policyid": "rule.id",
    "natid": "rule.id",
    "sent": "source.bytes",
    "rcvd": "destination.bytes",
    "trans_src": "source.nat.ip",
    "trans_dst": "destination.nat.ip",
    "app": "network.application",
    "sid": "threat.signature.id",
    "event": "threat.signature.name",
    "virus_name": "threat.signature.name",
    "url": "url.original",
    "host": "url.domain",
    "file_name": "file.name",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when it has no ``id=tos`` or no time."""
    found = _LOG.search(text(record.data, site.charset))
    if not found:
        raise ParseError("no id=tos of a Topsec log", step=_STEP)
    values = pairs(found[1])
    doc: Document = {
        "@timestamp": moment(values.get("time", ""), site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "topsec",
        "event.dataset": "topsec.firewall",
        "observer.vendor": "Topsec",
        "observer.type": "firewall",
    }
    fill(doc, values, _NAMES)
    category = _categorise(doc, values)
    return [Parsed(doc, LogSource("topsec", category or "firewall", "tos"))]


def _categorise(doc: Document, values: Mapping[str, str]) -> str:
    kind, operation = values.get("type", ""), values.get("op", "")
    result = values.get("result", "0")
    if kind in ("ac", "conn", "session", "pf", "nat"):
        firewall_events.traffic(doc, denied=str(doc.get("rule.action", "")).lower().startswith(_REFUSED))
    elif _OPERATION.search(operation):
        ended = operation.lower() in ("logout", "logoff", "disconnect")
        failed = not result.startswith("0") or "fail" in values.get("msg", "").lower()
        firewall_events.login(doc, failed=failed, ended=ended, where="vpn" if kind == "sv_netacc" else "firewall")
    elif kind in ("mgmt", "system"):
        firewall_events.command(doc, failed=not result.startswith("0"))
    else:
        return explain(doc, f"{kind} {values.get('recorder', '')}", values.get("action", values.get("rule", "")))
    return ""


PARSER = Parser(
    "topsec",
    lines,
    parse,
    {
        "user.name": Action.STAFF,
        "url.original": Action.URL,
        "file.name": Action.MASK,
        "threat.signature.name": Action.TEXT,
    },
    title="Topsec firewalls",
    reads="TOS access control, management, VPN and threat logs (id=tos …) by syslog",
    logsources=(LogSource("topsec", "*", "tos"),),
)
