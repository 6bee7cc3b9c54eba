"""BIND 9 query log: ``client @0x… 10.3.1.5#53211 (name): query: name IN A +E(0)K (10.9.1.1)``, from a file or syslog.

Source: BIND 9 Administrator Reference Manual, "The query log entry" and "logging" (print-time, print-category).
"""

from __future__ import annotations

import re

from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, put
from ingest.parsers.header import header
from ingest.parsers.networks import direction
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "bind"
_LOGSOURCE = LogSource("bind", "dns", "query")
_QUERY = re.compile(
    r"client (?:@0x[0-9a-fA-F]{1,16} )?([\w.:]{2,45})#(\d{1,5})(?: \([^)]{0,1024}\))?:(?: view \S{1,64}:)? "
    r"(?:query(?: \(cache\))?:? '?)(\S{1,1024})(?: |/)(IN|CH|HS|CLASS\d{1,5}|[A-Z]{1,10})(?: |/)(\w{1,16})"
    r"(?: ([-+][\w()]{0,24}))?(?: \(([\w.:]{2,45})\))?(.{0,20})"
)
_REFUSED = re.compile(
    r"client (?:@0x[0-9a-fA-F]{1,16} )?([\w.:]{2,45})#(\d{1,5})(?: \([^)]{0,1024}\))?:(?: view \S{1,64}:)? "
    r"query(?: \(cache\))? '([^'/\s]{1,1024})/(\w{1,16})/(\w{1,10})' denied"
)
_TIME = re.compile(r"(\d{1,2})-([A-Z][a-z]{2})-(\d{4}) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)")
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a line; raises ParseError when it is no query."""
    frame = text(record.data, site.charset).strip()
    refused = _REFUSED.search(frame)
    found = refused or _QUERY.search(frame)
    if not found:
        raise ParseError("no client …: query: of a BIND query log", step=_STEP)
    time, name = _header(frame[: found.start()], record, site)
    doc: Document = {
        "@timestamp": time,
        "event.kind": "event",
        "event.module": "bind",
        "event.dataset": "bind.query",
    }
    put(doc, "observer.name", name)
    put(doc, "source.ip", found[1])
    put(doc, "source.port", found[2])
    put(doc, "dns.question.name", found[3].rstrip("."))
    put(doc, "dns.question.class", found[5] if refused else found[4])
    put(doc, "dns.question.type", found[4] if refused else found[5])
    if not refused:
        put(doc, "destination.ip", found[7])
        put(doc, "network.direction", direction(doc.get("source.ip", ""), doc.get("destination.ip", "")))
    verdict = ["denied"] if refused else []
    classify(doc, "network", ["protocol", *verdict], "dns-query", "failure" if refused else None)
    return [Parsed(doc, _LOGSOURCE)]


def _header(before: str, record: Record, site: Site) -> tuple[str, str]:
    own = _TIME.search(before)
    if not own:
        return header(before, record, site, step=_STEP)
    day, month, year, time = own.groups()
    number = _MONTHS.find(month) // 3 + 1
    return moment(f"{year}-{number:02}-{day:0>2}T{time}", site.zone, step=_STEP), ""


PARSER = Parser(
    "bind",
    lines,
    parse,
    {"dns.question.name": Action.MASK},
    title="BIND 9 query log",
    reads="queries and refused queries, from files or by syslog",
    logsources=(_LOGSOURCE,),
)
