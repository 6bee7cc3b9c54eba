"""Reveals of tokens, as ``wardwatch reveal`` writes them: who learnt which patient's or colleague's name, and why.

A FHIR R4 AuditEvent per line: type 110106 (export), subtype ``reidentify`` of ISO 21089, the person who asked as
requestor, a second person beside, the case and the tokens as entities. Sources: HL7 FHIR R4 4.0.1, AuditEvent; DICOM
PS3.16 CID 400; ISO 21089 lifecycle events; IHE De-Identification Handbook.
"""

from __future__ import annotations

import re

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
        case, *entities = [entity["what"]["identifier"]["value"] for entity in event["entity"][: _MAX + 1]]
        tokens = [str(token) for token in entities if _TOKEN.fullmatch(str(token))]
        doc: Document = {
            "@timestamp": moment(str(event["recorded"]), site.zone, step=_STEP),
            "event.kind": "event",
            "event.module": "wardwatch",
            "event.dataset": "wardwatch.reveal",
            "reveal.tokens": tokens,
            "reveal.count": len(tokens),
            "reveal.guarded": event["entity"][0].get("securityLabel") is not None,
        }
        put(doc, "user.id", asked["who"]["identifier"]["value"])
        put(doc, "user.roles", [asked["role"][0]["text"]])
        put(doc, "reveal.second_person", others[0]["who"]["identifier"]["value"] if others else "")
        put(doc, "reveal.case", case)
        put(doc, "event.reason", event["purposeOfEvent"][0]["text"])
        classify(doc, ["iam", "database"], "access", "reveal", "success" if event["outcome"] == "0" else "failure")
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError):
        raise ParseError("no reveal as this collector writes them", step=_STEP) from None
    return [Parsed(doc, _LOGSOURCE)]


PARSER = Parser(
    "reveal",
    lines,
    parse,
    {
        **dict.fromkeys(("user.id", "reveal.second_person"), Action.STAFF),
        **dict.fromkeys(("user.roles", "reveal.case"), Action.MASK),
        "event.reason": Action.TEXT,
    },
    title="Reveals of tokens",
    reads="the collector's own record of who revealed what; it needs no configuration",
    logsources=(_LOGSOURCE,),
)
