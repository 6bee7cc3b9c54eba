"""nginx: access log in the combined format, with or without the X-Forwarded-For that most sites add, and error log.

Source: nginx documentation, ngx_http_log_module (``combined``, escaping ``\\xXX``) and ngx_core_module (``error_log``).
Error messages are kept by their kind only, since they quote addresses and file names.
"""

from __future__ import annotations

import re

from ingest.parsers import Parsed, Parser, Record, Site, access_log, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, put
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "nginx"
_LOGSOURCE = LogSource("nginx", "webserver", "nginx")
_SYSLOG = re.compile(r"<\d{1,3}>.{0,120}?\bnginx(?:\[\d+\])?: ", re.S)
_ERROR = re.compile(r"(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d) \[(\w{1,8})\] (\d{1,10})#(\d{1,10}): (.*)", re.S)
_PART = re.compile(r', (client|server|request|host|referrer): "?([^",]*)"?')
_KIND = re.compile(
    r"(?:\*\d+ )?(open\(\)|connect\(\)|limiting \w+|access forbidden|upstream \w+|SSL_\w+|worker process \d+ exited)"
)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a line; raises ParseError."""
    line = text(record.data, site.charset).strip()
    framed = _SYSLOG.match(line)
    line = line[framed.end() :] if framed else line
    error = _ERROR.match(line)
    if error:
        return [Parsed(_error(error, site), _LOGSOURCE)]
    doc = access_log.line(line, step=_STEP)
    return [Parsed({**doc, **access_log.head("nginx", "nginx.access")}, _LOGSOURCE)]


def _error(found: re.Match[str], site: Site) -> Document:
    year, month, day, time, level, process, _, message = found.groups()
    doc: Document = {
        "@timestamp": moment(f"{year}-{month}-{day}T{time}", site.zone, step=_STEP),
        "event.kind": "event",
        **access_log.head("nginx", "nginx.error"),
        "log.level": level,
        "process.pid": int(process),
    }
    parts = dict(_PART.findall(message))
    kind = _KIND.match(message)
    put(doc, "source.ip", parts.get("client"))
    put(doc, "url.domain", parts.get("host") or parts.get("server"))
    put(doc, "http.request.referrer", parts.get("referrer"))
    if parts.get("request"):
        access_log.ask(doc, parts["request"])
    put(doc, "error.type", kind and re.sub(r"\d+ ", "", kind[1]))
    if not parts and not kind and level not in _LEVELS:
        raise ParseError("not a line of the error log", step=_STEP)
    classify(doc, "web", "error", "web-server-error", "failure")
    return doc


_LEVELS = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")

PARSER = Parser(
    "nginx",
    lines,
    parse,
    {
        "user.name": Action.STAFF,
        **dict.fromkeys(("url.original", "http.request.referrer"), Action.URL),
        "user_agent.original": Action.MASK,
    },
    title="nginx web servers",
    reads="access logs in the combined format and error logs, from files or by syslog",
    logsources=(_LOGSOURCE,),
)
