"""Alerts and events for the tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from wardwatch.alert import AlertDocument, Severity, alert_id
from wardwatch.event import Event, rfc3339
from wardwatch.store import AlertWrite, Scope, Store

START = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
EVERYBODY = Scope("test")


def settle(store: Store) -> None:
    """Make every write visible to searches now, where the adapter does so only every second."""
    if store.url.startswith("http"):
        httpx.post(f"{store.url}/_refresh").raise_for_status()


def alert(tenant: str, number: int = 0, *, created: datetime | None = None, **fields: Any) -> AlertWrite:
    """Return the first write of an alert; ``fields`` replace those under ``wardwatch.alert``."""
    moment = created or START + timedelta(minutes=number)
    rule = fields.pop("rule", "vip_lookup")
    identifier = alert_id(tenant, rule, str(number), moment)
    doc: AlertDocument = {
        "@timestamp": rfc3339(moment),
        "event": {
            "id": identifier,
            "kind": "alert",
            "created": rfc3339(moment),
            "severity": fields.pop("severity", Severity.HIGH).number,
            "reason": fields.pop("reason", f"Record {number} was read"),
        },
        "message": fields.pop("message", "Look-up of a VIP patient"),
        "rule": {"id": rule, "name": rule},
        "organization": {"id": tenant},
        "host": {"name": fields.pop("host", "his-ws-07")},
        "user": {"id": fields.pop("user", "st_4f2a")},
        "related": {"ip": [fields.pop("ip", "10.3.1.5")]},
        "wardwatch": {"alert": {"count": 1, "priority": 50, **fields}},
    }
    return AlertWrite(identifier, doc)


def event(tenant: str, number: int = 0, *, at: datetime | None = None, **fields: Any) -> Event:
    """Return an event; ``fields`` have ``__`` for the dots of their names."""
    moment = at or START + timedelta(seconds=number)
    doc = {
        "@timestamp": rfc3339(moment),
        "event.id": f"{number:032x}",
        "source.ip": "10.3.1.5",
        "message": f"record {number}",
        **{name.replace("__", "."): value for name, value in fields.items()},
    }
    return Event(doc, tenant, "linux", received=START)
