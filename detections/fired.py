"""What became of the alerts that rules made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from wardwatch.alert import AlertDocument, Status, Verdict
from wardwatch.store import AlertQuery, Alerts, Scope
from wardwatch.store.cursor import MAX_PAGE

_SCOPE = Scope("rules")


@dataclass(frozen=True, slots=True)
class Fired:
    """One alert: whose rule (the Sigma id) it is, how many matches it holds and what people made of it."""

    id: str
    tenant: str
    rule: str
    slug: str
    title: str
    matches: int
    last_seen: str
    status: Status
    verdict: Verdict | None
    doc: AlertDocument


def alerts_of(alerts: Alerts, query: AlertQuery) -> Iterator[Fired]:
    """Yield every alert that meets the query, newest first, a page of them in memory."""
    after: str | None = None
    while True:
        page = alerts.search(_SCOPE, query, after=after, limit=MAX_PAGE)
        yield from (_fired(stored.doc) for stored in page.items)
        if (after := page.after) is None:
            return


def since(alerts: Alerts, tenants: frozenset[str], start: datetime, **more: Any) -> Iterator[Fired]:
    """Yield the alerts of tenants (none: of all) that were created since the moment."""
    return alerts_of(alerts, replace(AlertQuery(tenants=tenants, created_from=start), **more))


def _fired(doc: AlertDocument) -> Fired:
    own, rule = doc["wardwatch"]["alert"], doc.get("rule", {})
    verdict = own.get("verdict")
    return Fired(
        id=doc["event"]["id"],
        tenant=doc.get("organization", {}).get("id", ""),
        rule=str(rule.get("uuid") or rule.get("id", "")),
        slug=str(rule.get("id", "")),
        title=str(rule.get("name", "")),
        matches=int(own.get("count", 1)),
        last_seen=str(own.get("last_seen", "")),
        status=Status(own["status"]),
        verdict=Verdict(verdict) if verdict else None,
        doc=doc,
    )
