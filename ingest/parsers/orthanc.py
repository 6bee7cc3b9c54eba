"""Orthanc's log: ``I0301 02:11:09.120000 file.cpp:213] text``, of which the lines about associations, HTTP and stores.

The time has no year and no zone: it is the latest such time in the site's zone before the record was received.
Sources: Orthanc Book, "Configuring the logs" (format) and "Troubleshooting DICOM communications" (``--verbose-dicom``);
of its lines the one of a refusal could not be checked. Of addresses only the route stays, identifiers go.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.charset import text
from ingest.parsers.fields import classify, put
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource, rfc3339

_STEP = "orthanc"
_LOGSOURCE = LogSource("orthanc", service="server")
_LINE = re.compile(
    r"([EWIT])(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6}) {1,20}"
    r"(?:[\w.-]{1,40} {1,20})?(\w[\w.-]{0,60}):(\d{1,6})\] (.*)",
    re.S,
)
_LEVELS = {"E": "error", "W": "warning", "I": "info", "T": "trace"}
_PEER = r"(?:AET )?(?P<aet>\S{1,16}) (?:on|from|at) IP (?P<ip>[0-9A-Fa-f.:]{3,45})"
_MEANINGS = (
    (re.compile(rf"Association (?:Acknowledged|Received).{{0,80}}? (?:to|from) {_PEER}"), "dicom-associate", "success"),
    (re.compile(rf"(?:Rejected|Refusing).{{0,120}}?{_PEER}"), "dicom-associate", "failure"),
    (re.compile(rf"Finishing association with {_PEER}"), "dicom-release", "success"),
    (re.compile(r"(?:\(http\) )?(?P<method>GET|POST|PUT|DELETE) (?P<url>/\S{0,2000})"), "http-request", None),
    (re.compile(r"(?P<store>New instance stored|Instance stored|Incoming Store)"), "dicom-store", "success"),
)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a line; raises ParseError when it has not Orthanc's head."""
    found = _LINE.fullmatch(text(record.data, site.charset).strip())
    if not found:
        raise ParseError("no line of Orthanc's log, like I0301 02:11:09.120000 file.cpp:1]", step=_STEP)
    doc: Document = {
        "@timestamp": _time(found, record, site),
        "event.kind": "event",
        "event.module": "orthanc",
        "event.dataset": "orthanc.server",
        "log.level": _LEVELS[found[1]],
        "log.logger": found[8],
    }
    _categorise(doc, found[10])
    return [Parsed(doc, _LOGSOURCE)]


def _time(found: re.Match[str], record: Record, site: Site) -> str:
    local = record.received.astimezone(site.zone)
    month, day, hour, minute, second, micros = map(int, found.groups()[1:7])
    try:
        moment = datetime(local.year, month, day, hour, minute, second, micros, tzinfo=site.zone)
        late = moment > local + timedelta(days=1)
        return rfc3339(moment.replace(year=local.year - 1) if late else moment)
    except (ValueError, OverflowError):
        raise ParseError("not a time", step=_STEP) from None


def _categorise(doc: Document, body: str) -> None:
    for pattern, action, outcome in _MEANINGS:
        match = pattern.search(body)
        if match:
            _event(doc, match.groupdict(), action, outcome)
            return
    classify(doc, "host", "error" if doc["log.level"] == "error" else "info", "orthanc-message")


def _event(doc: Document, groups: dict[str, str | None], action: str, outcome: str | None) -> None:
    put(doc, "dicom.calling_ae", groups.get("aet"))
    put(doc, "source.ip", groups.get("ip"))
    put(doc, "http.request.method", groups.get("method"))
    put(doc, "url.original", groups.get("url"))
    if action == "dicom-store":
        classify(doc, "file", "creation", action, outcome)
    elif action == "http-request":
        kind = {"DELETE": "deletion", "GET": "access"}.get(groups.get("method") or "", "change")
        classify(doc, "web", kind, action)
    else:
        verdict = "denied" if outcome == "failure" else "end" if action == "dicom-release" else "start"
        classify(doc, "network", ["connection", verdict], action, outcome)


PARSER = Parser(
    "orthanc",
    lines,
    parse,
    {"url.original": Action.URL, "dicom.calling_ae": Action.MASK, "log.logger": Action.MASK},
    title="Orthanc server log",
    reads="lines of the log, best with --verbose-dicom and --verbose-http",
    logsources=(_LOGSOURCE,),
)
