"""Sangfor aTrust, which took the place of Sangfor's SSL VPN: ``sdp-controller@userCtrlLog[128]: {…}`` in syslog.

Source: Sangfor, "aTrust Syslog" of the developers' documentation (2.3.10 and later: actor, src, event, target, vendor).
Names of events other than logins, logouts and changes of passwords are taken by their words. The older SSL VPN
appliance writes another format, for which no manual could be had: it is not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events, lines
from ingest.parsers.clock import epoch
from ingest.parsers.fields import classify, fill, text_of
from ingest.parsers.json_body import body, flat
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "sangfor_atrust"
_NAMES: Mapping[str, str] = {
    "actor.name": "user.name",
    "actor.domain": "user.domain",
    "src.ip": "source.ip",
    "src.virtualIp": "source.nat.ip",
    "src.dvc.mac": "source.mac",
    "src.dvc.hostname": "source.domain",
    "src.client.httpUserAgent": "user_agent.original",
    "event.subType": "event.code",
    "event.reason": "event.reason",
    "event.action": "rule.action",
    "target.type": "atrust.target.type",
    "network.conn.srcIp": "source.ip",
    "network.conn.srcPort": "source.port",
    "network.conn.dstIp": "destination.ip",
    "network.conn.dstPort": "destination.port",
    "network.protocol": "network.protocol",
    "network.app.name": "atrust.app",
    "network.sendBytes": "source.bytes",
    "network.recvBytes": "destination.bytes",
    "network.web.reqUrl": "url.original",
    "network.web.reqMethod": "http.request.method",
    "network.web.resStatusCode": "http.response.status_code",
    "network.web.reqReferer": "http.request.referrer",
    "vendor.dvcIp": "observer.ip",
    "vendor.sourceName": "observer.name",
    "vendor.productVersion": "observer.version",
}
_ATTACK = re.compile(r"bruteforce|honeypot|decoy")
_PASSWORD = re.compile(r"passw(?:or)?d|pwd")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when it has no event with its type and time."""
    values = flat(body(record, site, step=_STEP)[1])
    kind = text_of(values.get("event.subType"))
    if not kind or text_of(values.get("vendor.product")) != "aTrust":
        raise ParseError("no event.subType of the product aTrust", step=_STEP)
    doc: Document = {
        "@timestamp": epoch(text_of(values.get("event.timestamp")), step=_STEP),
        "event.kind": "event",
        "event.module": "sangfor",
        "event.dataset": "sangfor.atrust",
        "observer.vendor": "Sangfor",
        "observer.product": "aTrust",
        "observer.type": "vpn",
    }
    fill(doc, values, _NAMES)
    doc["atrust.risk"] = text_of(values.get("_isRisk")) == "1"
    _categorise(doc, kind.lower(), text_of(values.get("event.mainType")), text_of(values.get("event.result")))
    return [Parsed(doc, LogSource("sangfor", "", "atrust"))]


def _categorise(doc: Document, kind: str, main: str, result: str) -> None:
    failed = result == "FAILED" or doc.get("rule.action") == "DENY"
    outcome = "failure" if failed else "success"
    if _ATTACK.search(kind):
        doc["event.kind"] = "alert"
        classify(doc, ["intrusion_detection", "authentication"], "info", "vpn-attack", "failure")
    elif _PASSWORD.search(kind):
        classify(doc, "iam", "change", "password-change", outcome)
    elif "login" in kind or "logout" in kind or main == "auth":
        firewall_events.login(doc, failed=failed, ended="logout" in kind, where="vpn")
    elif main == "admin":
        classify(doc, "configuration", "change", "vpn-configuration", outcome)
    else:
        classify(doc, "network", ["access", "denied" if failed else "allowed"], "vpn-access", outcome)
        firewall_events.towards(doc)


PARSER = Parser(
    "sangfor_atrust",
    lines,
    parse,
    {
        "user.name": Action.STAFF,
        "event.reason": Action.TEXT,
        **dict.fromkeys(("url.original", "http.request.referrer"), Action.URL),
        **dict.fromkeys(
            ("user_agent.original", "source.domain", "observer.name", "user.domain", "event.code", "atrust.app"),
            Action.MASK,
        ),
    },
    title="Sangfor aTrust",
    reads="logins, accesses and administration of the zero-trust VPN as JSON in syslog",
    logsources=(LogSource("sangfor", "", "atrust"),),
)
