"""dnsmasq: queries, answers and leases as its ``--log-queries`` and ``--log-dhcp`` write them to syslog or a file.

Source: dnsmasq manual page (log-queries, log-queries=extra, log-dhcp, log-facility).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.charset import text
from ingest.parsers.fields import classify, put
from ingest.parsers.header import header
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "dnsmasq"
_LOG = re.compile(r"\b(?:dnsmasq|dnsmasq-dhcp)(?:\[\d{1,10}\])?: (?:\d{1,10} (?:\S{1,64} )?)?(.*)", re.S)
_QUERY = re.compile(r"query\[([A-Z0-9=a-z]{1,12})\] (\S{1,255}) from ([\w.:]{2,45})")
_ANSWER = re.compile(r"(?:reply|cached|config|/etc/hosts|DHCP) (\S{1,255}) is (\S{1,255})")
_FORWARD = re.compile(r"forwarded (\S{1,255}) to ([\w.:]{2,45})")
_DHCP = re.compile(r"(DHCP[A-Z]{3,12})\(([\w.-]{1,32})\) (?:([\d.]{7,15}) )?([0-9a-f:]{17})(?: (\S{1,255}))?")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a line; raises ParseError for what is neither a query, an answer nor a lease."""
    frame = text(record.data, site.charset).strip()
    found = _LOG.search(frame)
    if not found:
        raise ParseError("no dnsmasq: of a dnsmasq log", step=_STEP)
    for pattern, category, fields in _PATTERNS:
        said = pattern.match(found[1])
        if said:
            doc: Document = {
                "@timestamp": header(frame[: found.start()], record, site, step=_STEP)[0],
                "event.kind": "event",
                "event.module": "dnsmasq",
                "event.dataset": f"dnsmasq.{category}",
            }
            put(doc, "observer.name", header(frame[: found.start()], record, site, step=_STEP)[1])
            fields(doc, said)
            return [Parsed(doc, LogSource("dnsmasq", category, "dnsmasq"))]
    raise ParseError("neither a query, an answer nor a lease", step=_STEP)


def _query(doc: Document, said: re.Match[str]) -> None:
    put(doc, "dns.question.type", said[1])
    put(doc, "dns.question.name", said[2])
    put(doc, "source.ip", said[3])
    classify(doc, "network", "protocol", "dns-query")


def _answer(doc: Document, said: re.Match[str]) -> None:
    put(doc, "dns.question.name", said[1])
    put(doc, "dns.answers.data", [said[2]])
    put(doc, "dns.response_code", "NXDOMAIN" if said[2].startswith("NXDOMAIN") else None)
    classify(doc, "network", "protocol", "dns-answer")


def _forward(doc: Document, said: re.Match[str]) -> None:
    put(doc, "dns.question.name", said[1])
    put(doc, "destination.ip", said[2])
    classify(doc, "network", "protocol", "dns-forward")


def _lease(doc: Document, said: re.Match[str]) -> None:
    message, interface, address, mac, name = said.groups()
    put(doc, "observer.ingress.interface.name", interface)
    put(doc, "client.ip", address)
    put(doc, "client.mac", mac)
    put(doc, "client.domain", name)
    kind = {"DHCPACK": "start", "DHCPRELEASE": "end", "DHCPNAK": "denied"}.get(message, "info")
    classify(doc, "network", ["protocol", kind], f"dhcp-{message.removeprefix('DHCP').lower()}")


_PATTERNS: tuple[tuple[re.Pattern[str], str, Callable[[Document, re.Match[str]], None]], ...] = (
    (_QUERY, "dns", _query),
    (_ANSWER, "dns", _answer),
    (_FORWARD, "dns", _forward),
    (_DHCP, "dhcp", _lease),
)

PARSER = Parser(
    "dnsmasq",
    lines,
    parse,
    {"client.domain": Action.STAFF, "dns.question.name": Action.MASK, "dns.answers.data": Action.MASK},
    title="dnsmasq DNS and DHCP",
    reads="queries, answers, forwards and leases, by syslog or from files",
    logsources=(LogSource("dnsmasq", "*", "dnsmasq"),),
)
