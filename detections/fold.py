"""Matches folded into alert documents: a pure function of the stored document and the matches that arrived.

Everything that decides whether a match was counted already is in the document itself, so a redelivered, repeated or
interrupted batch gives the same document (docs/decisions/0003-alert-fold.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from detections import attack, priority
from detections.matches import MatchRecord
from wardwatch.alert import SCHEMA_VERSION, AlertDocument, alert_id, priority_level
from wardwatch.event import ECS_VERSION, Document, event_id, parse_time, rfc3339

log = structlog.get_logger()

FOLDED = 1000  # event ids remembered per alert; above it a match repeated by a matcher may be counted twice
SAMPLES = 10  # first and as many latest source events
NOWHERE = -1
RELATED = 50  # values of each related.* field
_ENTITIES = ("host", "user", "source", "destination", "process", "file", "url", "observer")
_CLASS = ("category", "type", "outcome", "action", "module", "dataset", "provider")
_RELATED = {
    "ip": ("source.ip", "destination.ip", "host.ip", "client.ip"),
    "user": ("user.id", "user.name"),
    "hosts": ("host.name", "source.domain", "destination.domain"),
    "hash": ("process.hash.sha256", "file.hash.sha256"),
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A match and where it lay on the bus; ``taken_ms`` is when the bus took it (Unix time).

    ``offset`` NOWHERE is that of a match which a correlation makes: only its event id tells whether it is known.
    """

    match: MatchRecord
    partition: int
    offset: int
    taken_ms: int


@dataclass(frozen=True, slots=True)
class Alerting:
    """What the documents need beside the matches; ``now`` is the time of this write."""

    window_s: int
    console_url: str
    organization: str
    now: datetime


def window_start(match: MatchRecord, window_s: int) -> datetime:
    """Return the start of the window, aligned to the Unix epoch in event time, that the match falls into."""
    if match.opened:
        return parse_time(match.opened)
    size = timedelta(seconds=match.rule.window_s or window_s)
    epoch = datetime.fromtimestamp(0, UTC)
    return epoch + (parse_time(match.timestamp) - epoch) // size * size


def identifier(match: MatchRecord, window_s: int) -> str:
    """Return the id of the alert that the match belongs to, whenever it arrives."""
    return alert_id(match.tenant, match.rule.id, match.group_key, window_start(match, window_s))


def earlier(match: MatchRecord, window_s: int) -> str:
    """Return the id of the group's alert one window earlier, "" for a match that a correlation makes."""
    if match.opened:
        return ""
    before = window_start(match, window_s) - timedelta(seconds=match.rule.window_s or window_s)
    return alert_id(match.tenant, match.rule.id, match.group_key, before)


def fold(before: AlertDocument | None, arrivals: Sequence[Arrival], alerting: Alerting) -> AlertDocument | None:
    """Return the document with the arrivals in it, None when all of them were in it before."""
    doc = before
    for arrival in arrivals:
        if doc is None:
            doc = _opened(arrival.match, alerting)
        if not _is_known(doc["wardwatch"]["alert"], arrival):
            doc = _with(doc, arrival, alerting)
    return None if doc is before else doc


def _is_known(own: Mapping[str, Any], arrival: Arrival) -> bool:
    if _short_id(arrival.match) in own["folded"]:
        return True
    cursor = own["cursor"]
    if arrival.offset == NOWHERE or cursor["partition"] != arrival.partition or arrival.offset > cursor["offset"]:
        return False
    if arrival.taken_ms > cursor["taken_ms"]:
        # an offset of before, taken later: the topic was created again
        log.warning("matches_restarted", partition=arrival.partition, offset=arrival.offset, cursor=cursor["offset"])
        return False
    return True


def _short_id(match: MatchRecord) -> str:
    return event_id(match.tenant, match.source, match.event_id)[:16]


def _opened(match: MatchRecord, alerting: Alerting) -> AlertDocument:
    start = rfc3339(window_start(match, alerting.window_s))
    own = {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": match.key,
        "group_by": dict(match.group),
        "window_start": start,
        "count": 0,
        "first_seen": match.timestamp,
        "last_seen": match.timestamp,
        "source_events": [],
        "folded": [],
        "priority_reasons": [],
        "asset_criticality": "",
        "patient_token": "",
        "cursor": {"partition": -1, "offset": -1, "taken_ms": 0},
    }
    identity = identifier(match, alerting.window_s)
    url = {"url": f"{alerting.console_url.rstrip('/')}/alerts/{identity}"} if alerting.console_url else {}
    return {
        "ecs": {"version": ECS_VERSION},
        "event": {"id": identity, "created": rfc3339(alerting.now), **url},
        "organization": {"id": match.tenant, "name": alerting.organization},
        "labels": {"tenant": match.tenant},
        "related": {},
        "wardwatch": {"alert": own},
    }


def _with(doc: AlertDocument, arrival: Arrival, alerting: Alerting) -> AlertDocument:
    match, own = arrival.match, doc["wardwatch"]["alert"]
    newest = own["count"] == 0 or parse_time(match.timestamp) >= parse_time(own["last_seen"])
    related = _related(doc["related"], match.fields)
    last_seen = match.timestamp if newest else own["last_seen"]
    reasons = _reasons(own["priority_reasons"], match, len(related.get("hosts", ())))
    counted = {
        "count": own["count"] + 1,
        "first_seen": min(own["first_seen"], match.timestamp, key=parse_time),
        "last_seen": last_seen,
        "source_events": _samples(own["source_events"], {"index": match.index, "id": match.event_id}),
        "folded": [*own["folded"], _short_id(match)][-FOLDED:],
        "cursor": _cursor(own["cursor"], arrival),
        "asset_criticality": max(own["asset_criticality"], priority.asset_criticality(match.fields), key=_weight),
        "priority": priority.total(reasons),
        "priority_level": priority_level(priority.total(reasons)),
        "priority_reasons": reasons,
    }
    return {
        **(_described(doc, match) if newest else doc),
        "@timestamp": last_seen,
        "event": {
            **(_classified(doc["event"], match) if newest else doc["event"]),
            "ingested": rfc3339(alerting.now),
            "risk_score": counted["priority"],
            "risk_score_norm": counted["priority"],
        },
        "related": related,
        "wardwatch": {"alert": {**own, **(_presented(own, match) if newest else {}), **counted}},
    }


def _cursor(before: Mapping[str, int], arrival: Arrival) -> Mapping[str, int]:
    if arrival.offset == NOWHERE:
        return before
    same = before["partition"] == arrival.partition and arrival.offset > before["offset"]
    taken_ms = max(before["taken_ms"], arrival.taken_ms) if same else arrival.taken_ms
    return {"partition": arrival.partition, "offset": arrival.offset, "taken_ms": taken_ms}


def _weight(criticality: str) -> float:
    return priority.CRITICALITY.get(criticality, 0.0)


def _reasons(before: Sequence[Mapping[str, Any]], match: MatchRecord, hosts: int) -> list[dict[str, Any]]:
    values = priority.terms(match.rule.severity, match.rule.status, match.fields) | {"spread": priority.spread(hosts)}
    for each in before:
        values[each["term"]] = max(values.get(each["term"], 0.0), each["value"])
    return priority.reasons(values)


def _samples(before: list[dict[str, str]], latest: dict[str, str]) -> list[dict[str, str]]:
    return [*before[:SAMPLES], *[*before[SAMPLES:], latest][-SAMPLES:]] if len(before) >= SAMPLES else [*before, latest]


def _related(before: Mapping[str, list[str]], fields: Document) -> dict[str, list[str]]:
    related = {kind: list(values) for kind, values in before.items()}
    for kind, names in _RELATED.items():
        for value in (each for name in names for each in _texts(fields.get(name))):
            values = related.setdefault(kind, [])
            if value not in values and len(values) < RELATED:
                values.append(value)
    return related


def _texts(value: object) -> list[str]:
    if value is None or value == "":
        return []
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else [str(value)]


def _described(doc: AlertDocument, match: MatchRecord) -> AlertDocument:
    rule = match.rule
    kept = {name: value for name, value in doc.items() if name not in _ENTITIES}
    return kept | {
        "message": rule.title["en"],
        "tags": rule.tags,
        "threat": attack.threat(rule.tags),
        "rule": {
            "id": rule.slug,
            "uuid": rule.id,
            "name": rule.name,
            "description": rule.description,
            "version": rule.version,
            "ruleset": rule.ruleset,
            "category": match.source,
            "reference": rule.references,
            "author": rule.author,
            "license": rule.license,
        },
        **nested({name: value for name, value in match.fields.items() if name.partition(".")[0] in _ENTITIES}),
    }


def _classified(event: Mapping[str, Any], match: MatchRecord) -> dict[str, Any]:
    copied = {name: match.fields[f"event.{name}"] for name in _CLASS if f"event.{name}" in match.fields}
    kept = {name: value for name, value in event.items() if name not in _CLASS}
    own = {"kind": "alert", "severity": match.rule.severity.number, "reason": match.sentence["en"]}
    return {**kept, **copied, **own}


def _presented(own: Mapping[str, Any], match: MatchRecord) -> dict[str, Any]:
    return {
        "severity": match.rule.severity.value,
        "rule_status": match.rule.status,
        "false_positives": match.rule.false_positives,
        "matched": [{"field": field, "values": values} for field, values in match.matched.items()],
        "title": match.rule.title,
        "sentence": match.sentence,
        "response": match.rule.response,
        "patient_token": "".join(_texts(match.fields.get("hospital.patient.id_token"))[:1]) or own["patient_token"],
    }


def nested(flat: Document) -> AlertDocument:
    """Return the document with dotted names as objects; a name below one that holds a value is left out."""
    doc: AlertDocument = {}
    for name, value in flat.items():
        *parents, leaf = name.split(".")
        place: Any = doc
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else None
        if isinstance(place, dict) and not isinstance(place.get(leaf), dict):
            place[leaf] = value
    return doc
