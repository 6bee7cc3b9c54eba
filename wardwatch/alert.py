"""The vocabulary of alerts that detection, store and console share (docs/reference/alert-document.md).

An alert is one document with two owners: detection writes what happened (DETECTION), people write the workflow
(WORKFLOW). They are disjoint paths under ``wardwatch.alert``, so neither can overwrite the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, Literal

import orjson

from wardwatch.errors import NotFound
from wardwatch.event import ECS_VERSION
from wardwatch.topics import TENANT

AlertDocument = dict[str, Any]
"""A nested ECS document, as Elastic's own alerts are."""

SCHEMA_VERSION: Final = 1
PRIORITY_LEVELS: Final = {"P1": 80, "P2": 60, "P3": 40}
"""Least priority of each level; below is P4."""


class Severity(StrEnum):
    """Level of a Sigma rule."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def number(self) -> int:
        """The number that Elastic Security reads in ``event.severity``."""
        return {"informational": 21, "low": 21, "medium": 47, "high": 73, "critical": 99}[self.value]


def severity_of(doc: AlertDocument) -> Severity:
    """Return the severity of an alert by its number; LOW where it has none of ours."""
    number = doc.get("event", {}).get("severity")
    return next((severity for severity in reversed(Severity) if severity.number == number), Severity.LOW)


class Status(StrEnum):
    """State of an alert's workflow."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    ESCALATED = "escalated"
    CLOSED = "closed"
    SUPPRESSED = "suppressed"


OPEN: Final = frozenset({Status.NEW, Status.ACKNOWLEDGED, Status.IN_PROGRESS, Status.ESCALATED})


class Verdict(StrEnum):
    """What a closed alert turned out to be."""

    TRUE_POSITIVE = "true_positive"
    BENIGN_POSITIVE = "benign_positive"
    FALSE_POSITIVE_LOGIC = "false_positive_logic"
    FALSE_POSITIVE_DATA = "false_positive_data"
    DUPLICATE = "duplicate"
    EXERCISE = "exercise"
    UNDETERMINED = "undetermined"


WORKFLOW: Final = frozenset(
    {
        "status",
        "verdict",
        "reason",
        "assignee",
        "ack_at",
        "closed_at",
        "case_id",
        "suppression_id",
        "change",
        "continues",
        "ack_due",
        "decide_due",
        "due_at",
        "paused_at",
        "sla_state",
        "decided_at",
    }
)
"""Names under ``wardwatch.alert`` that people own; everything else in the document is detection's.

``change`` is the id of the audit record of the last change; ``continues`` the id of the open alert of the same
fingerprint that this one goes on with; ``due_at`` the deadline that runs (wardwatch.service_levels), ``sla_state`` what
was told of it: ``soon`` or ``breached``; ``decided_at`` when it was closed or became a case.
"""


def new_workflow(clock: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the workflow of an alert nobody has touched, with the deadlines of its ``clock``."""
    return {"status": Status.NEW.value, **(clock or {})}


def alert_id(tenant: str, rule: str, group: str, window_start: datetime) -> str:
    """Return the deterministic id ``<tenant>-<yyyymm>-<24 hex digits>``.

    Tenant and month name the index that holds the alert, so one can be read by its id alone.
    """
    digest = blake2b(f"{tenant}\0{rule}\0{group}\0{window_start.astimezone(UTC).isoformat()}".encode(), digest_size=12)
    return f"{tenant}-{window_start.astimezone(UTC):%Y%m}-{digest.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a job found by itself, without events; times are RFC 3339, ``group`` tells the rule's alerts apart."""

    id: str
    tenant: str
    organization: str
    rule: str
    severity: Severity
    title: Mapping[str, str]
    sentence: Mapping[str, str]
    response: Mapping[str, str]
    group: Mapping[str, str]
    priority_reasons: Sequence[Mapping[str, Any]]
    first_seen: str
    last_seen: str
    count: int = 1


def machine_alert(found: Finding, *, created: str, recovered_at: str | None = None) -> AlertDocument:
    """Return the alert of a finding, shaped as the alerter's are; ``recovered_at`` is when its cause had gone."""
    priority = round(sum(float(each["points"]) for each in found.priority_reasons))
    own = {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": f"{found.tenant}/{found.rule}/{':'.join(found.group.values())}",
        "group_by": dict(found.group),
        "window_start": found.first_seen,
        "count": found.count,
        "first_seen": found.first_seen,
        "last_seen": found.last_seen,
        "source_events": [],
        "matched": [{"field": name, "values": [value]} for name, value in found.group.items()],
        "severity": found.severity.value,
        "rule_status": "stable",
        "title": dict(found.title),
        "sentence": dict(found.sentence),
        "response": dict(found.response),
        "asset_criticality": "",
        "patient_token": "",
        "priority": priority,
        "priority_level": priority_level(priority),
        "priority_reasons": [dict(each) for each in found.priority_reasons],
    }
    return {
        "@timestamp": found.last_seen,
        "ecs": {"version": ECS_VERSION},
        "event": {
            "id": found.id,
            "kind": "alert",
            "created": created,
            "severity": found.severity.number,
            "reason": found.sentence["en"],
            "risk_score": priority,
            "risk_score_norm": priority,
        },
        "message": found.title["en"],
        "organization": {"id": found.tenant, "name": found.organization},
        "labels": {"tenant": found.tenant},
        "rule": {"id": found.rule, "uuid": found.rule, "name": found.title["en"], "ruleset": "scheduler"},
        "related": {},
        "wardwatch": {"alert": own | ({"recovered_at": recovered_at} if recovered_at else {})},
    }


def news(doc: AlertDocument, kind: Literal["created", "updated"]) -> bytes:
    """Return the record by which ``alerts`` tells consoles of an alert that was written, keyed by the alert's id."""
    own, event = doc["wardwatch"]["alert"], doc["event"]
    return orjson.dumps(
        {
            "id": event["id"],
            "tenant": doc["organization"]["id"],
            "severity": own["severity"],
            "priority": own["priority"],
            "title": own["title"],
            "created": event["created"],
            "kind": kind,
        }
    )


def priority_level(priority: int) -> str:
    """Return P1 (80 and more), P2 (60), P3 (40) or P4."""
    return next((name for name, least in PRIORITY_LEVELS.items() if priority >= least), "P4")


def parse_alert_id(identifier: str) -> tuple[str, str]:
    """Return (tenant, ``yyyymm``) of an alert id; raises NotFound when it is none."""
    tenant, _, rest = identifier.rpartition("-")[0].rpartition("-")
    if not (TENANT.fullmatch(tenant) and len(rest) == 6 and rest.isdigit()):
        raise NotFound(f"no alert {identifier[:80]!r}", step="store")
    return tenant, rest
