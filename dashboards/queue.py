"""The queue: its filter as it stands in the URL, its page of alerts, and its counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar, get_args
from urllib.parse import urlencode

from dashboards.auth.people import Person
from wardwatch.alert import OPEN, Severity, Status, Verdict
from wardwatch.errors import RecordError
from wardwatch.store import AlertQuery, AlertSort, Page, Store, Stored

PAGE = 50
SILENT_RULE = "silent_source"
SEVERITIES = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)
ANY, ME, NOBODY, TODAY, SOON, YES = "any", "me", "-", "today", "soon", "yes"
DUE_SOON = timedelta(minutes=30)
CRITICAL = frozenset({"life_support", "therapy", "diagnostic", "his_core"})
_TEXT_CHARACTERS = 200
_NEAR = 200
Kind = TypeVar("Kind", Severity, Status, Verdict)


@dataclass(frozen=True, slots=True)
class Desk:
    """Who sits before the queue, and when their day began."""

    store: Store
    person: Person
    midnight: datetime


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What the URL says; "" is no filter, for ``status`` it is every open one.

    ``assignee``: me, - (nobody), a name. ``closed``: today. ``due``: soon (within DUE_SOON). ``critical``: yes, for
    assets whose failure endangers patients. ``series``: an alert, for those that go on with it; open alerts that go on
    with another are left out otherwise.
    """

    tenant: str = ""
    severity: str = ""
    status: str = ""
    rule: str = ""
    verdict: str = ""
    assignee: str = ""
    q: str = ""
    closed: str = ""
    due: str = ""
    critical: str = ""
    series: str = ""
    sort: AlertSort = "priority"
    after: str = ""

    def url(self, **changes: str) -> str:
        """Return the query string with some values changed; the first page unless ``after`` is among them."""
        changed = replace(self, **{"after": "", **changes})  # type: ignore[arg-type]
        return "?" + urlencode(changed.given())

    def given(self) -> dict[str, str]:
        """Return what is set, by name."""
        values = {name: str(getattr(self, name)) for name in self.__slots__}
        return {name: value for name, value in values.items() if value and (name, value) != ("sort", "priority")}

    def query(self, desk: Desk) -> AlertQuery:
        """Return the store's query; raises RecordError for a value that is none."""
        if len(self.q) > _TEXT_CHARACTERS:
            raise RecordError(f"a search has at most {_TEXT_CHARACTERS} characters", step="queue")
        if self.closed not in ("", TODAY):
            raise RecordError(f"{self.closed[:40]!r} is no day: only today is", step="queue")
        if self.due not in ("", SOON) or self.critical not in ("", YES):
            raise RecordError("due is soon, critical is yes", step="queue")
        assignee = {"": None, NOBODY: "", ME: desk.person.name}.get(self.assignee, self.assignee)
        return AlertQuery(
            tenants=frozenset(filter(None, [self.tenant])),
            statuses=_statuses(self.status),
            severities=frozenset([_one(Severity, self.severity)] if self.severity else []),
            verdicts=frozenset([_one(Verdict, self.verdict)] if self.verdict else []),
            rules=frozenset(filter(None, [self.rule])),
            assignee=assignee,
            text=self.q,
            closed_from=desk.midnight if self.closed else None,
            due_before=_minute() + DUE_SOON if self.due else None,
            criticalities=CRITICAL if self.critical else frozenset(),
            heads=not self.series and self.status in ("", *OPEN),
            series=frozenset(filter(None, [self.series])),
        )


def _minute() -> datetime:
    """Return the end of the running minute: what is asked again within it is the same question, which a store knows."""
    return datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)


def filter_of(values: Mapping[str, str]) -> QueueFilter:
    """Return the first page of the filter of these names; raises RecordError for one that it has not."""
    foreign = set(values) - set(QueueFilter.__slots__)
    if foreign:
        raise RecordError(f"no filter: {', '.join(sorted(foreign))[:100]}", step="queue")
    if values.get("sort", "priority") not in get_args(AlertSort):
        raise RecordError(f"{values['sort'][:40]!r} is no order", step="queue")
    return QueueFilter(**{**values, "after": ""})  # type: ignore[arg-type]


def _statuses(text: str) -> frozenset[Status]:
    if text in ("", ANY):
        return frozenset() if text else OPEN
    return frozenset([_one(Status, text)])


def _one(kind: type[Kind], text: str) -> Kind:
    try:
        return kind(text)
    except ValueError:
        raise RecordError(f"{text[:40]!r} is no {kind.__name__.lower()}", step="queue") from None


_MINE = "mine"
VIEWS: dict[str, dict[str, str]] = {
    "open": {},
    "unassigned": {"assignee": NOBODY},
    _MINE: {"assignee": ME},
    "due": {"due": SOON, "sort": "due"},
    "critical": {"critical": YES},
    "silent": {"rule": SILENT_RULE},
    "closed_today": {"status": Status.CLOSED.value, "closed": TODAY, "sort": "newest"},
}
"""Tab → what it sets; tenant and search stay."""


def _tabs(tenant: str) -> dict[str, QueueFilter]:
    return {name: replace(QueueFilter(tenant=tenant), **sets) for name, sets in VIEWS.items()}  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class View:
    """One tab with its count; ``url`` is a query string."""

    name: str
    url: str
    count: int
    current: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of open alerts: by the name of each tab but "mine", by severity, and by who has them."""

    tabs: dict[str, int]
    severities: dict[str, int]
    owners: dict[str, int]


def page(desk: Desk, chosen: QueueFilter, *, limit: int = PAGE) -> Page:
    """Return the page of alerts; never reads events. Raises RecordError for a garbled filter or key."""
    return desk.store.alerts.search(
        desk.person.scope, chosen.query(desk), sort=chosen.sort, after=chosen.after or None, limit=limit
    )


def counts(desk: Desk, tenant: str) -> Counts:
    """Return what everybody with the same hospitals counts alike."""
    tabs = {name: tab for name, tab in _tabs(tenant).items() if name != _MINE}
    severities = {each.value: QueueFilter(tenant=tenant, severity=each.value) for each in SEVERITIES}
    totals = iter(totals_of(desk, [*tabs.values(), *severities.values()]))
    owners = desk.store.alerts.count(desk.person.scope, QueueFilter(tenant=tenant).query(desk), "assignee")
    return Counts(dict(zip(tabs, totals, strict=False)), dict(zip(severities, totals, strict=True)), owners)


def views(desk: Desk, chosen: QueueFilter, counted: Counts) -> list[View]:
    """Return the tabs, of which the filter equals the current one."""
    tabs = _tabs(chosen.tenant)
    totals = counted.tabs | {_MINE: counted.owners.get(desk.person.name, 0)}
    here = replace(chosen, q="", after="", severity="")
    return [View(name, tab.url(), totals[name], here == tab) for name, tab in tabs.items()]


def totals_of(desk: Desk, filters: Sequence[QueueFilter]) -> list[int]:
    """Return how many alerts each filter finds; raises RecordError for a garbled one."""
    return desk.store.alerts.totals(desk.person.scope, [each.query(desk) for each in filters])


def series(desk: Desk, items: Sequence[Stored]) -> dict[str, int]:
    """Return for each of the alerts how many open ones go on with it."""
    heads = frozenset(item.doc["event"]["id"] for item in items)
    query = AlertQuery(series=heads, statuses=OPEN)
    return desk.store.alerts.count(desk.person.scope, query, "series") if heads else {}


def nearest(desk: Desk, chosen: QueueFilter) -> list[str]:
    """Return the ids of the first 200 alerts of the queue."""
    first = page(desk, replace(chosen, after=""), limit=_NEAR)
    return [item.doc["event"]["id"] for item in first.items]


def neighbours(ids: Sequence[str], alert: str) -> tuple[str | None, str | None]:
    """Return the ids before and after the alert, None where there is none; the first is after one that is not there."""
    if alert not in ids:
        return None, ids[0] if ids else None
    place = ids.index(alert)
    return (ids[place - 1] if place else None), (ids[place + 1] if place + 1 < len(ids) else None)
