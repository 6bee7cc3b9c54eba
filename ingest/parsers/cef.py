"""Common Event Format: ``CEF:0|vendor|product|version|class id|name|severity|extension`` behind any syslog header.

Source: Micro Focus "Implementing ArcSight Common Event Format (CEF)", version 25 (prefix fields, extension dictionary,
date formats). Free text (``msg``, ``reason``), cookies and custom values are never copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.cef_extension import pairs, unescaped
from ingest.parsers.charset import text
from ingest.parsers.clock import epoch, spoken
from ingest.parsers.device_events import explain
from ingest.parsers.fields import fill, put, put_hash
from ingest.parsers.header import header
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "cef"
_PREFIX = re.compile(r"CEF:\s?(\d{1,2})(?:\.\d)?\|" + r"((?:[^|\\]|\\.)*)\|" * 6 + "(.*)", re.S)
_SLUG = re.compile(r"[^a-z0-9]+")
_SEVERITIES = {"unknown": 0, "low": 3, "medium": 6, "high": 8, "very-high": 10}
_DIRECTIONS = {"0": "inbound", "1": "outbound"}
NAMES: Mapping[str, str] = {
    "src": "source.ip",
    "spt": "source.port",
    "smac": "source.mac",
    "shost": "source.domain",
    "suser": "user.name",
    "suid": "user.id",
    "sntdom": "user.domain",
    "dst": "destination.ip",
    "dpt": "destination.port",
    "dmac": "destination.mac",
    "dhost": "destination.domain",
    "duser": "user.target.name",
    "duid": "user.target.id",
    "sourceTranslatedAddress": "source.nat.ip",
    "sourceTranslatedPort": "source.nat.port",
    "destinationTranslatedAddress": "destination.nat.ip",
    "destinationTranslatedPort": "destination.nat.port",
    "dvc": "observer.ip",
    "dvchost": "observer.name",
    "deviceInboundInterface": "observer.ingress.interface.name",
    "deviceOutboundInterface": "observer.egress.interface.name",
    "app": "network.protocol",
    "proto": "network.transport",
    "in": "source.bytes",
    "out": "destination.bytes",
    "act": "rule.action",
    "cat": "rule.category",
    "request": "url.original",
    "requestMethod": "http.request.method",
    "requestClientApplication": "user_agent.original",
    "requestContext": "http.request.referrer",
    "fname": "file.name",
    "filePath": "file.path",
    "fsize": "file.size",
    "sproc": "process.name",
    "spid": "process.pid",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when it has not the seven fields of CEF's prefix."""
    frame = text(record.data, site.charset)
    found = _PREFIX.search(frame)
    if not found:
        raise ParseError("no CEF:0|vendor|product|version|id|name|severity|", step=_STEP)
    prefix = found.groups()[1:7]
    about = (_about if found.start(8) - found.start() <= _REMEMBERED else _about.__wrapped__)(*prefix)
    values = pairs(found[8])
    time, host = header(frame[: found.start()], record, site, step=_STEP)
    doc: Document = {
        "@timestamp": _time(values, record, site) or time,
        "event.kind": "event",
        "event.module": "cef",
        "event.dataset": "cef.log",
        **about.doc,
    }
    fill(doc, values, NAMES)
    put(doc, "observer.name", host)
    put(doc, "network.direction", _DIRECTIONS.get(values.get("deviceDirection", "")))
    put_hash(doc, values.get("fileHash", ""))
    words = f"{about.name} {values.get('cat', '')} {about.product}"
    category = explain(doc, words, values.get("act", ""), values.get("outcome", ""))
    return [Parsed(doc, LogSource(about.vendor_slug, category, about.product_slug))]


class _About(NamedTuple):
    """What the prefix says, which most logs of a device share."""

    doc: Document
    name: str
    product: str
    vendor_slug: str
    product_slug: str


_REMEMBERED = 512  # characters of a prefix


@lru_cache(maxsize=4096)
def _about(*prefix: str) -> _About:
    vendor, product, version, code, name, severity = (unescaped(part).strip() for part in prefix)
    doc: Document = {}
    fill(doc, {"vendor": vendor, "product": product, "version": version, "code": code, "name": name}, _PREFIX_NAMES)
    put(doc, "event.severity", _SEVERITIES.get(severity.lower(), severity))
    return _About(doc, name, product, slug(vendor), slug(product))


_PREFIX_NAMES = {
    "vendor": "observer.vendor",
    "product": "observer.product",
    "version": "observer.version",
    "code": "event.code",
    "name": "rule.name",
}


def slug(name: str) -> str:
    """Return a vendor's or product's name as a log source has it: lower case, words joined by ``_``."""
    return _SLUG.sub("_", name.lower()).strip("_")


def _time(values: Mapping[str, str], record: Record, site: Site) -> str:
    for name in ("rt", "start", "end"):
        value = values.get(name, "")
        if value:
            year = record.received.astimezone(site.zone).year
            return epoch(value, step=_STEP) if value.isdecimal() else spoken(value, site.zone, year, step=_STEP)
    return ""


PARSER = Parser(
    "cef",
    lines,
    parse,
    {
        **dict.fromkeys(("user.name", "user.id", "user.target.name", "user.target.id", "source.domain"), Action.STAFF),
        **dict.fromkeys(("url.original", "http.request.referrer"), Action.URL),
        **dict.fromkeys(("file.name", "file.path", "user_agent.original", "process.name"), Action.MASK),
        **dict.fromkeys(("rule.name", "rule.category"), Action.TEXT),
    },
    title="Common Event Format (CEF)",
    reads="CEF of any vendor, by syslog or from files",
    logsources=(LogSource("*", "*", "*"),),
)
