"""Lines of web servers' access logs: the combined format of NCSA, which nginx, Tomcat and Apache write by default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from ingest.parsers.fields import classify, put
from wardwatch.errors import ParseError
from wardwatch.event import Document, rfc3339

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(
    rf"(\S{{1,255}}) \S{{1,255}} (.{{1,255}}?) \[([^\]]{{10,40}})\] {_QUOTED} (\d{{3}}|-) (\d{{1,18}}|-)"
    rf"(?: {_QUOTED} {_QUOTED}(?: {_QUOTED})?)?",
    re.S,
)
_REQUEST = re.compile(r"([A-Z][A-Z_-]{1,31}) (.*?)(?: HTTP/(\d(?:\.\d)?))?", re.S)
_ESCAPED = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([\"\\]))")


def line(text: str, *, step: str) -> Document:
    """Return the fields of a line; raises ParseError for one that is not of the format."""
    found = _LINE.match(text)
    if not found:
        raise ParseError("not a line of the combined log format", step=step)
    peer, user, time, request, status, size, referrer, agent, forwarded = found.groups()
    doc: Document = {"@timestamp": _time(time, step), "event.kind": "event"}
    put(doc, "source.ip", peer)
    put(doc, "user.name", user)
    put(doc, "http.response.status_code", status)
    put(doc, "http.response.body.bytes", size)
    put(doc, "http.request.referrer", unescaped(referrer or ""))
    put(doc, "user_agent.original", unescaped(agent or ""))
    put(doc, "client.ip", (forwarded or "").partition(",")[0].strip())
    ask(doc, unescaped(request))
    answered(doc)
    return doc


def ask(doc: Document, request: str) -> None:
    """Set the fields of a request line; one that is none, as scanners send it, is an address as a whole."""
    found = _REQUEST.fullmatch(request)
    put(doc, "http.request.method", found and found[1])
    put(doc, "url.original", found[2] if found else request)
    put(doc, "http.version", found and found[3])


def answered(doc: Document) -> None:
    """Set what kind of event a request is: a failure from status 400 up, as the client sees it."""
    status = doc.get("http.response.status_code")
    refused = status in (401, 403)
    classify(doc, "web", ["access", "denied"] if refused else ["access"], "http-request")
    if isinstance(status, int):
        doc["event.outcome"] = "failure" if status >= 400 else "success"


def unescaped(text: str) -> str:
    """Return text as it was before the server wrote ``\\x22``: its bytes are UTF-8."""
    data = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
    try:
        return data.encode("latin-1").decode("utf-8") if data != text else text
    except UnicodeError:
        return data


def _time(text: str, step: str) -> str:
    try:
        return rfc3339(datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z"))
    except (ValueError, OverflowError):
        raise ParseError("not a time like 01/Mar/2026:02:11:09 +0800", step=step) from None


def head(module: str, dataset: str) -> Mapping[str, str]:
    """Return what all events of a web server have."""
    return {"event.module": module, "event.dataset": dataset}
