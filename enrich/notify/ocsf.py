"""An alert as OCSF Detection Finding (class 2004): the body of webhooks.

Source: OCSF schema 1.4, class detection_finding with the profile incident; docs/reference/alert-document.md names the
correspondence of fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from enrich.notify.message import Told, clean
from enrich.notify.notice import Kind
from wardwatch import __version__
from wardwatch.alert import Severity
from wardwatch.event import parse_time

OCSF_VERSION: Final = "1.4.0"
_CLASS, _CATEGORY = 2004, 2
_SEVERITY = {
    Severity.INFORMATIONAL: (1, "Informational"),
    Severity.LOW: (2, "Low"),
    Severity.MEDIUM: (3, "Medium"),
    Severity.HIGH: (4, "High"),
    Severity.CRITICAL: (5, "Critical"),
}
_STATUS = {"new": (1, "New"), "suppressed": (3, "Suppressed"), "closed": (4, "Resolved")}
_IN_PROGRESS = (2, "In Progress")


def finding(told: Told) -> dict[str, Any]:
    """Return the finding of a notice that is about an alert; times are Unix milliseconds."""
    event, own = told.alert["event"], told.alert["wardwatch"]["alert"]
    created = told.kind in (Kind.NEW, Kind.SILENT)
    activity, name = (1, "Create") if created else (2, "Update")
    severity, severity_name = _SEVERITY[told.severity]
    status, status_name = _STATUS.get(str(own.get("status")), _IN_PROGRESS)
    found = {
        "activity_id": activity,
        "activity_name": name,
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "type_uid": _CLASS * 100 + activity,
        "type_name": f"Detection Finding: {name}",
        "time": _ms(event["created"]),
        "start_time": _ms(own["first_seen"]),
        "end_time": _ms(own["last_seen"]),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "is_alert": True,
        "count": own["count"],
        "message": clean(str(told.alert.get("message", "")), 500),
        "finding_info": _info(told.alert),
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "wardwatch", "vendor_name": "wardwatch", "version": __version__},
            "tenant_uid": told.tenant,
            "uid": told.id,
            "labels": [f"notice:{told.kind.value}"],
        },
        "unmapped": {"notice": told.kind.value, "priority": own.get("priority"), "due_at": told.due_at or None},
    }
    score = event.get("risk_score")
    return found | ({"risk_score": score} if score is not None else {})


def _info(alert: Mapping[str, Any]) -> dict[str, Any]:
    event, own, rule = alert["event"], alert["wardwatch"]["alert"], alert.get("rule", {})
    info = {
        "uid": event["id"],
        "title": clean(str(alert.get("message", "")), 500),
        "desc": clean(str(event.get("reason", "")), 2000),
        "first_seen_time": _ms(own["first_seen"]),
        "last_seen_time": _ms(own["last_seen"]),
        "related_events_count": own["count"],
        "analytic": {
            "name": clean(str(rule.get("name", "")), 500),
            "uid": str(rule.get("uuid", "")),
            "type_id": 1,
            "type": "Rule",
        },
    }
    return info | ({"src_url": event["url"]} if event.get("url") else {})


def _ms(text: str) -> int:
    return int(parse_time(text).timestamp() * 1000)
