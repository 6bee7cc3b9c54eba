"""Suricata EVE: JSON objects of alerts and of what was seen on the network, behind a syslog header or from a file.

Source: Suricata user guide, "EVE JSON format" and "EVE JSON output" (7 and 8). Packets, payloads and mail
are never copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, fill, put, text_of
from ingest.parsers.json_body import body, flat
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "suricata"
_Categorise = Callable[[Document, Mapping[str, Any]], None]
_NAMES: Mapping[str, str] = {
    "src_ip": "source.ip",
    "src_port": "source.port",
    "dest_ip": "destination.ip",
    "dest_port": "destination.port",
    "ether.src_mac": "source.mac",
    "ether.dest_mac": "destination.mac",
    "proto": "network.transport",
    "app_proto": "network.protocol",
    "community_id": "network.community_id",
    "flow_id": "suricata.flow_id",
    "host": "observer.name",
    "in_iface": "observer.ingress.interface.name",
    "event_type": "suricata.event_type",
    "alert.signature": "rule.name",
    "alert.signature_id": "rule.id",
    "alert.rev": "rule.version",
    "alert.category": "rule.category",
    "alert.severity": "event.severity",
    "alert.action": "rule.action",
    "http.hostname": "url.domain",
    "http.url": "url.original",
    "http.http_method": "http.request.method",
    "http.http_user_agent": "user_agent.original",
    "http.http_refer": "http.request.referrer",
    "http.status": "http.response.status_code",
    "http.length": "http.response.body.bytes",
    "http.http_content_type": "http.response.mime_type",
    "dns.rrname": "dns.question.name",
    "dns.rrtype": "dns.question.type",
    "dns.rcode": "dns.response_code",
    "dns.id": "dns.id",
    "tls.sni": "tls.client.server_name",
    "tls.version": "tls.version",
    "tls.subject": "tls.server.subject",
    "tls.issuerdn": "tls.server.issuer",
    "tls.ja3.hash": "tls.client.ja3",
    "tls.ja3s.hash": "tls.server.ja3s",
    "flow.bytes_toserver": "source.bytes",
    "flow.bytes_toclient": "destination.bytes",
    "flow.pkts_toserver": "source.packets",
    "flow.pkts_toclient": "destination.packets",
    "flow.state": "suricata.flow_state",
    "flow.reason": "event.reason",
    "fileinfo.filename": "file.name",
    "fileinfo.size": "file.size",
    "fileinfo.md5": "file.hash.md5",
    "fileinfo.sha1": "file.hash.sha1",
    "fileinfo.sha256": "file.hash.sha256",
    "smb.command": "suricata.smb.command",
    "smb.filename": "file.name",
    "smb.share": "file.share",
    "ssh.client.software_version": "suricata.ssh.client",
    "ssh.server.software_version": "suricata.ssh.server",
    "dhcp.assigned_ip": "client.ip",
    "dhcp.client_mac": "client.mac",
    "dhcp.hostname": "client.domain",
    "anomaly.event": "suricata.anomaly",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of an object; raises ParseError when it has no event_type or no time."""
    _, raw = body(record, site, step=_STEP)
    kind = text_of(raw.get("event_type"))
    if not kind:
        raise ParseError("no event_type of an EVE object", step=_STEP)
    doc: Document = {
        "@timestamp": moment(text_of(raw.get("timestamp")), site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "suricata",
        "event.dataset": "suricata.eve",
    }
    values = {name: item[0] if isinstance(item, list) and item else item for name, item in flat(raw).items()}
    fill(doc, values | _dns(raw), _NAMES)
    category, categorise = _KINDS.get(kind, ("", _other))
    categorise(doc, raw)
    firewall_events.towards(doc)
    return [Parsed(doc, LogSource("suricata", category, kind))]


def _dns(raw: Mapping[str, Any]) -> dict[str, object]:
    """Return the first query of version 3, which has lists of queries and answers; older ones have it at the top."""
    dns = raw.get("dns")
    queries = dns.get("queries") if isinstance(dns, dict) else None
    first = queries[0] if isinstance(queries, list) and queries else None
    return {f"dns.{name}": item for name, item in first.items()} if isinstance(first, dict) else {}


def _alert(doc: Document, _raw: Mapping[str, Any]) -> None:
    firewall_events.threat(doc, "intrusion_detection", "intrusion-detected", denied=doc.get("rule.action") == "blocked")


def _drop(doc: Document, _raw: Mapping[str, Any]) -> None:
    firewall_events.traffic(doc, denied=True)


def _dns_kind(doc: Document, raw: Mapping[str, Any]) -> None:
    answered = text_of(flat(raw).get("dns.type")) in ("answer", "response")
    classify(doc, "network", ["protocol"], "dns-answer" if answered else "dns-query")
    for answer in _answers(raw):
        put(doc, "dns.answers.data", answer)


def _answers(raw: Mapping[str, Any]) -> list[list[str]]:
    found = raw.get("dns")
    answers = found.get("answers") if isinstance(found, dict) else None
    data = [text_of(one.get("rdata")) for one in answers if isinstance(one, dict)] if isinstance(answers, list) else []
    return [data] if any(data) else []


def _stats(doc: Document, _raw: Mapping[str, Any]) -> None:
    doc["event.kind"] = "metric"
    classify(doc, "host", "info", "statistics")


def _other(doc: Document, _raw: Mapping[str, Any]) -> None:
    classify(doc, "network", ["protocol", "info"], "protocol-seen")


def _seen(category: str | list[str], kind: str | list[str], action: str) -> _Categorise:
    return lambda doc, _raw: classify(doc, category, kind, action)


_KINDS: dict[str, tuple[str, _Categorise]] = {
    "alert": ("", _alert),
    "drop": ("firewall", _drop),
    "dns": ("dns", _dns_kind),
    "http": ("proxy", _seen(["web", "network"], "access", "http-request")),
    "tls": ("", _seen("network", "protocol", "tls-handshake")),
    "flow": ("", _seen("network", ["connection", "end"], "session-end")),
    "netflow": ("", _seen("network", ["connection", "info"], "flow-seen")),
    "fileinfo": ("", _seen(["file", "network"], "info", "file-transfer")),
    "smb": ("", _seen(["file", "network"], "access", "smb-command")),
    "anomaly": ("", _seen("network", ["protocol", "error"], "protocol-anomaly")),
    "stats": ("", _stats),
}

PARSER = Parser(
    "suricata",
    json_objects,
    parse,
    {
        "client.domain": Action.STAFF,
        **dict.fromkeys(("url.original", "http.request.referrer"), Action.URL),
        **dict.fromkeys(("user_agent.original", "file.name", "file.share", "tls.server.subject"), Action.MASK),
    },
    title="Suricata network intrusion detection",
    reads="EVE JSON (alerts, DNS, HTTP, TLS, flows, files, SMB, DHCP) by syslog or from files",
    logsources=(LogSource("suricata", "*", "*"),),
)
