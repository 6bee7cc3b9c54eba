"""Reveals of tokens and looks at raw records: who learnt which patient's or colleague's name, and why.

A FHIR R4 AuditEvent per line. ``wardwatch reveal`` writes type 110106 (export), subtype ``reidentify`` of ISO 21089,
the person who asked as requestor, a second person beside, the case and the tokens as entities; ``wardwatch collector
tap`` type 110101 (audit log used), subtype ``access``, and the source as entity. Sources: HL7 FHIR R4 4.0.1,
AuditEvent; DICOM PS3.16 CID 400; ISO 21089 lifecycle events; IHE De-Identification Handbook.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, put
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "reveal"
_LOGSOURCE = LogSource("wardwatch", service="reveal")
_TOKEN = re.compile(r"(?:pt|st|en|sd)_[0-9a-f]{24}")
_MAX = 1000


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a reveal; raises ParseError."""
    try:
        event = orjson.loads(record.data)
        asked, *others = event["agent"]
        doc: Document = {
            "@timestamp": moment(str(event["recorded"]), site.zone, step=_STEP),
            "event.kind": "event",
            "event.module": "wardwatch",
            "event.dataset": "wardwatch.reveal",
        }
        put(doc, "user.id", asked["who"]["identifier"]["value"])
        put(doc, "user.roles", [asked["role"][0]["text"]])
        put(doc, "reveal.second_person", others[0]["who"]["identifier"]["value"] if others else "")
        put(doc, "event.reason", event["purposeOfEvent"][0]["text"])
        is_tap = event["subtype"][0]["code"] == "access"
        (_put_tap if is_tap else _put_reveal)(doc, event["entity"])
        outcome = "success" if event["outcome"] == "0" else "failure"
        classify(doc, ["iam", "database"], "access", "tap" if is_tap else "reveal", outcome)
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError):
        raise ParseError("no reveal as this collector writes them", step=_STEP) from None
    return [Parsed(doc, _LOGSOURCE)]


def _put_reveal(doc: Document, entities: list[Any]) -> None:
    case, *others = [entity["what"]["identifier"]["value"] for entity in entities[: _MAX + 1]]
    tokens = [str(token) for token in others if _TOKEN.fullmatch(str(token))]
    put(doc, "reveal.case", case)
    doc |= {
        "reveal.tokens": tokens,
        "reveal.count": len(tokens),
        "reveal.guarded": entities[0].get("securityLabel") is not None,
    }


def _put_tap(doc: Document, entities: list[Any]) -> None:
    put(doc, "tap.source", entities[0]["what"]["identifier"]["value"])


PARSER = Parser(
    "reveal",
    lines,
    parse,
    {
        **dict.fromkeys(("user.id", "reveal.second_person"), Action.STAFF),
        **dict.fromkeys(("user.roles", "reveal.case", "tap.source"), Action.MASK),
        "event.reason": Action.TEXT,
    },
    title="Reveals of tokens and looks at raw records",
    reads="the collector's own record of who revealed or tapped what; it needs no configuration",
    logsources=(_LOGSOURCE,),
)
