"""Microsoft DHCP server: ``ID,Date,Time,Description,IP Address,Host Name,MAC Address,…`` of DhcpSrvLog-*.log.

Source: Microsoft Learn, "DHCP audit logging" (event codes, columns since Windows Server 2008). Times are the server's
local ones; dates are month, day, year. The lines of explanation at a file's start are refused.
"""

from __future__ import annotations

import re

from ingest.parsers import Parsed, Parser, Record, Site, csv_line, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, put
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "ms_dhcp"
_LOGSOURCE = LogSource("microsoft", "dhcp", "dhcp")
_START = re.compile(r"\d{1,5},\d\d/\d\d/\d\d(?:\d\d)?,\d\d:\d\d:\d\d,.*", re.S)
_EVENTS = {
    "10": ("dhcp-lease", "start", "success"),
    "11": ("dhcp-renew", "info", "success"),
    "12": ("dhcp-release", "end", "success"),
    "13": ("dhcp-conflict", "error", "failure"),
    "14": ("dhcp-exhausted", "error", "failure"),
    "15": ("dhcp-denied", "denied", "failure"),
    "16": ("dhcp-delete", "end", "success"),
    "17": ("dhcp-expired", "end", "success"),
    "18": ("dhcp-expired", "end", "success"),
    "20": ("dhcp-bootp-lease", "start", "success"),
    "30": ("dhcp-dns-update", "info", None),
    "31": ("dhcp-dns-update", "error", "failure"),
    "32": ("dhcp-dns-update", "info", "success"),
    "50": ("dhcp-unreachable-domain", "error", "failure"),
    "53": ("dhcp-not-authorized", "error", "failure"),
    "57": ("dhcp-rogue-server", "error", "failure"),
}
_COLUMNS = {4: "client.ip", 5: "client.domain", 6: "client.mac", 8: "transaction.id"}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a line; raises ParseError."""
    found = _START.search(text(record.data, site.charset).strip("\ufeff \r\n"))
    values = csv_line.values(found[0], step=_STEP) if found else []
    if len(values) < 5:
        raise ParseError("no ID,Date,Time,Description,IP Address of a DHCP log", step=_STEP)
    month, day, year = values[1].split("/")
    doc: Document = {
        "@timestamp": moment(f"20{year[-2:]}-{month}-{day}T{values[2]}", site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "microsoft",
        "event.dataset": "microsoft.dhcp",
        "event.code": values[0],
    }
    for place, name in _COLUMNS.items():
        if place < len(values):
            put(doc, name, values[place])
    action, kind, outcome = _EVENTS.get(values[0].lstrip("0"), ("dhcp-event", "info", None))
    classify(doc, "network", ["protocol", kind] if kind != "protocol" else kind, action, outcome)
    return [Parsed(doc, _LOGSOURCE)]


PARSER = Parser(
    "ms_dhcp",
    lines,
    parse,
    {"client.domain": Action.STAFF},
    title="Microsoft DHCP server",
    reads="DHCP audit logs (DhcpSrvLog-*.log), IPv4",
    logsources=(_LOGSOURCE,),
)
