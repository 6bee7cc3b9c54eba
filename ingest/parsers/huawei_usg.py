"""Huawei USG firewalls: ``%%01MODULE/severity/BRIEF(l)[sequence]: description`` behind any syslog header.

Source: Huawei "HUAWEI USG6000 Log Reference" (log format, POLICY, SECLOG, SHELL, IPS, AV, URL). Names of values are
written in several ways (``source-ip``, ``SourceIP``, ``SrcIp``); they are compared without case and hyphens. Times are
the firewall's local ones, read in the site's zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from ingest.address import address
from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.networks import direction
from ingest.scrub import Action
from ingest.syslog import parse as parse_syslog
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource, rfc3339

_LOGSOURCE = LogSource("huawei", "firewall", "usg")
_LOG = re.compile(
    r"%%(?P<version>\d{2})(?P<module>[\w-]{1,32})/(?P<severity>[0-7])/(?P<brief>[\w-]{1,64})"
    r"(?:\((?P<kind>\w)\))?(?:\[(?P<sequence>\d{1,18})\])?:?\s*(?P<text>.*)",
    re.S,
)
_LOCAL = re.compile(r"(\d{4}-\d\d?-\d\d? \d\d:\d\d:\d\d)(?:\.\d{1,6})?(?:([+-]\d\d:\d\d))?(?: DST)?[, ]+(\S{1,255})?")
_DATED = re.compile(r"([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d{4}) (\d\d:\d\d:\d\d)[+-.\d:]* (\S{1,255})?")
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
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
_TRANSPORTS = {"1": "icmp", "6": "tcp", "17": "udp", "47": "gre", "50": "esp", "58": "ipv6-icmp", "132": "sctp"}
_NUMBERS = frozenset(name for name in _NAMES.values() if name.endswith((".port", ".bytes", ".packets")))
_ADDRESSES = frozenset(name for name in _NAMES.values() if name.endswith(".ip"))
_ABSENT = ("", "-", "--", "unknown", "N/A")
_REFUSALS = ("deny", "block", "drop", "reset", "discard", "refuse")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when it has no ``%%01MODULE/severity/BRIEF``."""
    frame = text(record.data, site.charset)
    found = _LOG.search(frame)
    if not found:
        raise ParseError("no %%01MODULE/severity/BRIEF of a Huawei log", step="huawei_usg")
    time, name = _header(record, site, frame[: found.start()])
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


def _header(record: Record, site: Site, before: str) -> tuple[str, str]:
    """Return the time and the firewall's name of what stands before the log: its own header, syslog's or none."""
    local = _LOCAL.search(before)
    if local:
        date, offset, name = local.groups()
        return moment(_padded(date) + (offset or ""), site.zone, step="huawei_usg"), _name(name)
    dated = _DATED.search(before)
    if dated:
        month, day, year, time, name = dated.groups()
        number = _MONTHS.find(month) // 3 + 1
        return moment(f"{year}-{number:02}-{day:0>2}T{time}", site.zone, step="huawei_usg"), _name(name)
    if not before.strip():
        return rfc3339(record.received), ""
    frame = record.data if record.data.startswith(b"<") else b"<190>" + record.data
    message = parse_syslog(frame, zone=site.zone, received=record.received)
    return rfc3339(message.timestamp or record.received), message.host


def _padded(date: str) -> str:
    year, month, rest = date.split("-")
    day, time = rest.split(" ")
    return f"{year}-{month:0>2}-{day:0>2}T{time}"


def _name(name: str | None) -> str:
    return (name or "").rstrip(":")


def _pairs(description: str) -> Iterator[tuple[str, str]]:
    login = _LOGIN.search(description)
    if login:
        yield "username", login["user"]
        yield "ip", login["peer"].rstrip(".)")
    pattern = _PAIR if "=" in description else _COLON_PAIR
    for name, value in pattern.findall(description):
        yield name.lower().replace("-", "").replace("_", ""), value.strip().rstrip(".").strip('" ')


def _map(doc: Document, pairs: Mapping[str, str]) -> None:
    for name, value in pairs.items():
        target = _NAMES.get(name)
        if target and value not in _ABSENT:
            _set(doc, target, value)
    found = direction(doc.get("source.ip", ""), doc.get("destination.ip", ""))
    if found:
        doc["network.direction"] = found


def _set(doc: Document, target: str, value: str) -> None:
    if target in _ADDRESSES:
        found = address(value)
        if found:
            doc[target] = found
    elif target in _NUMBERS:
        if value.isdecimal() and len(value) <= 18:
            doc[target] = int(value)
    elif target == "network.transport":
        doc[target] = _TRANSPORTS.get(value, value.lower())
    else:
        doc[target] = value


def _categorise(doc: Document, module: str, brief: str) -> None:
    doc |= {"event.category": ["host"], "event.type": ["info"], "event.action": "firewall-event"}
    for pattern, categorise in _MEANINGS:
        if pattern.match(f"{module}/{brief}"):
            categorise(doc, brief)
            return


def _policy(doc: Document, brief: str) -> None:
    denied = "DENY" in brief
    doc["event.category"] = ["network"]
    doc["event.type"] = ["connection", "denied" if denied else "allowed"]
    doc["event.action"] = "firewall-denied" if denied else "firewall-allowed"
    doc["event.outcome"] = "failure" if denied else "success"


def _session(doc: Document, brief: str) -> None:
    ended = "TEARDOWN" in brief or "DELETE" in brief or "AGED" in brief
    doc["event.category"] = ["network"]
    doc["event.type"] = ["connection", "end" if ended else "start"]
    doc["event.action"] = "session-end" if ended else "session-start"
    doc["event.outcome"] = "success"


def _login(doc: Document, brief: str) -> None:
    failed = "FAIL" in brief or "LOCK" in brief or "BLOCK" in brief
    ended = "LOGOUT" in brief
    doc["event.category"] = ["authentication"]
    doc["event.type"] = ["end" if ended else "info" if failed else "start"]
    doc["event.action"] = "firewall-logout" if ended else "firewall-login"
    doc["event.outcome"] = "failure" if failed else "success"


def _command(doc: Document, _brief: str) -> None:
    doc["event.category"] = ["configuration"]
    doc["event.type"] = ["change"]
    doc["event.action"] = "firewall-command"


def _threat(category: str, action: str) -> Callable[[Document, str], None]:
    def categorise(doc: Document, _brief: str) -> None:
        denied = str(doc.get("rule.action", "")).lower().startswith(_REFUSALS)
        doc["event.kind"] = "alert"
        doc["event.category"] = [category, "network"]
        doc["event.type"] = ["denied" if denied else "info"]
        doc["event.action"] = action

    return categorise


def _url(doc: Document, _brief: str) -> None:
    denied = str(doc.get("rule.action", "")).lower().startswith(_REFUSALS)
    doc["event.category"] = ["web", "network"]
    doc["event.type"] = ["access", "denied" if denied else "allowed"]
    doc["event.action"] = "url-filter"


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
