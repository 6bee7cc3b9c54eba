"""The audit trail: one document per sign-in, refusal and change, never rewritten.

A change of an alert is recorded before it is made, so none is ever made without its record. The alert names the record
of its last change (``wardwatch.alert.change``), and each record the one before it (``previous``): a record that nothing
leads to is of a change that was meant but never made, because the process or the store ended in between.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from wardwatch.alert import parse_alert_id
from wardwatch.event import Document, rfc3339
from wardwatch.store import Find, Store

_SHOWN = 100
_OF_CASE = 1000


def record(store: Store, actor: str, action: str, **details: Any) -> str:
    """Append one audit document and return its id.

    ``details`` are JSON values such as ``tenant``, ``alert``, ``address``, ``before`` and ``after``.
    """
    identifier = secrets.token_hex(16)
    doc: Document = {"id": identifier, "at": rfc3339(datetime.now(UTC)), "actor": actor, "action": action, **details}
    store.documents("audit").create(identifier, doc)
    return identifier


def record_many(store: Store, actor: str, action: str, *, job: str, befores: Mapping[str, Mapping[str, Any]]) -> str:
    """Append one audit document of a change of many alerts and return its id; ``befores`` are their workflows by id.

    They are kept as text, so that no alert's id becomes a field.
    """
    return record(
        store,
        actor,
        action,
        job=job,
        alert=sorted(befores),
        tenants=sorted({parse_alert_id(alert)[0] for alert in befores}),
        befores=orjson.dumps(befores).decode(),
    )


def of_alert(store: Store, alert: str, last: str) -> list[Document]:
    """Return the changes made to an alert, newest first, from its ``last`` one; at most the last 100.

    The caller has read the alert.
    """
    return _made(store, {"alert": alert}, last, _SHOWN, alert)


def of_case(store: Store, case: str, last: str) -> list[Document]:
    """Return the changes made to a case, newest first, from its ``last`` one; at most the last 1000.

    The caller has read the case.
    """
    return _made(store, {"case": case, "kind": "case"}, last, _OF_CASE)


def _made(store: Store, of: dict[str, str | bool], last: str, limit: int, alert: str = "") -> list[Document]:
    page = store.documents("audit").find(Find(fields=of, limit=limit))
    meant: dict[str, Document] = {item.doc["id"]: item.doc for item in page.items}
    made = []
    while entry := meant.pop(last, None):
        made.append(entry)
        last = _previous(entry, alert)
    return made


def _previous(entry: Document, alert: str) -> str:
    befores = entry.get("befores")
    return str(orjson.loads(befores)[alert].get("change", "") if befores else entry["previous"])
