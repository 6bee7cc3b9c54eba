"""Index templates: names, settings and mappings.

Every name in a document is one leaf (``subobjects: false``), every value without a type of its own is a keyword, and
names beyond the limit stay in the document without being indexed: no log can make another one's fields conflict or
explode the mapping. https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/subobjects
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any, Final

from wardwatch.event import LOGSOURCE

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
_MOMENT: Final = {"type": "date", "ignore_malformed": True}

_ADDRESSES = "*.ip"
_NUMBERS = ["*.port", "*.bytes", "*.packets", "*.pid", "*.exit_code", "*.duration", "dicom.instances", "db.rows"]
_SCALARS = ["string", "long", "double", "boolean"]


def templates() -> dict[str, dict[str, Any]]:
    """Return the composable index templates by name."""
    return {
        "wardwatch-alerts": _template(ALERTS, _ALERT),
        "wardwatch-events": _template(EVENTS, _EVENT, hidden=[TEXT]),
        "wardwatch-collections": _template(COLLECTIONS, {"at": {"type": "date"}, ID: _KEYWORD}, hidden=[ID]),
    }


def _typed(file: str) -> dict[str, dict[str, Any]]:
    names = (files(__package__) / file).read_text("utf-8").split()
    return {name: _type_of(name) for name in names}


def _type_of(name: str) -> dict[str, Any]:
    if fnmatchcase(name, _ADDRESSES):
        return _ADDRESS
    return _NUMBER if is_number(name) else _KEYWORD


def is_number(name: str) -> bool:
    """Tell whether a field is indexed as a number."""
    return any(fnmatchcase(name, pattern) for pattern in _NUMBERS)


_KNOWN: Final = _typed("known_fields.txt")
"""What events are known to hold: a normal day changes no mapping, and no log can fill the room of these names."""

_EVENT: Final = {
    **_KNOWN,
    "@timestamp": {"type": "date"},
    "event.created": _MOMENT,
    **dict.fromkeys(LOGSOURCE, _KEYWORD),
    TEXT: {"type": "text"},
}

_ALERT: Final = {
    **_KNOWN,
    **_typed("alert_fields.txt"),
    "@timestamp": _MOMENT,
    "event.created": {"type": "date"},
    "event.ingested": _MOMENT,
    "event.severity": {"type": "long"},
    "event.risk_score": {"type": "float", "ignore_malformed": True},
    "message": {"type": "text"},
    "wardwatch.alert.priority": {"type": "double"},
    "wardwatch.alert.count": _NUMBER,
    "wardwatch.alert.first_seen": _MOMENT,
    "wardwatch.alert.last_seen": _MOMENT,
    "wardwatch.alert.ack_at": _MOMENT,
    "wardwatch.alert.closed_at": _MOMENT,
    "wardwatch.alert.ack_due": _MOMENT,
    "wardwatch.alert.decide_due": _MOMENT,
    "wardwatch.alert.due_at": _MOMENT,
    "wardwatch.alert.paused_at": _MOMENT,
    "wardwatch.alert.decided_at": _MOMENT,
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
            {"address": {"path_match": _ADDRESSES, "match_mapping_type": "string", "mapping": _ADDRESS}},
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
