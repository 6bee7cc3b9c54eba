"""The queue: its filter as it stands in the URL, its page of alerts, and its counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from dashboards.auth.people import Person
from wardwatch.alert import OPEN, Severity, Status
from wardwatch.errors import RecordError
from wardwatch.store import AlertQuery, AlertSort, Page, Store

PAGE = 50
SILENT_RULE = "silent_source"
SEVERITIES = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)
ANY, ME, NOBODY = "any", "me", "-"
_TEXT_CHARACTERS = 200
_NEAR = 200
Kind = TypeVar("Kind", Severity, Status)


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What the URL says; "" is no filter, for ``status`` it is every open one. ``assignee``: me, - (nobody), a name."""

    tenant: str = ""
    severity: str = ""
    status: str = ""
    rule: str = ""
    assignee: str = ""
    q: str = ""
    sort: AlertSort = "priority"
    after: str = ""

    def url(self, **changes: str) -> str:
        """Return the query string with some values changed; the first page unless ``after`` is among them."""
        changed = replace(self, **{"after": "", **changes})  # type: ignore[arg-type]
        values = {name: str(getattr(changed, name)) for name in self.__slots__}
        given = {name: value for name, value in values.items() if value and (name, value) != ("sort", "priority")}
        return "?" + urlencode(given)

    def query(self, person: Person) -> AlertQuery:
        """Return the store's query; raises RecordError for a value that is none."""
        if len(self.q) > _TEXT_CHARACTERS:
            raise RecordError(f"a search has at most {_TEXT_CHARACTERS} characters", step="queue")
        assignee = {"": None, NOBODY: "", ME: person.name}.get(self.assignee, self.assignee)
        return AlertQuery(
            tenants=frozenset(filter(None, [self.tenant])),
            statuses=_statuses(self.status),
            severities=frozenset([_one(Severity, self.severity)] if self.severity else []),
            rules=frozenset(filter(None, [self.rule])),
            assignee=assignee,
            text=self.q,
        )


def _statuses(text: str) -> frozenset[Status]:
    if text in ("", ANY):
        return frozenset() if text else OPEN
    return frozenset([_one(Status, text)])


def _one(kind: type[Kind], text: str) -> Kind:
    try:
        return kind(text)
    except ValueError:
        raise RecordError(f"{text[:40]!r} is no {kind.__name__.lower()}", step="queue") from None


VIEWS: dict[str, dict[str, str]] = {
    "open": {},
    "unassigned": {"assignee": NOBODY},
    "mine": {"assignee": ME},
    "silent": {"rule": SILENT_RULE},
    "closed": {"status": Status.CLOSED.value, "sort": "newest"},
}
"""Tab → what it sets; tenant and search stay."""


@dataclass(frozen=True, slots=True)
class View:
    """One tab with its count; ``url`` is a query string."""

    name: str
    url: str
    count: int
    current: bool


def page(store: Store, person: Person, chosen: QueueFilter) -> Page:
    """Return the page of alerts; never reads events. Raises RecordError for a garbled filter or key."""
    return store.alerts.search(
        person.scope, chosen.query(person), sort=chosen.sort, after=chosen.after or None, limit=PAGE
    )


def severity_counts(store: Store, person: Person, tenant: str) -> dict[str, int]:
    """Return the number of open alerts per severity."""
    found = store.alerts.count(person.scope, QueueFilter(tenant=tenant).query(person), "severity")
    return {severity.value: found.get(severity.value, 0) for severity in SEVERITIES}


def views(store: Store, person: Person, chosen: QueueFilter) -> list[View]:
    """Return the tabs; the current one is what the filter equals."""
    tabs = []
    for name, sets in VIEWS.items():
        tab = replace(QueueFilter(tenant=chosen.tenant), **sets)  # type: ignore[arg-type]
        same = replace(chosen, q="", after="", severity="") == tab
        tabs.append(View(name, tab.url(), _total(store, person, tab), same))
    return tabs


def _total(store: Store, person: Person, chosen: QueueFilter) -> int:
    return sum(store.alerts.count(person.scope, chosen.query(person), "status").values())


def neighbours(store: Store, person: Person, chosen: QueueFilter, alert: str) -> tuple[str | None, str | None]:
    """Return the ids before and after the alert among the first 200 of the queue; None where there is none."""
    first = store.alerts.search(person.scope, chosen.query(person), sort=chosen.sort, limit=_NEAR)
    ids: list[Any] = [item.doc["event"]["id"] for item in first.items]
    if alert not in ids:
        return None, ids[0] if ids else None
    place = ids.index(alert)
    return (ids[place - 1] if place else None), (ids[place + 1] if place + 1 < len(ids) else None)
