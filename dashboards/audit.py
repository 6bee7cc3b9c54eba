"""The audit trail: one document per sign-in, refusal and change, never rewritten."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from wardwatch.event import Document, rfc3339
from wardwatch.store import Find, Store

_SHOWN = 100


def record(store: Store, actor: str, action: str, **details: Any) -> str:
    """Append one audit document and return its id.

    ``details`` are JSON values such as ``tenant``, ``alert``, ``address``, ``before`` and ``after``.
    """
    identifier = secrets.token_hex(16)
    doc: Document = {"id": identifier, "at": rfc3339(datetime.now(UTC)), "actor": actor, "action": action, **details}
    store.documents("audit").create(identifier, doc)
    return identifier


def of_alert(store: Store, alert: str) -> list[Document]:
    """Return what people did to an alert, newest first, at most the last 100; the caller has read the alert."""
    page = store.documents("audit").find(Find(fields={"alert": alert}, limit=_SHOWN))
    return [item.doc for item in page.items]
