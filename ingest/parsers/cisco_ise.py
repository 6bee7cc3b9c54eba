"""Cisco ISE: ``CISE_Passed_Authentications …  time code NOTICE Class: text, Name=value, …`` in syslog.

Source: Cisco "Identity Services Engine syslogs" (message format, message codes), confirmed by the samples of IBM's and
Fortinet's guides. Messages cut in segments give the fields of their first segment; others are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, fill, put
from ingest.parsers.header import header
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "cisco_ise"
_LOGSOURCE = LogSource("cisco", "authentication", "ise")
_LOG = re.compile(
    r"\bCISE_(\w{1,64}) \d{1,12} \d{1,4} 0 (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?) ([+-]\d\d:\d\d) \d{1,12} "
    r"(\d{4,6}) (\w{1,16}) ([^:]{1,64}): (.*)",
    re.S,
)
_PAIR = re.compile(r"(?:^|, ?)([A-Za-z][\w -]{0,63})=([^,]*)")
_NAMES: Mapping[str, str] = {
    "UserName": "user.name",
    "User-Name": "user.name",
    "AdminName": "user.name",
    "Calling-Station-ID": "client.mac",
    "EndpointMacAddress": "client.mac",
    "Framed-IP-Address": "client.ip",
    "Remote-Address": "source.ip",
    "AdminIPAddress": "source.ip",
    "NAS-IP-Address": "observer.ip",
    "NAS-Port-Id": "observer.ingress.interface.name",
    "NAS-Port-Type": "cisco.ise.port_type",
    "NetworkDeviceName": "observer.name",
    "AuthenticationMethod": "cisco.ise.method",
    "SelectedAuthorizationProfiles": "rule.name",
    "FailureReason": "event.reason",
    "EndpointMatchedProfile": "cisco.ise.profile",
    "PostureStatus": "cisco.ise.posture",
    "Acct-Input-Octets": "source.bytes",
    "Acct-Output-Octets": "destination.bytes",
    "Acct-Status-Type": "cisco.ise.accounting",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a message; raises ParseError."""
    frame = text(record.data, site.charset).strip()
    found = _LOG.search(frame)
    if not found:
        raise ParseError("no CISE_Category with a first segment of a Cisco ISE log", step=_STEP)
    category, date, time, zone, code, level, _, rest = found.groups()
    doc: Document = {
        "@timestamp": moment(f"{date}T{time}{zone}", site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "cisco",
        "event.dataset": "cisco.ise",
        "event.code": code,
        "log.level": level.lower(),
        "cisco.ise.category": category,
    }
    put(doc, "observer.hostname", header(frame[: found.start()], record, site, step=_STEP)[1])
    fill(doc, dict(reversed(_PAIR.findall(rest))), _NAMES)
    _categorise(doc, category)
    return [Parsed(doc, _LOGSOURCE)]


def _categorise(doc: Document, category: str) -> None:
    if category in ("Passed_Authentications", "Failed_Attempts"):
        firewall_events.login(doc, failed=category == "Failed_Attempts", where="network")
    elif category.endswith("Accounting"):
        ended = doc.get("cisco.ise.accounting") == "Stop"
        classify(doc, ["network", "session"], "end" if ended else "start", "network-session", "success")
    elif category.startswith("Administrative"):
        classify(doc, ["configuration", "iam"], "change", "administration", "success")
    else:
        classify(doc, "host", "info", "device-event")


PARSER = Parser(
    "cisco_ise",
    lines,
    parse,
    {"user.name": Action.STAFF, "event.reason": Action.TEXT},
    title="Cisco Identity Services Engine (ISE)",
    reads="passed and failed authentications, accounting and administration, by syslog",
    logsources=(_LOGSOURCE,),
)
