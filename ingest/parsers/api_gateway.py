"""API gateways of an internet hospital: JSON access logs of Kong and Apache APISIX.

Source: Kong documentation, "File Log" and "HTTP Log" (log format); Apache APISIX documentation, "http-logger" (default
entry). Of headers only host, user agent and referrer are copied, and never bodies; one's own gateway needs a mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.parsers import Parsed, Parser, Record, Site, access_log
from ingest.parsers.clock import epoch
from ingest.parsers.fields import fill, put, text_of
from ingest.parsers.json_body import body, inner
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "api_gateway"
_LOGSOURCE = LogSource("api_gateway", "webserver", "gateway")
_REQUEST: Mapping[str, str] = {
    "method": "http.request.method",
    "uri": "url.original",
    "size": "http.request.bytes",
    "id": "http.request.id",
}
_HEADERS: Mapping[str, str] = {
    "host": "url.domain",
    "user-agent": "user_agent.original",
    "referer": "http.request.referrer",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of an object; raises ParseError when it has no request or no time."""
    _, raw = body(record, site, step=_STEP)
    request, response = inner(raw, "request"), inner(raw, "response")
    if not text_of(request.get("method")):
        raise ParseError("no request of a gateway's log", step=_STEP)
    doc: Document = {
        "@timestamp": epoch(raw.get("started_at") or _whole(raw.get("start_time")), step=_STEP),
        "event.kind": "event",
        **access_log.head("api_gateway", "api_gateway.access"),
    }
    fill(doc, request, _REQUEST)
    fill(doc, {str(name).lower(): value for name, value in inner(request, "headers").items()}, _HEADERS)
    put(doc, "source.ip", raw.get("client_ip"))
    put(doc, "http.response.status_code", response.get("status"))
    put(doc, "http.response.bytes", response.get("size"))
    put(doc, "service.name", inner(raw, "service").get("name") or raw.get("service_id"))
    put(doc, "api_gateway.route", inner(raw, "route").get("name") or raw.get("route_id"))
    _consumer(doc, raw)
    access_log.answered(doc)
    return [Parsed(doc, _LOGSOURCE)]


def _whole(value: object) -> object:
    """Return APISIX's milliseconds without their fraction."""
    return int(value) if isinstance(value, float) else value


def _consumer(doc: Document, raw: Mapping[str, Any]) -> None:
    consumer = inner(raw, "consumer")
    put(doc, "user.name", consumer.get("username"))
    put(doc, "user.id", inner(raw, "authenticated_entity").get("id") or consumer.get("custom_id"))


PARSER = Parser(
    "api_gateway",
    json_objects,
    parse,
    {
        **dict.fromkeys(("user.name", "user.id"), Action.STAFF),
        **dict.fromkeys(("url.original", "http.request.referrer"), Action.URL),
        "user_agent.original": Action.MASK,
    },
    title="API gateways Kong and Apache APISIX",
    reads="access logs as JSON objects, by HTTP, syslog or from files",
    logsources=(_LOGSOURCE,),
)
