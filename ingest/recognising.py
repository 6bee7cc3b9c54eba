"""Which source wrote a file, told by its first bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from ingest.parsers.evtx_file import MAGIC
from ingest.parsers.json_objects import json_objects
from ingest.parsers.windows_shapes import windows_event
from wardwatch.errors import ParseError

HEAD_BYTES = 256 * 1024
ECS = "ecs"
"""Events that are parsed already: flat or nested ECS documents."""

_BLANK = b"\xef\xbb\xbf\x00 \t\r\n"
_TEXT = (
    ("hl7v2", re.compile(rb"\x0b?(?:MSH|FHS|BHS)[^\w\s]"), "HL7 v2 segments"),
    ("dicom_audit", re.compile(rb".{0,2000}<AuditMessage", re.S), "an XML audit message"),
    ("huawei_usg", re.compile(rb"[^\n]{0,300}%%\d\d[\w-]+/[0-7]/"), "%%01MODULE/severity/BRIEF"),
    (
        "mysql_audit",
        re.compile(rb"\d{8} {1,2}\d{1,2}:\d\d:\d\d,|<\d+>[^\n]{0,200}mysql-server_auditing"),
        "server_audit's CSV",
    ),
    ("linux", re.compile(rb"<\d{1,3}>|[A-Z][a-z]{2} [ \d]\d [\d:]{8} |\d{4}-\d\d-\d\dT\S+ \S+ \S+: "), "syslog lines"),
)
"""Source, what its first bytes look like, and that in words; in order, because others travel in syslog too."""


def recognise(head: bytes) -> tuple[str, str]:
    """Return the source of a file and what told it; ("", why not) where nothing did."""
    if head.startswith(MAGIC):
        return "windows", "an EVTX file"
    start = head.lstrip(_BLANK)
    if not start:
        return "", "it is empty"
    if start[:1] in b"{[":
        return _of_json(start)
    for source, pattern, what in _TEXT:
        if pattern.match(start):
            return source, what
    return "", "it looks like no known source"


def _of_json(start: bytes) -> tuple[str, str]:
    try:
        doc = orjson.loads(next(json_objects(start), b""))
    except orjson.JSONDecodeError:
        return "", "its first JSON object can't be read"
    for source, is_of, what in _JSON:
        if is_of(doc):
            return source, what
    return ECS, "JSON documents of no known product, whose fields rules name as they are"


def _is_ecs(doc: dict[str, Any]) -> bool:
    return not doc.keys().isdisjoint({"event.id", "event.dataset", "event.module", "event.kind"})


def _is_windows(doc: dict[str, Any]) -> bool:
    try:
        return windows_event(doc).event_id is not None
    except ParseError:
        return False


def _is_mysql(doc: dict[str, Any]) -> bool:
    return "audit_record" in doc or {"class", "event", "connection_id"} <= doc.keys()


_JSON: tuple[tuple[str, Callable[[dict[str, Any]], bool], str], ...] = (
    (ECS, _is_ecs, "flat ECS documents"),
    ("windows", _is_windows, "Windows events as JSON"),
    ("mysql_audit", _is_mysql, "MySQL audit records as JSON"),
)
