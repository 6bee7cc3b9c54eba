"""AWS CloudTrail: events one by one, or files of ``{"Records": […]}``.

Source: AWS CloudTrail user guide, "CloudTrail record contents" (event version 1.08 to 1.11) and "userIdentity element".
Parameters of requests and answers are never copied, for they may hold anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ingest.parsers import Parsed, Parser, Record, Site, cloud_audit
from ingest.parsers.clock import moment
from ingest.parsers.fields import fill, text_of
from ingest.parsers.json_body import body, flat, inner
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "cloudtrail"
_LOGSOURCE = LogSource("aws", "", "cloudtrail")
_NAMES: Mapping[str, str] = {
    "eventSource": "event.provider",
    "sourceIPAddress": "source.ip",
    "userAgent": "user_agent.original",
    "awsRegion": "cloud.region",
    "recipientAccountId": "cloud.account.id",
    "userIdentity.accountId": "cloud.account.id",
    "userIdentity.userName": "user.name",
    "userIdentity.sessionContext.sessionIssuer.userName": "user.name",
    "userIdentity.type": "aws.cloudtrail.identity_type",
    "userIdentity.sessionContext.attributes.mfaAuthenticated": "aws.cloudtrail.mfa",
    "additionalEventData.MFAUsed": "aws.cloudtrail.mfa",
    "requestParameters.userName": "user.target.name",
    "errorCode": "error.code",
    "eventType": "aws.cloudtrail.event_type",
    "eventCategory": "aws.cloudtrail.event_category",
    "readOnly": "aws.cloudtrail.read_only",
    "requestID": "transaction.id",
}


class _File(msgspec.Struct):
    """A file as CloudTrail writes it to a bucket, its events as they stand."""

    records: list[msgspec.Raw] = msgspec.field(name="Records")


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file into its events: those of ``{"Records": […]}``, or JSON objects one by one."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except msgspec.MsgspecError:
        return json_objects(data)
    return map(bytes, file.records)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the event of a record, or those of a file; raises ParseError."""
    _, raw = body(record, site, step=_STEP)
    records = raw.get("Records", [raw])
    if not isinstance(records, list) or not records:
        raise ParseError("no records in the file", step=_STEP)
    return [Parsed(_event(one, site), _LOGSOURCE) for one in records]


def _event(raw: object, site: Site) -> Document:
    values = flat(raw) if isinstance(raw, dict) else {}
    name, source = text_of(values.get("eventName")), text_of(values.get("eventSource"))
    if not name or not source:
        raise ParseError("no eventName and eventSource of CloudTrail", step=_STEP)
    doc: Document = {
        "@timestamp": moment(text_of(values.get("eventTime")), site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "aws",
        "event.dataset": "aws.cloudtrail",
        "cloud.provider": "aws",
    }
    fill(doc, values, _NAMES)
    cloud_audit.call(doc, name, source, failed=_failed(raw, values))
    return doc


def _failed(raw: object, values: Mapping[str, Any]) -> bool:
    answer = inner(raw, "responseElements").get("ConsoleLogin")
    return bool(text_of(values.get("errorCode"))) or answer == "Failure"


PARSER = Parser(
    "cloudtrail",
    split,
    parse,
    {**dict.fromkeys(("user.name", "user.target.name"), Action.STAFF), "user_agent.original": Action.MASK},
    title="AWS CloudTrail",
    reads="events as JSON objects and files of Records",
    logsources=(_LOGSOURCE,),
)
