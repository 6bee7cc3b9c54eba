"""Alibaba Cloud ActionTrail: management and data events, bare or in the ``event`` of Simple Log Service.

Source: Alibaba Cloud documentation, "Management event structure", "Data event structure", "Log fields" in Simple
Log Service. Parameters of requests and answers are never copied.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.parsers import Parsed, Parser, Record, Site, cloud_audit
from ingest.parsers.clock import moment
from ingest.parsers.fields import fill, text_of
from ingest.parsers.json_body import body, flat
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import DecodeError, ParseError
from wardwatch.event import Document, LogSource, decode

_STEP = "actiontrail"
_LOGSOURCE = LogSource("aliyun", "", "actiontrail")
_NAMES: Mapping[str, str] = {
    "eventSource": "event.provider",
    "serviceName": "cloud.service.name",
    "sourceIpAddress": "source.ip",
    "userAgent": "user_agent.original",
    "acsRegion": "cloud.region",
    "userIdentity.accountId": "cloud.account.id",
    "userIdentity.userName": "user.name",
    "userIdentity.type": "aliyun.actiontrail.identity_type",
    "additionalEventData.isMFAChecked": "aliyun.actiontrail.mfa",
    "errorCode": "error.code",
    "eventType": "aliyun.actiontrail.event_type",
    "eventRW": "aliyun.actiontrail.event_rw",
    "requestId": "transaction.id",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of an object; raises ParseError."""
    _, raw = body(record, site, step=_STEP)
    values = flat(_inside(raw))
    name = text_of(values.get("eventName"))
    if not name or "userIdentity.type" not in values:
        raise ParseError("no eventName and userIdentity of ActionTrail", step=_STEP)
    doc: Document = {
        "@timestamp": moment(text_of(values.get("eventTime")), site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "aliyun",
        "event.dataset": "aliyun.actiontrail",
        "cloud.provider": "aliyun",
    }
    fill(doc, values, _NAMES)
    cloud_audit.call(doc, name, text_of(values.get("serviceName")), failed="error.code" in doc)
    return [Parsed(doc, _LOGSOURCE)]


def _inside(raw: Document) -> Document:
    """Return the event that Simple Log Service keeps as an object or as text."""
    event = raw.get("event", raw)
    if isinstance(event, str):
        try:
            return decode(event.encode("utf-8", "replace"))
        except DecodeError as error:
            raise ParseError(error.reason, step=_STEP) from None
    return event if isinstance(event, dict) else {}


PARSER = Parser(
    "actiontrail",
    json_objects,
    parse,
    {"user.name": Action.STAFF, "user_agent.original": Action.MASK},
    title="Alibaba Cloud ActionTrail",
    reads="management and data events as JSON objects, bare or from Simple Log Service",
    logsources=(_LOGSOURCE,),
)
