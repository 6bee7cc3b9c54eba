"""Amazon S3 server access logs, and those of stores that write the same format.

Source: Amazon S3 user guide, "Amazon S3 server access log format". Keys of objects leave as routes do.
"""

from __future__ import annotations

import re
from datetime import datetime

from ingest.parsers import Parsed, Parser, Record, Site, access_log, lines
from ingest.parsers.charset import text
from ingest.parsers.fields import classify, put
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource, rfc3339

_STEP = "s3_access"
_LOGSOURCE = LogSource("aws", "", "s3")
_QUOTED = r'(?:"((?:[^"\\]|\\.)*)"|(-))'
_NUMBER = r"(\d{1,18}|-)"
_LINE = re.compile(
    r"(\S{1,128}) (\S{1,255}) \[([^\]]{10,40})\] (\S{1,64}) (\S{1,512}) (\S{1,64}) (\S{1,64}) (\S{1,4096}) "
    rf"{_QUOTED} (\d{{3}}|-) (\S{{1,64}}) {_NUMBER} {_NUMBER} {_NUMBER} {_NUMBER} {_QUOTED} {_QUOTED}",
    re.S,
)
_KINDS = {"PUT": "creation", "POST": "creation", "COPY": "creation", "DELETE": "deletion", "BATCH": "deletion"}
_USER = re.compile(r"arn:[\w-]{1,32}:(?:iam|sts)::\d{0,12}:(?:user|assumed-role)/(?:.{0,512}/)?([^/]{1,256})")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a line; raises ParseError."""
    found = _LINE.match(text(record.data, site.charset).strip())
    if not found:
        raise ParseError("not a line of an S3 server access log", step=_STEP)
    _, bucket, time, peer, requester, identifier, operation, key, request, _, status, error, sent, size = (
        found.groups()[:14]
    )
    doc: Document = {
        "@timestamp": _time(time),
        "event.kind": "event",
        "event.module": "aws",
        "event.dataset": "aws.s3_access",
        "cloud.provider": "aws",
    }
    user = _USER.fullmatch(requester)
    put(doc, "aws.s3.bucket", bucket)
    put(doc, "source.ip", peer)
    put(doc, "user.name", user and user[1])
    put(doc, "transaction.id", identifier)
    put(doc, "file.path", None if key == "-" else f"/{key}")
    put(doc, "http.response.status_code", status)
    put(doc, "error.code", error)
    put(doc, "http.response.body.bytes", sent)
    put(doc, "file.size", size)
    put(doc, "user_agent.original", access_log.unescaped(found[19] or ""))
    access_log.ask(doc, request or "")
    verb = operation.split(".")[1] if operation.count(".") > 1 else ""
    failed = status.isdecimal() and int(status) >= 400
    classify(doc, ["file", "web"], _KINDS.get(verb, "access"), operation.lower(), "failure" if failed else "success")
    return [Parsed(doc, _LOGSOURCE)]


def _time(time: str) -> str:
    try:
        return rfc3339(datetime.strptime(time, "%d/%b/%Y:%H:%M:%S %z"))
    except (ValueError, OverflowError):
        raise ParseError("not a time like 01/Mar/2026:02:11:09 +0000", step=_STEP) from None


PARSER = Parser(
    "s3_access",
    lines,
    parse,
    {
        "user.name": Action.STAFF,
        **dict.fromkeys(("url.original", "file.path"), Action.URL),
        "user_agent.original": Action.MASK,
    },
    title="Amazon S3 server access logs",
    reads="access logs of buckets, also of compatible object stores",
    logsources=(_LOGSOURCE,),
)
