"""Huawei USG firewalls: ``%%01MODULE/severity/BRIEF(l)[sequence]: description`` behind any syslog header.

Source: Huawei "HUAWEI USG6000 Log Reference" (log format, POLICY, SECLOG, SHELL, IPS, AV, URL). Names of values are
written in several ways (``source-ip``, ``SourceIP``, ``SrcIp``); they are compared without case and hyphens. Times are
the firewall's local ones, read in the site's zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events, lines
from ingest.parsers.charset import text
from ingest.parsers.fields import put
from ingest.parsers.header import header
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_LOGSOURCE = LogSource("huawei", "firewall", "usg")
_LOG = re.compile(
    r"%%(?P<version>\d{2})(?P<module>[\w-]{1,32})/(?P<severity>[0-7])/(?P<brief>[\w-]{1,64})"
    r"(?:\((?P<kind>\w)\))?(?:\[(?P<sequence>\d{1,18})\])?:?\s*(?P<text>.*)",
    re.S,
)
_PAIR = re.compile(r'([A-Za-z][\w-]{0,63})\s*=\s*("[^"]*"|[^,;()"]*)')
_COLON_PAIR = re.compile(r"(?:^|[\s(,])([A-Za-z][\w-]{0,63}):([^\s,;()]+)")
_LOGIN = re.compile(r"user:(?P<user>\S{1,256}) (?:login|logout) from (?P<peer>\S{1,64})", re.I)

_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("sourceip", "srcip", "ip", "ipaddress", "loginip", "sourceaddress"), "source.ip"),
    **dict.fromkeys(("sourceport", "srcport"), "source.port"),
    **dict.fromkeys(("destinationip", "dstip", "destip", "destinationaddress"), "destination.ip"),
    **dict.fromkeys(("destinationport", "dstport", "destport"), "destination.port"),
    **dict.fromkeys(("sourcenatip", "srcnatip"), "source.nat.ip"),
    **dict.fromkeys(("sourcenatport", "srcnatport"), "source.nat.port"),
    **dict.fromkeys(("destinationnatip", "dstnatip"), "destination.nat.ip"),
    **dict.fromkeys(("destinationnatport", "dstnatport"), "destination.nat.port"),
    **dict.fromkeys(("sourcezone", "srczone"), "observer.ingress.zone"),
    **dict.fromkeys(("destinationzone", "dstzone"), "observer.egress.zone"),
    **dict.fromkeys(("rulename", "policyname", "policy"), "rule.name"),
    **dict.fromkeys(("applicationname", "application", "app"), "network.application"),
    **dict.fromkeys(("sendbytes", "sentbytes"), "source.bytes"),
    **dict.fromkeys(("rcvbytes", "receivedbytes"), "destination.bytes"),
    **dict.fromkeys(("sendpkts", "sentpkts"), "source.packets"),
    "rcvpkts": "destination.packets",
    **dict.fromkeys(("user", "username"), "user.name"),
    "protocol": "network.transport",
    "vsys": "observer.vsys",
    "signname": "threat.signature.name",
    "signid": "threat.signature.id",
    "virusname": "threat.signature.name",
    "virusid": "threat.signature.id",
    "filename": "file.name",
    "host": "url.domain",
    "page": "url.path",
    "category": "rule.category",
    "severity": "threat.severity",
    "action": "rule.action",
    "closereason": "event.reason",
    "accesstype": "network.access_type",
}
_ABSENT = ("unknown", "Unknown")
_REFUSALS = ("deny", "block", "drop", "reset", "discard", "refuse")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when it has no ``%%01MODULE/severity/BRIEF``."""
    frame = text(record.data, site.charset)
    found = _LOG.search(frame)
    if not found:
        raise ParseError("no %%01MODULE/severity/BRIEF of a Huawei log", step="huawei_usg")
    time, name = header(frame[: found.start()], record, site, step="huawei_usg")
    doc: Document = {
        "@timestamp": time,
        "event.kind": "event",
        "event.module": "huawei",
        "event.dataset": "huawei.usg",
        "event.code": f"{found['module']}/{found['brief']}",
        "event.severity": int(found["severity"]),
        "observer.vendor": "Huawei",
        "observer.product": "USG",
        "observer.type": "firewall",
    }
    if name:
        doc["observer.name"] = name
    if found["sequence"]:
        doc["event.sequence"] = int(found["sequence"])
    pairs = dict(_pairs(found["text"]))
    _map(doc, pairs)
    if not pairs:
        doc["message"] = found["text"].strip()
    _categorise(doc, found["module"].upper(), found["brief"].upper())
    return [Parsed(doc, _LOGSOURCE)]


def _pairs(description: str) -> Iterator[tuple[str, str]]:
    login = _LOGIN.search(description)
    if login:
        yield "username", login["user"]
        yield "ip", login["peer"].rstrip(".)")
    pattern = _PAIR if "=" in description else _COLON_PAIR
    for name, value in pattern.findall(description):
        yield _plain_name(name), value.strip().rstrip(".").strip('" ')


@lru_cache(maxsize=1024)
def _plain_name(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _map(doc: Document, pairs: Mapping[str, str]) -> None:
    for name, value in pairs.items():
        if name in _NAMES and value not in _ABSENT:
            put(doc, _NAMES[name], value)
    firewall_events.towards(doc)


def _categorise(doc: Document, module: str, brief: str) -> None:
    doc |= {"event.category": ["host"], "event.type": ["info"], "event.action": "firewall-event"}
    categorise = _meaning(f"{module}/{brief}")
    if categorise:
        categorise(doc, brief)


@lru_cache(maxsize=1024)
def _meaning(code: str) -> Callable[[Document, str], None] | None:
    return next((categorise for pattern, categorise in _MEANINGS if pattern.match(code)), None)


def _policy(doc: Document, brief: str) -> None:
    firewall_events.traffic(doc, denied="DENY" in brief)


def _session(doc: Document, brief: str) -> None:
    firewall_events.session(doc, ended="TEARDOWN" in brief or "DELETE" in brief or "AGED" in brief)


def _login(doc: Document, brief: str) -> None:
    failed = "FAIL" in brief or "LOCK" in brief or "BLOCK" in brief
    firewall_events.login(doc, failed=failed, ended="LOGOUT" in brief)


def _command(doc: Document, _brief: str) -> None:
    firewall_events.command(doc)


def _threat(category: str, action: str) -> Callable[[Document, str], None]:
    return lambda doc, _brief: firewall_events.threat(doc, category, action, denied=_refused(doc))


def _url(doc: Document, _brief: str) -> None:
    firewall_events.web(doc, denied=_refused(doc))


def _refused(doc: Document) -> bool:
    return str(doc.get("rule.action", "")).lower().startswith(_REFUSALS)


_MEANINGS: tuple[tuple[re.Pattern[str], Callable[[Document, str], None]], ...] = (
    (re.compile(r"\w*POLICY/(?:POLICY)?(?:PERMIT|DENY)"), _policy),
    (re.compile(r"\w+/\w*SESSION"), _session),
    (re.compile(r"\w+/\w*(?:LOGIN|LOGOUT|USERLOCK|IPBLOCK|IPLOCK|AUTHFAIL)"), _login),
    (re.compile(r"SHELL/\w*(?:CMD|COMMAND)"), _command),
    (re.compile(r"IPS/"), _threat("intrusion_detection", "intrusion-detected")),
    (re.compile(r"AV/"), _threat("malware", "virus-detected")),
    (re.compile(r"(?:ANTIDDOS|ATK|SEC|DDOS|APT)/"), _threat("intrusion_detection", "attack-detected")),
    (re.compile(r"URL/"), _url),
)

PARSER = Parser(
    "huawei_usg",
    lines,
    parse,
    dict.fromkeys(("message", "file.name", "url.path", "event.reason"), Action.TEXT),
    title="Huawei USG firewalls",
    reads="policy, session, threat, URL and login logs behind any syslog header",
    logsources=(_LOGSOURCE,),
)
