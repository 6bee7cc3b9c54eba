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
_REQUEST = rb'\S+ \S+ [^\n\[]{1,255}\[\d\d/[A-Z][a-z]{2}/\d{4}:[^\]\n]+\] "[^\n"]*" \d{3} (?:\d+|-)'
_TEXT = (
    ("hl7v2", re.compile(rb"\x0b?(?:MSH|FHS|BHS)[^\w\s]"), "HL7 v2 segments"),
    ("dicom_audit", re.compile(rb".{0,2000}<AuditMessage", re.S), "an XML audit message"),
    ("zeek", re.compile(rb"#separator "), "Zeek's tab-separated header"),
    ("cef", re.compile(rb"[^\n]{0,300}CEF:\s?\d{1,2}(?:\.\d)?\|"), "CEF:0|vendor|product|"),
    ("leef", re.compile(rb"[^\n]{0,300}LEEF:\s?[12](?:\.\d)?\|"), "LEEF:2.0|vendor|product|"),
    ("cisco_asa", re.compile(rb"[^\n]{0,300}%(?:ASA|FTD|PIX)-\d-\d{6}"), "%ASA-level-number"),
    ("cisco_ise", re.compile(rb"[^\n]{0,300}\bCISE_\w{1,64} \d"), "CISE_Category"),
    ("fortigate", re.compile(rb"[^\n]{0,300}\bdate=\d{4}-\d\d-\d\d time="), "date=… time=… of FortiGate"),
    ("topsec", re.compile(rb"[^\n]{0,300}\bid=tos "), "id=tos"),
    ("paloalto", re.compile(rb"[^\n,]{0,300},\d{4}/\d\d/\d\d [\d:]{8},[^,\n]{0,32},[A-Z]+,"), "PAN-OS values"),
    ("jumpserver", re.compile(rb"[^\n]{0,300}\bjumpserver: \w+ - \{"), "jumpserver: <kind>_log"),
    ("h3c", re.compile(rb"[^\n]{0,300}%%10[\w-]+/[0-7]/"), "%%10MODULE/severity/MNEMONIC"),
    ("sangfor_af", re.compile(rb"[^\n]{0,300}\bfwlog: "), "fwlog: 日志类型"),
    ("sangfor_atrust", re.compile(rb"[^\n]{0,300}\bsdp-\w{1,32}@\w{1,32}Log(?:\[\d+\])?: \{"), "sdp-…@…Log: of aTrust"),
    ("dnsmasq", re.compile(rb"[^\n]{0,300}\bdnsmasq(?:-dhcp)?(?:\[\d+\])?: "), "dnsmasq in syslog"),
    ("vcenter", re.compile(rb"[^\n]{0,300}Event \[\d+\] \[\d+-\d+\] \["), "Event [id] of vCenter"),
    (
        "freeradius",
        re.compile(rb"[^\n]{0,300}\bLogin (?:OK|incorrect)\b[^\n]{0,300}\[[^\n]*\(from client "),
        "Login OK",
    ),
    ("bind", re.compile(rb"[^\n]{0,300}\bclient (?:@0x\w+ )?[\w.:]+#\d+[^\n]{0,300}query"), "client …: query:"),
    ("s3_access", re.compile(rb"\S+ \S+ \[[^\]\n]+\] \S+ \S+ \S+ (?:REST|BATCH|S3)\."), "S3 operations"),
    (
        "cos_access",
        re.compile(rb"\d\.\d [a-z0-9-]{1,80} [a-z0-9-]{1,40} \d{4}-\d\d-\d\dT[\d:]{8}Z "),
        "COS access logs",
    ),
    ("nginx", re.compile(rb"\d{4}/\d\d/\d\d [\d:]{8} \[\w+\] \d+#"), "nginx's error log"),
    ("nginx", re.compile(_REQUEST + rb' "'), "the combined log format"),
    ("tomcat", re.compile(_REQUEST), "the common log format"),
    ("modsecurity", re.compile(rb"--[0-9A-Za-z]{6,16}-+A--"), "part A of an audit log"),
    ("ms_dhcp", re.compile(rb"\d{1,5},\d\d/\d\d/\d\d(?:\d\d)?,[\d:]{8},|ID,Date,Time,"), "ID,Date,Time of DHCP"),
    ("huawei_usg", re.compile(rb"[^\n]{0,300}%%\d\d[\w-]+/[0-7]/"), "%%01MODULE/severity/BRIEF"),
    (
        "mysql_audit",
        re.compile(rb"\d{8} {1,2}\d{1,2}:\d\d:\d\d,|<\d+>[^\n]{0,200}mysql-server_auditing"),
        "server_audit's CSV",
    ),
    ("sysmon_linux", re.compile(rb"[^\n]{0,300}<Event><System><Provider Name=\"Linux-Sysmon\""), "Linux-Sysmon's XML"),
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


def _has(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda doc: all(name in doc for name in names)


def _is_cloudtrail(doc: dict[str, Any]) -> bool:
    return isinstance(doc.get("Records"), list) or {"eventName", "eventSource", "awsRegion"} <= doc.keys()


def _is_actiontrail(doc: dict[str, Any]) -> bool:
    return "acsRegion" in doc or str(doc.get("__topic__", "")).startswith("actiontrail")


def _is_gateway(doc: dict[str, Any]) -> bool:
    return isinstance(doc.get("request"), dict) and "client_ip" in doc


def _is_zeek(doc: dict[str, Any]) -> bool:
    return "_path" in doc or {"ts", "uid", "id.orig_h"} <= doc.keys()


_JSON: tuple[tuple[str, Callable[[dict[str, Any]], bool], str], ...] = (
    (ECS, _is_ecs, "flat ECS documents"),
    ("windows", _is_windows, "Windows events as JSON"),
    ("mysql_audit", _is_mysql, "MySQL audit records as JSON"),
    ("suricata", _has("event_type", "timestamp"), "EVE objects"),
    ("zeek", _is_zeek, "Zeek's logs as JSON"),
    ("safeline", _has("event_id", "req_start_time"), "SafeLine's events"),
    ("modsecurity", _has("transaction"), "transactions of a web application firewall"),
    ("cloudtrail", _is_cloudtrail, "CloudTrail's events"),
    ("actiontrail", _is_actiontrail, "ActionTrail's events"),
    ("cloudaudit", _has("eventName", "eventRegion"), "CloudAudit's events"),
    ("oss_access", _has("bucket", "operation", "client_ip"), "OSS access logs"),
    ("cos_access", _has("bucketName", "eventName", "qcsRegion"), "COS access logs"),
    ("api_gateway", _is_gateway, "requests of a gateway"),
)
