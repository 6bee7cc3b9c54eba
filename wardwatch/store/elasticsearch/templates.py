"""Index templates: names, settings and mappings.

Every name in a document is one leaf (``subobjects: false``), every value without a type of its own is a keyword, and
names beyond the limit stay in the document without being indexed: no log can make another one's fields conflict or
explode the mapping. https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/subobjects
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

ALERTS: Final = "logs-wardwatch.alert-"
EVENTS: Final = "logs-wardwatch.event-"
COLLECTIONS: Final = "wardwatch-"

ID: Final = "wardwatch.id"
"""Sort key of a collection's document: ``_id`` can't be sorted by."""
TEXT: Final = "wardwatch.search.text"
ENTITIES: Final = "wardwatch.search.entities"

_PRIORITY = 500  # above the built-in logs-*-* (100), which would make data streams
_FIELDS = 2000
_CHARACTERS = 8191  # of four bytes at most: Lucene's limit of a term is 32,766 bytes

_KEYWORD: Final = {"type": "keyword", "ignore_above": _CHARACTERS}
_NUMBER: Final = {"type": "long", "ignore_malformed": True}
_ADDRESS: Final = {"type": "ip", "ignore_malformed": True}

_NUMBERS = ["*.port", "*.bytes", "*.packets", "*.pid", "*.exit_code", "*.duration", "dicom.instances", "db.rows"]
_SCALARS = ["string", "long", "double", "boolean"]


def templates() -> dict[str, dict[str, Any]]:
    """Return the composable index templates by name."""
    return {
        "wardwatch-alerts": _template(ALERTS, _ALERT),
        "wardwatch-events": _template(EVENTS, _EVENT, hidden=[TEXT]),
        "wardwatch-collections": _template(COLLECTIONS, {"at": {"type": "date"}, ID: _KEYWORD}, hidden=[ID]),
    }


_KNOWN: Final = (files(__package__) / "known_fields.txt").read_text("utf-8").split()
"""Names that detection and people search by: indexed even on a day when a log fills the index with its own names."""

_EVENT: Final = {
    **dict.fromkeys(_KNOWN, _KEYWORD),
    **dict.fromkeys(["source.ip", "destination.ip", "host.ip"], _ADDRESS),
    **dict.fromkeys(["source.port", "destination.port", "process.pid", "dicom.instances", "db.rows"], _NUMBER),
    "@timestamp": {"type": "date"},
    "event.id": _KEYWORD,
    TEXT: {"type": "text"},
}

_ALERT: Final = {
    "@timestamp": {"type": "date", "ignore_malformed": True},
    "event.id": _KEYWORD,
    "event.created": {"type": "date"},
    "event.ingested": {"type": "date", "ignore_malformed": True},
    "event.severity": {"type": "long"},
    "event.risk_score": {"type": "float", "ignore_malformed": True},
    "message": {"type": "text"},
    "wardwatch.alert.priority": {"type": "double"},
    "wardwatch.alert.count": _NUMBER,
    "wardwatch.alert.first_seen": {"type": "date", "ignore_malformed": True},
    "wardwatch.alert.last_seen": {"type": "date", "ignore_malformed": True},
    "wardwatch.alert.ack_at": {"type": "date", "ignore_malformed": True},
    "wardwatch.alert.closed_at": {"type": "date", "ignore_malformed": True},
    "wardwatch.alert.status": _KEYWORD,
    "wardwatch.alert.verdict": _KEYWORD,
    "wardwatch.alert.assignee": _KEYWORD,
    "rule.id": _KEYWORD,
    TEXT: {"type": "text"},
    ENTITIES: _KEYWORD,
}


def _template(prefix: str, properties: dict[str, Any], hidden: list[str] | None = None) -> dict[str, Any]:
    settings = {
        "number_of_shards": 1,
        "auto_expand_replicas": "0-1",
        "mapping.total_fields.limit": _FIELDS,
        "mapping.total_fields.ignore_dynamic_beyond_limit": True,
        "mapping.field_name_length.limit": 512,
    }
    mappings = {
        "subobjects": False,
        "date_detection": False,
        "_source": {"excludes": hidden or []},
        "dynamic_templates": [
            {"address": {"path_match": "*.ip", "match_mapping_type": "string", "mapping": _ADDRESS}},
            {
                "number": {
                    "path_match": _NUMBERS,
                    "match_mapping_type": ["string", "long", "double"],
                    "mapping": _NUMBER,
                }
            },
            {"value": {"match_mapping_type": _SCALARS, "mapping": _KEYWORD}},
        ],
        "properties": properties,
    }
    template = {"settings": {"index": settings}, "mappings": mappings}
    return {"index_patterns": [f"{prefix}*"], "priority": _PRIORITY, "version": 1, "template": template}
