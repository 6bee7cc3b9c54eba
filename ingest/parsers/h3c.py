"""H3C Comware firewalls and switches: ``%%10MODULE/level/MNEMONIC: name(id)=value;…`` behind any syslog header.

Source: H3C "SecPath firewall log messages reference" and "System log messages reference" (log format; FILTER, SESSION,
NAT, IPS, ANTI-VIR, UFLT, ATK, BLS, SHELL, LOGIN, SSHS, AAA, CFGMAN). Numbers behind names are the fields' identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events, lines
from ingest.parsers.charset import text
from ingest.parsers.fields import ABSENT, classify, fill, put
from ingest.parsers.header import header
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "h3c"
_LOGSOURCE = LogSource("h3c", "firewall", "comware")
_LOG = re.compile(r"%%\d{2} ?([\w-]{1,32})/([0-7])/([\w-]{1,64})(?:\([a-z]\))?: ?(.*)", re.S)
_PAIR = re.compile(r"([A-Za-z][\w]{0,63})\(\d{1,5}\)=([^;]*)")
_DASH_PAIR = re.compile(r"-([A-Za-z]{1,32})=([^-;\s]*)")
_LOGIN = re.compile(
    r"(?P<user>[^\s(]{1,256})(?: logged (?:in|out) from| failed to log in from) (?P<peer>\S{1,64})|"
    r"for (?:invalid user |user )?(?P<account>\S{1,256}) from (?P<origin>\S{1,64})"
)
_REFUSED = re.compile(r"deny|drop|block|reset|discard", re.I)
_COMMAND = re.compile(r"[Cc]ommand is (.{1,2048})", re.S)
_NAMES: Mapping[str, str] = {
    "srcipaddr": "source.ip",
    "ipaddr": "source.ip",
    "srcipv6addr": "source.ip",
    "srcport": "source.port",
    "srcmacaddr": "source.mac",
    "natsrcipaddr": "source.nat.ip",
    "natsrcport": "source.nat.port",
    "dstipaddr": "destination.ip",
    "dstipv6addr": "destination.ip",
    "dstport": "destination.port",
    "natdstipaddr": "destination.nat.ip",
    "natdstport": "destination.nat.port",
    "initbytecount": "source.bytes",
    "rplybytecount": "destination.bytes",
    "initpktcount": "source.packets",
    "rplypktcount": "destination.packets",
    "protocol": "network.transport",
    "application": "network.application",
    "srczonename": "observer.ingress.zone",
    "dstzonename": "observer.egress.zone",
    "securitypolicy": "rule.name",
    "objectpolicy": "rule.name",
    "policyname": "rule.name",
    "ruleid": "rule.id",
    "username": "user.name",
    "user": "user.name",
    "attackname": "threat.signature.name",
    "attackid": "threat.signature.id",
    "virusname": "threat.signature.name",
    "virusid": "threat.signature.id",
    "severity": "threat.severity",
    "category": "rule.category",
    "urlcategory": "rule.category",
    "hosturl": "url.original",
    "url": "url.original",
    "httpfirstline": "url.original",
    "md5": "file.hash.md5",
    "filename": "file.name",
    "action": "rule.action",
    "event": "rule.action",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when it has no ``%%10MODULE/level/MNEMONIC``."""
    frame = text(record.data, site.charset)
    found = _LOG.search(frame)
    if not found:
        raise ParseError("no %%10MODULE/level/MNEMONIC of an H3C log", step=_STEP)
    module, level, mnemonic, description = found.groups()
    time, name = header(frame[: found.start()], record, site, step=_STEP)
    doc: Document = {
        "@timestamp": time,
        "event.kind": "event",
        "event.module": "h3c",
        "event.dataset": "h3c.comware",
        "event.code": f"{module.upper()}/{mnemonic}",
        "event.severity": int(level),
        "observer.vendor": "H3C",
        "observer.type": "firewall",
    }
    put(doc, "observer.name", name)
    fill(doc, _values(description), _NAMES)
    _categorise(doc, f"{module}/{mnemonic}".upper(), description)
    return [Parsed(doc, _LOGSOURCE)]


def _values(description: str) -> dict[str, str]:
    found = {name.lower(): value.strip().rstrip(".") for name, value in _PAIR.findall(description)}
    if not found:
        found = {name.lower(): value for name, value in _DASH_PAIR.findall(description)}
        login = _LOGIN.search(description)
        if login:
            found.setdefault("username", login["user"] or login["account"])
            found.setdefault("srcipaddr", (login["peer"] or login["origin"]).rstrip("."))
    for name in ("url", "hosturl"):
        if found.get(name):
            found[name] = f"//{found[name]}"
    return {name: value for name, value in found.items() if value not in ABSENT}


def _categorise(doc: Document, code: str, description: str) -> None:
    categorise = _meaning(code)
    if categorise:
        categorise(doc, code, description)
    else:
        classify(doc, "host", "info", "device-event")


@lru_cache(maxsize=1024)
def _meaning(code: str) -> Callable[[Document, str, str], None] | None:
    return next((categorise for pattern, categorise in _MEANINGS if pattern.match(code)), None)


def _denied(doc: Document) -> bool:
    return _REFUSED.search(str(doc.get("rule.action", ""))) is not None


def _policy(doc: Document, code: str, _description: str) -> None:
    firewall_events.traffic(doc, denied=_denied(doc) or "DENY" in code)


def _session(doc: Document, _code: str, _description: str) -> None:
    firewall_events.session(doc, ended="created" not in str(doc.get("rule.action", "created")))


def _login(doc: Document, code: str, description: str) -> None:
    failed = re.search(r"FAIL|LOCK", code) is not None or re.search(r"\bfailed\b|invalid", description) is not None
    firewall_events.login(doc, failed=failed, ended=re.search(r"LOGOUT|DISCONNECT", code) is not None)


def _command(doc: Document, code: str, description: str) -> None:
    firewall_events.command(doc, failed="FAIL" in code or "DENY" in code)
    typed = _COMMAND.search(description)
    if typed:
        put(doc, "process.command_line", typed[1])


def _threat(category: str, action: str) -> Callable[[Document, str, str], None]:
    return lambda doc, _code, _description: firewall_events.threat(doc, category, action, denied=_denied(doc))


def _web(doc: Document, _code: str, _description: str) -> None:
    firewall_events.web(doc, denied=_denied(doc))


_MEANINGS: tuple[tuple[re.Pattern[str], Callable[[Document, str, str], None]], ...] = (
    (re.compile(r"(?:FILTER|ACL|ASPF|PFILTER)/|SECP/.*(?:PERMIT|DENY)"), _policy),
    (re.compile(r"(?:SESSION|NAT)/"), _session),
    (re.compile(r"(?:IPS|WAF)/"), _threat("intrusion_detection", "intrusion-detected")),
    (re.compile(r"ANTI-?VIR/"), _threat("malware", "virus-detected")),
    (re.compile(r"(?:ATK|BLS|DDOS|IPREPUTATION|SCD|APT)/"), _threat("intrusion_detection", "attack-detected")),
    (re.compile(r"UFLT/"), _web),
    (re.compile(r"SHELL/SHELL_(?:CMD|COMMAND|SECLOG)|CFGMAN/"), _command),
    (re.compile(r"(?:SHELL|LOGIN|SSHS|TELNETD|WEB|AAA|LOCALSVR|SSLVPN|L2TPV2|PORTAL)/"), _login),
)

PARSER = Parser(
    "h3c",
    lines,
    parse,
    {
        "user.name": Action.STAFF,
        "url.original": Action.URL,
        "file.name": Action.MASK,
        "process.command_line": Action.COMMAND,
    },
    title="H3C firewalls and switches",
    reads="Comware policy, session, threat, URL, login and command logs behind any syslog header",
    logsources=(_LOGSOURCE,),
)
