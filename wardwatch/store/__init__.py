"""The store: alerts, events, and small collections (cases, evidence, users, sessions, audit).

Two adapters pass the same contract tests (tests/wardwatch/store/test_contract_*.py): ``sqlite`` for one machine and
``elasticsearch`` for production. Tenancy is enforced here: every call that reads or writes on behalf of somebody
takes a Scope, and a document of another tenant is NotFound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from wardwatch.alert import WORKFLOW, AlertDocument, Severity, Status, Verdict, new_workflow
from wardwatch.errors import NotFound, SettingsError
from wardwatch.event import Document, Event

Version = str
"""What an adapter compares before a write: opaque, from the document's last read."""


@dataclass(frozen=True, slots=True)
class Scope:
    """On whose behalf: ``tenants`` None means every tenant (provider staff and the stages themselves)."""

    actor: str
    tenants: frozenset[str] | None = None

    def allows(self, tenant: str) -> bool:
        """Tell whether the tenant is in scope."""
        return self.tenants is None or tenant in self.tenants

    def check(self, tenant: str, what: str) -> None:
        """Raise NotFound, as if it did not exist, for a tenant out of scope."""
        if not self.allows(tenant):
            raise NotFound(f"no {what}", step="store")


class Outcome(Enum):
    """What became of one document of a batch."""

    STORED = "stored"
    ALREADY_THERE = "already_there"
    CONFLICT = "conflict"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of one document, in the order of the batch; ``reason`` where it was rejected."""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document (an alert's is nested) and the version that a later write compares."""

    doc: dict[str, Any]
    version: Version


@dataclass(frozen=True, slots=True)
class AlertWrite:
    """What detection knows of one alert: its whole document without workflow fields.

    ``version`` None creates it with ``workflow`` (CONFLICT when it exists); else detection's part is replaced if the
    stored version is still that one (else CONFLICT), and the workflow stays as it is.
    """

    id: str
    doc: AlertDocument
    version: Version | None = None
    workflow: Mapping[str, Any] = field(default_factory=new_workflow)


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """A filter over alerts; empty sets mean "any". ``text`` is searched as words in title, sentence and entities.

    ``entity`` is one exact value of ``related.*``, ``host.name``, ``user.id`` or ``wardwatch.alert.patient_token``.
    ``closed_from`` finds alerts that were closed then or later and are closed still (``wardwatch.alert.closed_at``),
    ``due_before`` those whose running deadline is earlier; ``untold`` leaves out those that have one of these
    ``wardwatch.alert.sla_state``. ``heads`` leaves out those that go on with another;
    ``series`` finds those that go on with one of these; ``case`` those of one case.
    """

    tenants: frozenset[str] = frozenset()
    statuses: frozenset[Status] = frozenset()
    severities: frozenset[Severity] = frozenset()
    verdicts: frozenset[Verdict] = frozenset()
    rules: frozenset[str] = frozenset()
    assignee: str | None = None  # "" = nobody
    entity: str = ""
    text: str = ""
    created_from: datetime | None = None
    created_to: datetime | None = None
    closed_from: datetime | None = None
    due_before: datetime | None = None
    untold: frozenset[str] = frozenset()
    criticalities: frozenset[str] = frozenset()
    heads: bool = False
    series: frozenset[str] = frozenset()
    case: str = ""


CountBy = Literal["severity", "status", "tenant", "rule", "verdict", "series", "assignee"]
"""What alerts are counted by; ``series`` is the alert that they go on with."""

AlertSort = Literal["newest", "priority", "due"]
"""``newest``: ``event.created`` descending; ``priority``: ``wardwatch.alert.priority`` descending, then as ``due``:
``wardwatch.alert.due_at`` ascending, those without one last, oldest first."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: ``total`` counts all matches, ``after`` is the key of the next page or None at the end."""

    items: list[Stored]
    total: int
    after: str | None


@dataclass(frozen=True, slots=True)
class WorkflowChange:
    """Fields of one alert's workflow to change (names of alert.WORKFLOW; None removes one), as the alert was read."""

    alert: Stored
    changes: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The alert's id."""
        return str(self.alert.doc["event"]["id"])

    @property
    def workflow(self) -> dict[str, Any]:
        """What the alert's workflow is to be."""
        merged = {**self.alert.doc["wardwatch"]["alert"], **self.changes}
        return {name: merged[name] for name in WORKFLOW & merged.keys() if merged[name] is not None}


class Alerts(Protocol):
    """Alerts of all tenants, in monthly indices."""

    def write(self, writes: Sequence[AlertWrite]) -> list[Result]:
        """Write detection's part of the alerts; raises StoreUnavailable when not every item was answered."""

    def get(self, scope: Scope, ids: Iterable[str]) -> dict[str, Stored]:
        """Return the alerts that exist and are in scope, as last written (not as last indexed)."""

    def search(
        self, scope: Scope, query: AlertQuery, *, sort: AlertSort = "newest", after: str | None = None, limit: int = 50
    ) -> Page:
        """Return a page of alerts by key (no offsets); NotFound is never raised for tenants out of scope: no rows."""

    def count(self, scope: Scope, query: AlertQuery, by: CountBy) -> dict[str, int]:
        """Return how many alerts match, by the values of one field."""

    def totals(self, scope: Scope, queries: Sequence[AlertQuery]) -> list[int]:
        """Return how many alerts match each query, in one request."""

    def workflow(self, scope: Scope, identifier: str, changes: Mapping[str, Any], *, version: Version) -> Stored:
        """Change workflow fields (names of alert.WORKFLOW; None removes one); visible to ``search`` on return.

        Raises NotFound, Conflict (the document changed since ``version`` was read).
        """

    def workflows(self, scope: Scope, changes: Sequence[WorkflowChange]) -> list[Result]:
        """Change many alerts, each by itself: STORED, or CONFLICT for one that changed, is gone or out of scope.

        Visible to ``search`` on return. Raises RejectedByStore for a field that is not the workflow's.
        """

    def expire(self, tenant: str, before: datetime) -> int:
        """Delete whole months before the moment; return the number of alerts gone."""


Values = tuple[str | None, ...]
"""One combination of field values, as texts; None where an event has no such field."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """The events whose ``fields`` hold one of these combinations of values."""

    fields: tuple[str, ...]
    values: frozenset[Values]


class Events(Protocol):
    """Archived events of all tenants, in daily indices.

    A stored document has the event's log source beside its own fields (event.LOGSOURCE), which text searches do not
    read.
    """

    def write(self, events: Sequence[Event]) -> list[Result]:
        """Create each event by its id (ALREADY_THERE when it exists); raises StoreUnavailable."""

    def get(self, scope: Scope, tenant: str, ids: Iterable[str]) -> list[Document]:
        """Return the events that exist, oldest first."""

    def search(
        self,
        scope: Scope,
        tenant: str,
        *,
        text: str = "",
        fields: Mapping[str, str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Return a page of one tenant's events, newest first; ``fields`` are exact values."""

    def scan(
        self,
        scope: Scope,
        tenant: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        kinds: Kinds | None = None,
    ) -> Iterator[Document]:
        """Yield one tenant's events from ``start`` until before ``end``, oldest first, a page of them in memory.

        Events that are written meanwhile may be among them.
        """

    def tally(
        self,
        scope: Scope,
        tenant: str,
        fields: Sequence[str],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> dict[Values, int]:
        """Return how many of one tenant's events hold each combination of values of keyword fields."""

    def tenants(self) -> list[str]:
        """Return the tenants that have archived events, by name."""

    def count(self, tenant: str) -> int:
        """Return the number of archived events of one tenant."""

    def expire(self, tenant: str, before: datetime) -> int:
        """Delete whole days before the moment; return the number of events gone."""


@dataclass(frozen=True, slots=True)
class Find:
    """A filter over a collection: exact values of top-level fields, newest first by the ``at`` field.

    ``start`` finds documents ``at`` that moment or later, ``end`` those before it; ``title`` those whose title contains
    it, whatever the case of A to Z.
    """

    fields: Mapping[str, str | bool] = field(default_factory=dict)
    tenants: frozenset[str] | None = None
    after: str | None = None
    limit: int = 100
    start: datetime | None = None
    end: datetime | None = None
    title: str = ""


Collection = Literal[
    "cases",
    "evidence",
    "users",
    "sessions",
    "audit",
    "views",
    "jobs",
    "tokens",
    "deliveries",
    "presence",
    "answers",
    "reviews",
]


class Documents(Protocol):
    """One small collection of JSON documents by id. Every document has an ``at`` time; some have a ``tenant``."""

    def create(self, identifier: str, doc: Document) -> None:
        """Store a new document; raises Conflict when the id exists."""

    def get(self, identifier: str) -> Stored:
        """Return a document as last written; raises NotFound."""

    def replace(self, identifier: str, doc: Document, *, version: Version) -> Stored:
        """Replace a document if its version is still this one; raises NotFound, Conflict."""

    def delete(self, identifier: str) -> None:
        """Delete a document; one that does not exist is no error."""

    def find(self, find: Find) -> Page:
        """Return a page of documents; sees every write that returned before."""


class Store(Protocol):
    """A connection to the store. ``url`` names it in messages, without secrets."""

    url: str
    alerts: Alerts
    events: Events

    def documents(self, collection: Collection) -> Documents:
        """Return one of the small collections; ``audit`` refuses replace and delete with Forbidden."""

    def setup(self) -> None:
        """Create tables or index templates; does nothing where they are up to date. Raises StoreUnavailable."""

    def ping(self) -> None:
        """Return when the store answers; raises StoreUnavailable."""

    def close(self) -> None:
        """Release the connection."""


def open_store(url: str) -> Store:
    """Open ``sqlite:///path/to/store.sqlite`` or ``http(s)://user:password@host:port``; raises SettingsError."""
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        from wardwatch.store.sqlite import SqliteStore

        return SqliteStore(url)
    if scheme in ("http", "https"):
        from wardwatch.store.elasticsearch import ElasticsearchStore

        return ElasticsearchStore(url)
    raise SettingsError(
        f"{scheme or url!r} is no store", step="settings", remedy="WARDWATCH_STORE=sqlite:///… or https://host:9200"
    )
