"""Log Event Extended Format 1.0 and 2.0: ``LEEF:2.0|vendor|product|version|event id|delimiter|name=value…``.

Source: IBM "QRadar LEEF format guide" (event components, predefined event attributes, date format). Attributes are
separated by tabs, or in 2.0 by the character of the sixth field, also written as ``x5E`` or ``0x5E``. Free text is
never copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.cef import slug
from ingest.parsers.charset import text
from ingest.parsers.clock import epoch, moment, spoken
from ingest.parsers.device_events import explain
from ingest.parsers.fields import fill
from ingest.parsers.header import header
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "leef"
_PREFIX = re.compile(r"LEEF:\s?([12])(?:\.\d)?\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|(.*)", re.S)
_DELIMITER = re.compile(r"(?:(?:0?x([0-9A-Fa-f]{1,4}))|([^|]?))\|(.*)", re.S)
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,99}")
_MAX_ATTRIBUTES = 500
_JAVA = re.compile(r"yyyy|yy|MMM|MM|M|dd|d|HH|H|hh|h|mm|ss|SSS|a|XXX|z+|Z|EEE|'[^']*'|%|.")
_JAVA_NAMES = {
    **{"yyyy": "%Y", "yy": "%y", "MMM": "%b", "MM": "%m", "M": "%m", "dd": "%d", "d": "%d", "HH": "%H", "H": "%H"},
    **{"hh": "%I", "h": "%I", "mm": "%M", "ss": "%S", "SSS": "%f", "a": "%p", "XXX": "%z", "z": "%Z", "Z": "%z"},
    **{"EEE": "%a", "%": "%%"},
}
_NAMES: Mapping[str, str] = {
    "src": "source.ip",
    "srcPort": "source.port",
    "srcMAC": "source.mac",
    "identSrc": "source.ip",
    "identHostName": "source.domain",
    "usrName": "user.name",
    "domain": "user.domain",
    "dst": "destination.ip",
    "dstPort": "destination.port",
    "dstMAC": "destination.mac",
    "srcPostNAT": "source.nat.ip",
    "srcPostNATPort": "source.nat.port",
    "dstPostNAT": "destination.nat.ip",
    "dstPostNATPort": "destination.nat.port",
    "proto": "network.transport",
    "srcBytes": "source.bytes",
    "dstBytes": "destination.bytes",
    "srcPackets": "source.packets",
    "dstPackets": "destination.packets",
    "policy": "rule.name",
    "cat": "rule.category",
    "action": "rule.action",
    "url": "url.original",
    "sev": "event.severity",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when it has not the fields of LEEF's header."""
    frame = text(record.data, site.charset)
    found = _PREFIX.search(frame)
    if not found:
        raise ParseError("no LEEF:1.0|vendor|product|version|event id|", step=_STEP)
    edition, vendor, product, version, code, rest = found.groups()
    values = _attributes(edition, rest)
    time, host = header(frame[: found.start()], record, site, step=_STEP)
    doc: Document = {
        "@timestamp": _time(values, record, site) or time,
        "event.kind": "event",
        "event.module": "leef",
        "event.dataset": "leef.log",
    }
    fill(doc, values, _NAMES)
    fill(doc, {"vendor": vendor, "product": product, "version": version, "code": code, "host": host}, _HEADER)
    category = explain(doc, f"{code} {values.get('cat', '')} {product}", values.get("action", ""))
    return [Parsed(doc, LogSource(slug(vendor), category, slug(product)))]


_HEADER = {
    "vendor": "observer.vendor",
    "product": "observer.product",
    "version": "observer.version",
    "code": "event.code",
    "host": "observer.name",
}


def _attributes(edition: str, rest: str) -> dict[str, str]:
    delimiter = "\t"
    declared = _DELIMITER.match(rest) if edition == "2" else None
    if declared:
        code, character, rest = declared.groups()
        delimiter = chr(int(code, 16)) if code else character or delimiter
    found: dict[str, str] = {}
    for attribute in rest.split(delimiter, _MAX_ATTRIBUTES):
        name, equals, value = attribute.strip().partition("=")
        if equals and _NAME.fullmatch(name):
            found.setdefault(name, value.strip())
    return found


def _time(values: Mapping[str, str], record: Record, site: Site) -> str:
    time, spelt = values.get("devTime", ""), values.get("devTimeFormat", "")
    if not time:
        return ""
    if time.isdecimal() and len(time) > 8:
        return epoch(time, step=_STEP)
    if not spelt:
        return spoken(time, site.zone, record.received.astimezone(site.zone).year, step=_STEP)
    return moment(_strptime(time, spelt).isoformat(), site.zone, step=_STEP)


def _strptime(time: str, spelt: str) -> datetime:
    """Read a time by a pattern of Java's SimpleDateFormat; raises ParseError."""
    pattern = "".join(
        _JAVA_NAMES.get(part, _JAVA_NAMES.get(part[0] * 1, part.strip("'"))) for part in _JAVA.findall(spelt)
    )
    try:
        return datetime.strptime(time, pattern)  # noqa: DTZ007 the zone is added where it is missing
    except (ValueError, re.error):  # strptime makes a regular expression of the pattern, without looking
        raise ParseError("devTime is not as devTimeFormat says", step=_STEP) from None


PARSER = Parser(
    "leef",
    lines,
    parse,
    {
        "user.name": Action.STAFF,
        "source.domain": Action.STAFF,
        "url.original": Action.URL,
        **dict.fromkeys(("rule.name", "rule.category"), Action.TEXT),
    },
    title="Log Event Extended Format (LEEF)",
    reads="LEEF 1.0 and 2.0 of any vendor, by syslog or from files",
    logsources=(LogSource("*", "*", "*"),),
)
