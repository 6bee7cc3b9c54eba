"""Palo Alto Networks PAN-OS: comma-separated TRAFFIC, THREAT, GLOBALPROTECT, SYSTEM, CONFIG and USERID logs in syslog.

Source: Palo Alto Networks "PAN-OS administrator's guide", syslog field descriptions (PAN-OS 9.1 to 11). Times are the
firewall's local ones, read in the site's zone. Mail addresses, subjects and descriptions are never copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest.parsers import Parsed, Parser, Record, Site, csv_line, firewall_events, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, put, put_hash
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "paloalto"
_TYPES = "TRAFFIC|THREAT|GLOBALPROTECT|SYSTEM|CONFIG|USERID"
_LOG = re.compile(rf"[^,\s]{{0,20}},\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d,[^,]{{0,32}},(?:{_TYPES}),.*", re.S)
_THREAT_ID = re.compile(r"(.{0,256})\((\d{1,12})\)", re.S)
_REFUSED = ("deny", "drop", "block", "reset", "sinkhole")
_FLOW: Mapping[int, str] = {
    7: "source.ip",
    8: "destination.ip",
    9: "source.nat.ip",
    10: "destination.nat.ip",
    11: "rule.name",
    12: "user.name",
    13: "user.target.name",
    14: "network.application",
    15: "observer.vsys",
    16: "observer.ingress.zone",
    17: "observer.egress.zone",
    18: "observer.ingress.interface.name",
    19: "observer.egress.interface.name",
    24: "source.port",
    25: "destination.port",
    26: "source.nat.port",
    27: "destination.nat.port",
    29: "network.transport",
    30: "rule.action",
}
_FIELDS: Mapping[str, Mapping[int, str]] = {
    "TRAFFIC": {
        **_FLOW,
        32: "source.bytes",
        33: "destination.bytes",
        37: "rule.category",
        39: "event.sequence",
        44: "source.packets",
        45: "destination.packets",
        46: "event.reason",
        52: "observer.name",
    },
    "THREAT": {
        **_FLOW,
        33: "rule.category",
        34: "threat.severity",
        36: "event.sequence",
        46: "user_agent.original",
        49: "http.request.referrer",
        59: "observer.name",
        63: "http.request.method",
    },
    "GLOBALPROTECT": {
        7: "observer.vsys",
        8: "event.code",
        12: "user.name",
        14: "source.domain",
        15: "source.ip",
        16: "source.ip",
        17: "source.nat.ip",
        22: "host.os.name",
    },
    "SYSTEM": {7: "observer.vsys", 8: "event.code", 13: "log.level", 15: "event.sequence", 22: "observer.name"},
    "CONFIG": {7: "source.ip", 8: "observer.vsys", 9: "event.code", 10: "user.name", 12: "event.reason"},
    "USERID": {7: "observer.vsys", 8: "source.ip", 9: "user.name", 11: "event.code"},
}
_CATEGORIES = {"url": "proxy", "virus": "antivirus", "wildfire-virus": "antivirus", "wildfire": "antivirus"}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when its type is none of those above."""
    found = _LOG.search(text(record.data, site.charset).strip())
    values = csv_line.values(found[0], step=_STEP) if found else []
    if len(values) < 10:
        raise ParseError("no TRAFFIC, THREAT, GLOBALPROTECT, SYSTEM, CONFIG or USERID log of PAN-OS", step=_STEP)
    kind, subtype = values[3], values[4].lower()
    doc: Document = {
        "@timestamp": moment((values[6] or values[1]).replace("/", "-"), site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "panw",
        "event.dataset": "panw.panos",
        "observer.vendor": "Palo Alto Networks",
        "observer.product": "PAN-OS",
        "observer.type": "firewall",
        "panw.subtype": subtype[:32],
    }
    put(doc, "observer.serial_number", values[2])
    for place, name in _FIELDS[kind].items():
        if place < len(values):
            put(doc, name, values[place])
    category = _categorise(doc, kind, subtype, values)
    return [Parsed(doc, LogSource("paloalto", category, kind.lower()))]


def _categorise(doc: Document, kind: str, subtype: str, values: list[str]) -> str:
    denied = str(doc.get("rule.action", "")).startswith(_REFUSED)
    if kind == "TRAFFIC":
        firewall_events.traffic(doc, denied=denied or subtype in ("deny", "drop"))
        return "firewall"
    if kind == "THREAT":
        return _threat(doc, subtype, denied, values)
    if kind == "GLOBALPROTECT":
        failed, code = "fail" in "".join(values[28:29]).lower(), str(doc.get("event.code", ""))
        firewall_events.login(doc, failed=failed, ended="logout" in code, where="vpn")
    elif kind == "SYSTEM":
        _system(doc, subtype)
    elif kind == "CONFIG":
        firewall_events.command(doc, failed=str(doc.get("event.reason", "")).lower() in ("failed", "unauthorized"))
    else:
        firewall_events.login(doc, ended=subtype == "logout", where="network")
    return ""


def _threat(doc: Document, subtype: str, denied: bool, values: list[str]) -> str:
    signature = _THREAT_ID.fullmatch("".join(values[32:33]))
    place = "".join(values[31:32])
    if subtype == "url":
        put(doc, "url.original", f"//{place}")
        firewall_events.web(doc, denied=denied)
        return "proxy"
    if signature:
        put(doc, "threat.signature.name", signature[1])
        put(doc, "threat.signature.id", signature[2])
    put(doc, "file.name", place)
    put_hash(doc, "".join(values[43:44]))
    malware = subtype in _CATEGORIES
    category, action = ("malware", "virus-detected") if malware else ("intrusion_detection", "intrusion-detected")
    firewall_events.threat(doc, category, action, denied=denied)
    return _CATEGORIES.get(subtype, "")


def _system(doc: Document, subtype: str) -> None:
    code = str(doc.get("event.code", "")).lower()
    if "auth" in f"{subtype}{code}" or "login" in code or "logout" in code:
        firewall_events.login(doc, failed="fail" in code, ended="logout" in code)
    else:
        classify(doc, "host", "info", "device-event")


PARSER = Parser(
    "paloalto",
    lines,
    parse,
    {
        **dict.fromkeys(("user.name", "user.target.name", "source.domain"), Action.STAFF),
        **dict.fromkeys(("url.original", "http.request.referrer"), Action.URL),
        **dict.fromkeys(("user_agent.original", "file.name"), Action.MASK),
        "event.reason": Action.TEXT,
    },
    title="Palo Alto Networks PAN-OS",
    reads="TRAFFIC, THREAT, GLOBALPROTECT, SYSTEM, CONFIG and USERID logs as CSV, by syslog or from files",
    logsources=(LogSource("paloalto", "*", "*"),),
)
