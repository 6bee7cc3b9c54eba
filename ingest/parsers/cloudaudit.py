"""Tencent CloudAudit: events of tracking sets in COS or CLS, and the ``CloudAuditEvent`` of DescribeEvents.

Source: Tencent Cloud API documentation, CloudAudit DescribeEvents (structure Event, CloudAuditEvent as JSON text).
Parameters of requests and answers are never copied.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.parsers import Parsed, Parser, Record, Site, cloud_audit
from ingest.parsers.clock import epoch, moment
from ingest.parsers.fields import fill, text_of
from ingest.parsers.json_body import body, flat
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import DecodeError, ParseError
from wardwatch.event import Document, LogSource, decode

_STEP = "cloudaudit"
_LOGSOURCE = LogSource("tencent", "", "cloudaudit")
_NAMES: Mapping[str, str] = {
    "eventsource": "event.provider",
    "resourcetype": "cloud.service.name",
    "sourceipaddress": "source.ip",
    "useragent": "user_agent.original",
    "eventregion": "cloud.region",
    "useridentity.accountid": "cloud.account.id",
    "accountid": "cloud.account.id",
    "useridentity.username": "user.name",
    "username": "user.name",
    "useridentity.type": "tencent.cloudaudit.identity_type",
    "apierrorcode": "error.code",
    "actiontype": "tencent.cloudaudit.action_type",
    "requestid": "transaction.id",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of an object; raises ParseError."""
    _, raw = body(record, site, step=_STEP)
    values = {name.lower(): value for name, value in flat(_whole(raw)).items()}
    name, time = text_of(values.get("eventname")), text_of(values.get("eventtime"))
    if not name or not time:
        raise ParseError("no eventName and eventTime of CloudAudit", step=_STEP)
    doc: Document = {
        "@timestamp": epoch(time, step=_STEP) if time.isdecimal() else moment(time, site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "tencent",
        "event.dataset": "tencent.cloudaudit",
        "cloud.provider": "tencent",
    }
    fill(doc, values, _NAMES)
    code = text_of(values.get("errorcode"))
    failed = "error.code" in doc or code not in ("", "0")
    cloud_audit.call(doc, name, text_of(values.get("resourcetype")), failed=failed)
    return [Parsed(doc, _LOGSOURCE)]


def _whole(raw: Document) -> Document:
    """Return the event together with the fuller one that it holds as text."""
    text = raw.get("CloudAuditEvent")
    if not isinstance(text, str):
        return raw
    try:
        return {**raw, **decode(text.encode("utf-8", "replace"))}
    except DecodeError as error:
        raise ParseError(error.reason, step=_STEP) from None


PARSER = Parser(
    "cloudaudit",
    json_objects,
    parse,
    {"user.name": Action.STAFF, "user_agent.original": Action.MASK},
    title="Tencent CloudAudit",
    reads="events as JSON objects, of tracking sets and of DescribeEvents",
    logsources=(_LOGSOURCE,),
)
