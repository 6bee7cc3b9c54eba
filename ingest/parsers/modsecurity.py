"""ModSecurity 2 and 3 and Coraza: audit logs as JSON objects, or in the serial form of parts A to Z.

A serial file is read when it is complete, so collect rotated ones; JSON is read as it grows.

Source: ModSecurity reference manual (SecAuditLogFormat, "Audit log parts"); Coraza documentation, "Audit log". Of
headers only host, user agent and referrer are copied, and never bodies or what a rule matched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ingest.parsers import Parsed, Parser, Record, Site, access_log, firewall_events
from ingest.parsers.charset import text
from ingest.parsers.clock import epoch, moment
from ingest.parsers.fields import number_of, put, text_of
from ingest.parsers.json_body import body, inner
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource, rfc3339

_STEP = "modsecurity"
_LOGSOURCE = LogSource("modsecurity", "webserver", "audit")
_MAGIC = b"--"
_START = re.compile(rb"(?m)^--[0-9A-Za-z]{6,16}-+A--\r?$")
_PART = re.compile(r"^--[0-9A-Za-z]{6,16}-+([A-Z])--\r?\n(.*?)(?=^--[0-9A-Za-z]{6,16}-+[A-Z]--|\Z)", re.S | re.M)
_A = re.compile(r"\[([^\]]{10,40})\] (\S{1,64}) (\S{1,64}) (\d{1,5}) (\S{1,64}) (\d{1,5})")
_RULE = re.compile(r'\[(id|msg|severity) "((?:[^"\\]|\\.)*)"\]')
_HEADER = re.compile(r"(?im)^(user-agent|referer|host): ([^\r\n]{1,4096})")
_DENIED = re.compile(r"Access denied|intercepted", re.I)
_SPELLINGS = (
    "%d/%b/%Y:%H:%M:%S %z",
    "%d/%b/%Y:%H:%M:%S.%f %z",
    "%d/%b/%Y:%H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%a %b %d %H:%M:%S %Y",
)


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file into its JSON objects, or into its transactions of parts A to Z."""
    if not data.startswith(_MAGIC):
        yield from json_objects(data)
        return
    starts = [found.start() for found in _START.finditer(data)] or [0]
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        yield data[start:end].rstrip(b"\r\n")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a transaction; raises ParseError."""
    serial = record.data.lstrip().startswith(_MAGIC)
    doc = _serial(text(record.data, site.charset), site) if serial else _json(record, site)
    access_log.answered(doc)
    if "rule.id" in doc:
        denied = doc["modsecurity.intercepted"] is True or doc.get("http.response.status_code") == 403
        doc["event.outcome"] = "failure" if denied else "success"
        firewall_events.threat(doc, "intrusion_detection", "web-attack", denied=denied)
        doc["event.category"] = ["web", "intrusion_detection"]
    return [Parsed(doc, _LOGSOURCE)]


def _json(record: Record, site: Site) -> Document:
    _, raw = body(record, site, step=_STEP)
    transaction = inner(raw, "transaction")
    if not transaction:
        raise ParseError("no transaction of an audit log", step=_STEP)
    request = inner(transaction, "request") or inner(raw, "request")
    response = inner(transaction, "response") or inner(raw, "response")
    doc = _head(_time(transaction, site))
    put(
        doc,
        "http.request.id",
        transaction.get("unique_id") or transaction.get("id") or transaction.get("transaction_id"),
    )
    put(doc, "source.ip", transaction.get("client_ip") or transaction.get("remote_address"))
    put(doc, "source.port", transaction.get("client_port") or transaction.get("remote_port"))
    put(doc, "destination.ip", transaction.get("host_ip") or transaction.get("local_address"))
    put(doc, "destination.port", transaction.get("host_port") or transaction.get("local_port"))
    lower = {str(name).lower(): value for name, value in inner(request, "headers").items()}
    _headers(doc, {name: value[0] if isinstance(value, list) and value else value for name, value in lower.items()})
    if request.get("request_line"):
        access_log.ask(doc, text_of(request["request_line"]))
    put(doc, "http.request.method", request.get("method"))
    put(doc, "url.original", request.get("uri"))
    put(doc, "http.response.status_code", response.get("http_code") or response.get("status"))
    doc["modsecurity.intercepted"] = transaction.get("is_interrupted") is True
    _messages(doc, transaction.get("messages") or raw.get("messages"))
    return doc


def _time(transaction: Mapping[str, Any], site: Site) -> str:
    since = number_of(transaction.get("unix_timestamp"))
    return (
        epoch(since, step=_STEP)
        if since
        else _spelt(text_of(transaction.get("time_stamp") or transaction.get("timestamp")), site)
    )


def _messages(doc: Document, messages: object) -> None:
    for message in messages if isinstance(messages, list) else []:
        details = inner(message, "details") or inner(message, "data")
        put(doc, "rule.id", details.get("ruleId") or details.get("id"))
        put(doc, "rule.name", text_of(inner({"m": message}, "m").get("message")) or details.get("msg"))
        put(doc, "threat.severity", details.get("severity"))


def _serial(log: str, site: Site) -> Document:
    parts = dict(_PART.findall(log))
    start = _A.match(parts.get("A", ""))
    if not start:
        raise ParseError("no part A of an audit log", step=_STEP)
    time, identifier, source, port, destination, served = start.groups()
    doc = _head(_spelt(time, site))
    put(doc, "http.request.id", identifier)
    put(doc, "source.ip", source)
    put(doc, "source.port", port)
    put(doc, "destination.ip", destination)
    put(doc, "destination.port", served)
    asked, _, headers = parts.get("B", "").partition("\n")
    if asked.strip():
        access_log.ask(doc, asked.strip())
    _headers(doc, {name.lower(): value for name, value in _HEADER.findall(headers)})
    status = re.match(r"HTTP/\S{1,8} (\d{3})", parts.get("F", ""))
    put(doc, "http.response.status_code", status and status[1])
    for name, value in _RULE.findall(parts.get("H", "")):
        put(doc, {"id": "rule.id", "msg": "rule.name", "severity": "threat.severity"}[name], value)
    doc["modsecurity.intercepted"] = _DENIED.search(parts.get("H", "")) is not None
    return doc


def _head(time: str) -> Document:
    return {"@timestamp": time, "event.kind": "event", **access_log.head("modsecurity", "modsecurity.audit")}


def _headers(doc: Document, headers: Mapping[str, object]) -> None:
    put(doc, "url.domain", headers.get("host"))
    put(doc, "user_agent.original", headers.get("user-agent"))
    put(doc, "http.request.referrer", headers.get("referer"))


def _spelt(time: str, site: Site) -> str:
    for spelling in _SPELLINGS:
        try:
            found = datetime.strptime(time, spelling)  # noqa: DTZ007 the zone is added where it is missing
        except ValueError:
            continue
        return rfc3339(found) if found.tzinfo else moment(found.isoformat(), site.zone, step=_STEP)
    return moment(time, site.zone, step=_STEP)


PARSER = Parser(
    "modsecurity",
    split,
    parse,
    {
        **dict.fromkeys(("url.original", "http.request.referrer"), Action.URL),
        "user_agent.original": Action.MASK,
        "rule.name": Action.TEXT,
    },
    title="ModSecurity and Coraza web application firewalls",
    reads="audit logs as JSON of ModSecurity 2, 3 and Coraza, and in the serial form of parts A to Z",
    logsources=(_LOGSOURCE,),
    magic=_MAGIC,
)
