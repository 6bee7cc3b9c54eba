"""Cisco ASA and AnyConnect: ``%ASA-6-302013: Built inbound TCP connection …`` behind any syslog header, FTD too.

Source: Cisco "Secure Firewall ASA series syslog messages". Messages are told apart by their number; addresses,
ports and accounts are found by the few ways in which ASA writes them. The text itself is never copied.
"""

from __future__ import annotations

import re

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events, lines
from ingest.parsers.charset import text
from ingest.parsers.fields import classify, put
from ingest.parsers.header import header
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "cisco_asa"
_LOG = re.compile(r"%(ASA|FTD|PIX|FWSM)-(?:\w{1,20}-)?([0-7])-(\d{6}): ?(.*)", re.S)
_IP = r"[0-9A-Fa-f.:]{2,45}"
_PORT = r"(?:/(?P<@port>\d{1,5})|\((?P<@hit>\d{1,5})\))?"
_END = rf"(?:(?P<@zone>[A-Za-z_][\w.-]{{0,63}})[:/])?(?P<@ip>{_IP}){_PORT}"
_NAT = rf"(?: ?\((?P<@nat>{_IP})/(?P<@natport>\d{{1,5}})\))?"
_FROM, _TO = _END.replace("@", "a"), _END.replace("@", "b")
_FROM_NAT, _TO_NAT = _NAT.replace("@", "a"), _NAT.replace("@", "b")
_ENDS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\bfor {_FROM}{_FROM_NAT}.{{0,300}}? to {_TO}{_TO_NAT}",
        rf"\bsrc {_FROM}.{{0,300}}? dst {_TO}",
        rf"\bfrom {_FROM}.{{0,100}}? to {_TO}",
        rf" {_FROM}\)? ?->? ?{_TO}",
        rf"\bfaddr (?P<aip>{_IP})/.{{0,60}}? laddr (?P<bip>{_IP})/",
    )
)
_USER = re.compile(
    r"\b[Uu]ser(?:name)?(?:'s)? ?(?:= ?|<|'|\"|: ?)(?P<a>[^>'\",\s:]{1,256})|\bUname: ?(?P<b>[^\s,]{1,256})"
)
_PEER = re.compile(rf"\b(?:user )?IP(?: address)?(?: ?= ?| ?<|: ?| )(?P<ip>{_IP})|\bfrom (?:IP )?(?P<from>{_IP})")
_GROUP = re.compile(r"\bGroup(?: ?= ?| ?<)([^>,]{1,128})")
_PROTOCOL = re.compile(r"\b(TCP|UDP|ICMP|ICMPv6|SCTP|GRE|ESP)\b", re.I)
_RULE = re.compile(r"access-(?:group|list) \"?([^\s\"]{1,128})")
_COMMAND = re.compile(r"executed (?:the )?'(.{1,2048}?)'(?: command)?", re.S)
_BYTES = re.compile(r"\bbytes (\d{1,18})|Bytes xmt: (\d{1,18}), Bytes rcv: (\d{1,18})")
_DENIED = re.compile(r"\b(?:Deny|denied|Denied|Dropping|dropped|Blocked)\b")
_FAILED = re.compile(r"Rejected|rejected|denied|failed|Failed|invalid")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a message; raises ParseError when it has no ``%ASA-level-number``."""
    frame = text(record.data, site.charset)
    found = _LOG.search(frame)
    if not found:
        raise ParseError("no %ASA-level-number of a Cisco ASA log", step=_STEP)
    product, level, number, message = found.groups()
    time, name = header(frame[: found.start()].rstrip(": "), record, site, step=_STEP)
    doc: Document = {
        "@timestamp": time,
        "event.kind": "event",
        "event.module": "cisco",
        "event.dataset": "cisco.asa",
        "event.code": number,
        "event.severity": int(level),
        "observer.vendor": "Cisco",
        "observer.product": product.lower(),
        "observer.type": "firewall",
    }
    put(doc, "observer.name", name)
    _ends(doc, message)
    _people(doc, message)
    _categorise(doc, number, message)
    return [Parsed(doc, LogSource("cisco", "firewall", "asa"))]


def _ends(doc: Document, message: str) -> None:
    found = next(filter(None, (pattern.search(message) for pattern in _ENDS)), None)
    if not found:
        return
    groups = found.groupdict()
    # the first end of an outbound connection is where it goes to
    source, destination = ("b", "a") if message.startswith("Built outbound") else ("a", "b")
    for end, side, zone in ((source, "source", "ingress"), (destination, "destination", "egress")):
        put(doc, f"{side}.ip", groups.get(f"{end}ip"))
        put(doc, f"{side}.port", groups.get(f"{end}port") or groups.get(f"{end}hit"))
        if groups.get(f"{end}nat") != groups.get(f"{end}ip"):
            put(doc, f"{side}.nat.ip", groups.get(f"{end}nat"))
            put(doc, f"{side}.nat.port", groups.get(f"{end}natport"))
        put(doc, f"observer.{zone}.interface.name", groups.get(f"{end}zone"))


def _people(doc: Document, message: str) -> None:
    user, peer, group = _USER.search(message), _PEER.search(message), _GROUP.search(message)
    protocol, rule, volume = _PROTOCOL.search(message), _RULE.search(message), _BYTES.search(message)
    put(doc, "user.name", user and (user["a"] or user["b"]))
    put(doc, "source.ip", peer and (peer["ip"] or peer["from"]))
    put(doc, "user.group.name", group and group[1].strip())
    put(doc, "network.transport", protocol and protocol[1])
    put(doc, "rule.name", rule and rule[1])
    put(doc, "network.bytes", volume and volume[1])
    put(doc, "destination.bytes", volume and volume[2])
    put(doc, "source.bytes", volume and volume[3])


def _categorise(doc: Document, number: str, message: str) -> None:
    if number in _LOGINS:
        where, ended = _LOGINS[number]
        firewall_events.login(doc, failed=_FAILED.search(message) is not None, ended=ended, where=where)
    elif number.startswith("3020") or number in ("302303", "302304", "609001", "609002"):
        firewall_events.session(doc, ended=message.startswith("Teardown"))
    elif number.startswith(("106", "710", "313", "305")) or _RULE.search(message):
        firewall_events.traffic(doc, denied=_DENIED.search(message) is not None or number == "106015")
    elif number.startswith(("4000", "7331", "338", "430001")):
        firewall_events.threat(doc, "intrusion_detection", "intrusion-detected", denied=False)
    elif number.startswith("1110") or number.startswith("5021"):
        typed = _COMMAND.search(message)
        put(doc, "process.command_line", typed and typed[1])
        firewall_events.command(doc)
    else:
        classify(doc, "host", "info", "device-event")


_LOGINS = {
    **dict.fromkeys(("113004", "113005", "113006", "113008", "113012", "113015"), ("network", False)),
    **dict.fromkeys(("113039", "716001", "716038", "716039", "722022", "722033", "722051", "746012"), ("vpn", False)),
    **dict.fromkeys(("113019", "716002", "722023", "722037", "746013"), ("vpn", True)),
    **dict.fromkeys(("605004", "605005", "611101", "611102", "308001"), ("firewall", False)),
    "611103": ("firewall", True),
}

PARSER = Parser(
    "cisco_asa",
    lines,
    parse,
    {"user.name": Action.STAFF, "process.command_line": Action.COMMAND},
    title="Cisco ASA firewalls and AnyConnect",
    reads="%ASA, %FTD, %PIX messages of connections, policies, VPN sessions, logins and commands",
    logsources=(LogSource("cisco", "firewall", "asa"),),
)
