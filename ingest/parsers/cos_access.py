"""Tencent Cloud COS access logs: a line a request, 30 values between spaces, or as JSON objects of Cloud Log Service.

Values are percent-encoded, "-" is none, the last is the request line in quotes; times are UTC. Source: Tencent Cloud
documentation, "Logging Overview" of COS (product 436) and "COS access log" of CLS (product 614).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from ingest.parsers import Parsed, Parser, Record, Site, access_log, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, fill, put, text_of
from ingest.parsers.json_body import body
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "cos_access"
_LOGSOURCE = LogSource("tencent", "", "cos")
_COLUMNS = (
    "eventVersion",
    "bucketName",
    "qcsRegion",
    "eventTime",
    "eventSource",
    "eventName",
    "remoteIp",
    "userSecretKeyId",
    "reservedField",
    "reqBytesSent",
    "deltaDataSize",
    "reqPath",
    "reqMethod",
    "userAgent",
    "resHttpCode",
    "resErrorCode",
    "resErrorMsg",
    "resBytesSent",
    "resTotalTime",
    "logSourceType",
    "storageClass",
    "accountId",
    "resTurnAroundTime",
    "requester",
    "requestId",
    "objectSize",
    "versionId",
    "targetStorageClass",
    "referer",
    "requestUri",
)
_LEAST = _COLUMNS.index("requester")  # older logs end before it
_NAMES: Mapping[str, str] = {
    "bucketName": "tencent.cos.bucket",
    "qcsRegion": "cloud.region",
    "eventSource": "url.domain",
    "eventName": "tencent.cos.operation",
    "remoteIp": "source.ip",
    "reqPath": "file.path",
    "userAgent": "user_agent.original",
    "resHttpCode": "http.response.status_code",
    "resErrorCode": "error.code",
    "reqBytesSent": "http.request.body.bytes",
    "resBytesSent": "http.response.body.bytes",
    "logSourceType": "tencent.cos.log_source",
    "accountId": "cloud.account.id",
    "requestId": "transaction.id",
    "objectSize": "file.size",
    "referer": "http.request.referrer",
}
_KINDS = (
    ("Delete", "deletion"),
    ("Put", "creation"),
    ("Post", "creation"),
    ("Upload", "creation"),
    ("Complete", "creation"),
    ("Append", "creation"),
)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a request; raises ParseError when it is none or its status is no number."""
    values = _values(record, site)
    status = text_of(values.get("resHttpCode"))
    operation = text_of(values.get("eventName"))
    if not status.isdecimal() or not operation:
        raise ParseError("no operation and status where a COS access log has them", step=_STEP)
    doc: Document = {
        "@timestamp": moment(text_of(values.get("eventTime")), site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "tencent",
        "event.dataset": "tencent.cos_access",
        "cloud.provider": "tencent",
    }
    fill(doc, values, _NAMES)
    access_log.ask(doc, text_of(values.get("requestUri")).strip('"'))
    put(doc, "http.request.method", values.get("reqMethod"))
    put(doc, "user.id", text_of(values.get("requester")).rpartition(":")[2])  # main account:sub-account
    kind = next((kind for start, kind in _KINDS if operation.startswith(start)), "access")
    failed = int(status[:3]) >= 400
    classify(doc, ["file", "web"], kind, operation, "failure" if failed else "success")
    return [Parsed(doc, _LOGSOURCE)]


def _values(record: Record, site: Site) -> Mapping[str, object]:
    if record.data.lstrip().startswith(b"{"):
        return body(record, site, step=_STEP)[1]
    found = text(record.data, site.charset).split(maxsplit=len(_COLUMNS) - 1)
    if len(found) < _LEAST:
        raise ParseError(f"{len(found)} values, a COS access log has {_LEAST} or more", step=_STEP)
    return {
        name: value if name in ("reqPath", "requestUri", "referer") else unquote(value)
        for name, value in zip(_COLUMNS, found, strict=False)
    }


PARSER = Parser(
    "cos_access",
    lines,
    parse,
    {
        "user.id": Action.STAFF,
        **dict.fromkeys(("url.original", "file.path", "http.request.referrer"), Action.URL),
        "user_agent.original": Action.MASK,
    },
    title="Tencent Cloud COS access logs",
    reads="access logs of buckets, as lines of the target bucket or JSON objects of Cloud Log Service",
    logsources=(_LOGSOURCE,),
)
