"""SafeLine (雷池) web application firewall: attack events as JSON in RFC 5424 syslog.

Source: SafeLine documentation, "Syslog event format" (community edition). Payloads, bodies and cookies are
never copied.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events
from ingest.parsers.clock import epoch
from ingest.parsers.fields import fill, text_of
from ingest.parsers.json_body import body
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "safeline"
_LOGSOURCE = LogSource("safeline", "webserver", "waf")
_NAMES: Mapping[str, str] = {
    "src_ip": "source.ip",
    "src_port": "source.port",
    "socket_ip": "client.ip",
    "dst_ip": "destination.ip",
    "dst_port": "destination.port",
    "upstream_addr": "destination.address",
    "host": "url.domain",
    "scheme": "url.scheme",
    "urlpath": "url.path",
    "query_string": "url.query",
    "method": "http.request.method",
    "user_agent": "user_agent.original",
    "referer": "http.request.referrer",
    "status_code": "http.response.status_code",
    "event_id": "http.request.id",
    "site_uuid": "safeline.site",
    "req_rule_id": "rule.id",
    "rule_id": "rule.id",
    "req_rule_module": "rule.category",
    "module": "rule.category",
    "req_location": "safeline.location",
    "req_attack_type": "safeline.attack_type",
    "attack_type": "safeline.attack_type",
    "req_risk_level": "threat.severity",
    "risk_level": "threat.severity",
    "req_action": "rule.action",
    "action": "rule.action",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of an object; raises ParseError when it has no event_id or no time."""
    _, raw = body(record, site, step=_STEP)
    if not text_of(raw.get("event_id")):
        raise ParseError("no event_id of a SafeLine event", step=_STEP)
    doc: Document = {
        "@timestamp": epoch(raw.get("req_start_time") or raw.get("timestamp"), step=_STEP),
        "event.kind": "event",
        "event.module": "safeline",
        "event.dataset": "safeline.event",
        "observer.vendor": "Chaitin",
        "observer.product": "SafeLine",
        "observer.type": "waf",
    }
    fill(doc, raw, _NAMES)
    action = str(doc.get("rule.action", "")).lower()
    firewall_events.threat(
        doc, "intrusion_detection", "web-attack", denied=action in ("deny", "block", "1", "intercept")
    )
    doc["event.category"] = ["web", "intrusion_detection"]
    return [Parsed(doc, _LOGSOURCE)]


PARSER = Parser(
    "safeline",
    json_objects,
    parse,
    {
        **dict.fromkeys(("url.path", "http.request.referrer"), Action.URL),
        "url.query": Action.QUERY,
        "user_agent.original": Action.MASK,
    },
    title="SafeLine (雷池) web application firewall",
    reads="attack events as JSON, by syslog or from files",
    logsources=(_LOGSOURCE,),
)
