"""Alibaba Cloud OSS access logs as Simple Log Service delivers them: one JSON object a request.

Source: Alibaba Cloud documentation, "OSS log fields" of Simple Log Service (access logs). Times are ``__time__``, or
``time`` in the site's zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ingest.parsers import Parsed, Parser, Record, Site
from ingest.parsers.clock import epoch, moment
from ingest.parsers.fields import classify, fill, put, text_of
from ingest.parsers.json_body import body
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "oss_access"
_LOGSOURCE = LogSource("aliyun", "", "oss")
_NAMES: Mapping[str, str] = {
    "client_ip": "source.ip",
    "requester_id": "user.id",
    "owner_id": "cloud.account.id",
    "bucket": "aliyun.oss.bucket",
    "bucket_location": "cloud.region",
    "operation": "aliyun.oss.operation",
    "request_uri": "url.original",
    "host": "url.domain",
    "http_method": "http.request.method",
    "http_status": "http.response.status_code",
    "referer": "http.request.referrer",
    "user_agent": "user_agent.original",
    "User-Agent": "user_agent.original",
    "content_length_out": "http.response.body.bytes",
    "content_length_in": "http.request.body.bytes",
    "object_size": "file.size",
    "error_code": "error.code",
    "request_id": "transaction.id",
    "sign_type": "aliyun.oss.sign_type",
}
_KINDS = (
    ("Delete", "deletion"),
    ("Put", "creation"),
    ("Post", "creation"),
    ("Upload", "creation"),
    ("Copy", "creation"),
)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of an object; raises ParseError when it has no operation, bucket or time."""
    _, raw = body(record, site, step=_STEP)
    operation = text_of(raw.get("operation"))
    if not operation or not text_of(raw.get("bucket")):
        raise ParseError("no operation and bucket of an OSS access log", step=_STEP)
    doc: Document = {
        "@timestamp": _time(raw, site),
        "event.kind": "event",
        "event.module": "aliyun",
        "event.dataset": "aliyun.oss_access",
        "cloud.provider": "aliyun",
    }
    fill(doc, raw, _NAMES)
    key = text_of(raw.get("object"))
    put(doc, "file.path", key and f"/{key}")
    kind = next((kind for start, kind in _KINDS if operation.startswith(start)), "access")
    failed = doc.get("http.response.status_code", 0) >= 400
    classify(doc, ["file", "web"], kind, operation, "failure" if failed else "success")
    return [Parsed(doc, _LOGSOURCE)]


def _time(raw: Document, site: Site) -> str:
    since = text_of(raw.get("__time__"))
    if since:
        return epoch(since, step=_STEP)
    try:
        found = datetime.strptime(text_of(raw.get("time")), "%d/%b/%Y:%H:%M:%S")  # noqa: DTZ007 the site's zone is added
    except ValueError:
        raise ParseError("neither __time__ nor a time like 01/Mar/2026:02:11:09", step=_STEP) from None
    return moment(found.isoformat(), site.zone, step=_STEP)


PARSER = Parser(
    "oss_access",
    json_objects,
    parse,
    {
        "user.id": Action.STAFF,
        **dict.fromkeys(("url.original", "file.path", "http.request.referrer"), Action.URL),
        "user_agent.original": Action.MASK,
    },
    title="Alibaba Cloud OSS access logs",
    reads="access logs of buckets as JSON objects of Simple Log Service",
    logsources=(_LOGSOURCE,),
)
