"""Fortinet FortiGate: ``date=… time=… devname="…" type="traffic" subtype="forward" …`` in syslog or files.

Source: Fortinet "FortiOS log message reference" 7.x (log field format, traffic, event and UTM logs). Times are those of
``eventtime`` (ns, ms or s since 1970, by version), or ``date``, ``time`` and ``tz``. Free text is never copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import epoch, moment
from ingest.parsers.fields import classify, fill, put, put_hash
from ingest.parsers.key_value import pairs
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "fortigate"
_START = re.compile(r'\b(?:date|eventtime|logver|timestamp|devname|logid)="?[\w-]')
_ZONE = re.compile(r"[+-]\d{4}")
_REFUSED = ("deny", "block", "drop", "reset", "client-rst", "quarantine")
_NAMES: Mapping[str, str] = {
    "devname": "observer.name",
    "devid": "observer.serial_number",
    "vd": "observer.vsys",
    "logid": "event.code",
    "srcip": "source.ip",
    "remip": "source.ip",
    "srcport": "source.port",
    "srcmac": "source.mac",
    "srcname": "source.domain",
    "srccountry": "source.geo.name",
    "transip": "source.nat.ip",
    "transport": "source.nat.port",
    "dstip": "destination.ip",
    "locip": "destination.ip",
    "dstport": "destination.port",
    "dstmac": "destination.mac",
    "dstcountry": "destination.geo.name",
    "tranip": "destination.nat.ip",
    "tranport": "destination.nat.port",
    "sentbyte": "source.bytes",
    "rcvdbyte": "destination.bytes",
    "sentpkt": "source.packets",
    "rcvdpkt": "destination.packets",
    "proto": "network.transport",
    "service": "network.protocol",
    "app": "network.application",
    "srcintf": "observer.ingress.interface.name",
    "dstintf": "observer.egress.interface.name",
    "user": "user.name",
    "group": "user.group.name",
    "policyid": "rule.id",
    "policyname": "rule.name",
    "action": "rule.action",
    "catdesc": "rule.category",
    "attack": "threat.signature.name",
    "virus": "threat.signature.name",
    "attackid": "threat.signature.id",
    "virusid": "threat.signature.id",
    "severity": "threat.severity",
    "hostname": "url.domain",
    "url": "url.path",
    "agent": "user_agent.original",
    "httpmethod": "http.request.method",
    "filename": "file.name",
    "filehash": "file.hash.sha256",
    "qname": "dns.question.name",
    "qtype": "dns.question.type",
    "cfgpath": "fortinet.cfgpath",
    "cfgobj": "fortinet.cfgobj",
    "tunneltype": "fortinet.tunnel_type",
    "subtype": "fortinet.subtype",
    "type": "fortinet.type",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when it has neither type nor time."""
    frame = text(record.data, site.charset)
    start = _START.search(frame)
    values = pairs(frame[start.start() :]) if start else {}
    if not values.get("type"):
        raise ParseError("no date=… type=… of a FortiGate log", step=_STEP)
    doc: Document = {
        "@timestamp": _time(values, site),
        "event.kind": "event",
        "event.module": "fortinet",
        "event.dataset": "fortinet.fortigate",
        "observer.vendor": "Fortinet",
        "observer.product": "FortiGate",
        "observer.type": "firewall",
    }
    digest = values.pop("filehash", "")
    fill(doc, values, _NAMES)
    put_hash(doc, digest)
    kind, subtype = values["type"].lower(), values.get("subtype", "").lower()
    category = _categorise(doc, kind, subtype, values)
    return [Parsed(doc, LogSource("fortigate", category, kind))]


def _time(values: Mapping[str, str], site: Site) -> str:
    if values.get("eventtime"):
        return epoch(values["eventtime"], step=_STEP)
    zone = values.get("tz", "")
    zone = f"{zone[:3]}:{zone[3:]}" if _ZONE.fullmatch(zone) else ""
    return moment(f"{values.get('date', '')}T{values.get('time', '')}{zone}", site.zone, step=_STEP)


def _categorise(doc: Document, kind: str, subtype: str, values: Mapping[str, str]) -> str:
    denied = values.get("action", "").lower().startswith(_REFUSED) or values.get("utmaction") == "block"
    if kind == "traffic":
        firewall_events.traffic(doc, denied=denied)
        return "firewall"
    if kind in ("utm", "virus", "webfilter", "ips", "dns", "app-ctrl", "anomaly", "waf"):
        category, categorise = _UTM.get(subtype or kind, _UTM["app-ctrl"])
        categorise(doc, denied)
        return category
    _event(doc, subtype, values)
    return ""


def _event(doc: Document, subtype: str, values: Mapping[str, str]) -> None:
    action, status = values.get("action", "").lower(), values.get("status", "").lower()
    failed = "fail" in f"{action} {status} {values.get('logdesc', '').lower()}" or status in ("deny", "error")
    if action in ("login", "logout") or "authentication" in action or subtype == "user":
        firewall_events.login(doc, failed=failed, ended=action in ("logout", "auth-logout"))
    elif subtype == "vpn":
        ended = "down" in action or "logout" in action
        firewall_events.login(doc, failed=failed or "fail" in action, ended=ended, where="vpn")
    elif values.get("cfgpath"):
        firewall_events.command(doc, failed=failed)
    else:
        classify(doc, "host", "info", "device-event")
        put(doc, "event.outcome", "failure" if failed else None)


def _dns(doc: Document, denied: bool) -> None:
    classify(doc, "network", ["protocol", "denied" if denied else "allowed"], "dns-query")
    firewall_events.towards(doc)


def _threat(category: str, action: str) -> Callable[[Document, bool], None]:
    return lambda doc, denied: firewall_events.threat(doc, category, action, denied=denied)


_UTM: dict[str, tuple[str, Callable[[Document, bool], None]]] = {
    "virus": ("antivirus", _threat("malware", "virus-detected")),
    "webfilter": ("proxy", lambda doc, denied: firewall_events.web(doc, denied=denied)),
    "ips": ("", _threat("intrusion_detection", "intrusion-detected")),
    "anomaly": ("", _threat("intrusion_detection", "attack-detected")),
    "waf": ("", _threat("intrusion_detection", "attack-detected")),
    "dns": ("dns", _dns),
    "app-ctrl": ("firewall", lambda doc, denied: firewall_events.traffic(doc, denied=denied)),
}

PARSER = Parser(
    "fortigate",
    lines,
    parse,
    {
        **dict.fromkeys(("user.name", "source.domain"), Action.STAFF),
        "url.path": Action.URL,
        **dict.fromkeys(("user_agent.original", "file.name", "fortinet.cfgobj"), Action.MASK),
    },
    title="Fortinet FortiGate",
    reads="FortiOS traffic, event and UTM logs as key=value, by syslog or from files",
    logsources=(LogSource("fortigate", "*", "*"),),
)
