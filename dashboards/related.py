"""What else happened around an alert: the same rule and the same entities in its hospital."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from dashboards.present import AlertView, dig
from wardwatch.alert import parse_alert_id
from wardwatch.event import parse_time
from wardwatch.store import AlertQuery, Scope, Store, Stored

BEFORE = timedelta(days=7)
_SHOWN = 10
_ENTITIES = 4


@dataclass(frozen=True, slots=True)
class Related:
    """The other alerts with one thing in common, newest first; ``total`` counts also those not listed."""

    kind: str
    value: str
    total: int
    newest: list[Stored]


def related(store: Store, scope: Scope, alert: AlertView) -> list[Related]:
    """Return the alerts of the same rule and of each entity, from seven days before the alert on."""
    found = [_group(store, scope, alert, *common) for common in _common(alert)]
    return [group for group in found if group.total]


def _common(alert: AlertView) -> Iterator[tuple[str, str, AlertQuery]]:
    tenants = frozenset([parse_alert_id(alert.id)[0]])
    start = parse_time(str(dig(alert.doc, "event.created"))) - BEFORE
    rule = str(dig(alert.doc, "rule.id"))
    yield "rule", alert.title, AlertQuery(tenants=tenants, rules=frozenset([rule]), created_from=start)
    for kind, value in alert.entities[:_ENTITIES]:
        yield kind, value, AlertQuery(tenants=tenants, entity=value, created_from=start)


def _group(store: Store, scope: Scope, alert: AlertView, kind: str, value: str, query: AlertQuery) -> Related:
    page = store.alerts.search(scope, query, limit=_SHOWN + 1)
    others = [item for item in page.items if item.doc["event"]["id"] != alert.id]
    return Related(kind, value, max(page.total - 1, len(others)), others[:_SHOWN])
