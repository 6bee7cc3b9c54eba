"""Service levels: tells once of each deadline that three quarters of its time are over, and once that it has passed.

What is told is written to the alert's workflow as ``sla_state``. The notice is planned before, under an id of the alert
and its deadline, so that a job that ends in between neither loses it nor tells twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Final

import structlog

from enrich.notify.notice import Kind, Notice
from wardwatch.alert import OPEN, Severity, severity_of
from wardwatch.errors import Conflict, NotFound
from wardwatch.event import parse_time
from wardwatch.service_levels import WARN_AT, Clock, Policy
from wardwatch.store import AlertQuery, Scope, Store, Stored

log = structlog.get_logger()

SOON: Final = "soon"
BREACHED: Final = "breached"
_SCOPE = Scope("service_levels")
_PAGE = 500


class ServiceLevels:
    """The job; ``tell`` plans a notice, ``policy`` and ``zone`` are a hospital's, ``tenants`` those that have one."""

    def __init__(
        self,
        store: Store,
        tell: Callable[[Notice], None],
        *,
        now: Callable[[], datetime],
        policy: Callable[[str], Policy],
        zone: Callable[[str], tzinfo],
        tenants: Callable[[], Iterator[str]],
    ) -> None:
        self._store, self._tell, self._now = store, tell, now
        self._policy, self._zone, self._tenants = policy, zone, tenants

    def __call__(self) -> None:
        """Look at every deadline that may need telling; raises Unavailable, and the next call looks again."""
        now = self._now()
        for alert in self._open(now, frozenset({BREACHED})):
            self._judge(alert, BREACHED, Kind.BREACHED)
        for alert in self._open(self._horizon(now), frozenset({SOON, BREACHED})):
            if self._soon(alert) <= now:
                self._judge(alert, SOON, Kind.SOON)

    def _open(self, before: datetime, untold: frozenset[str]) -> list[Stored]:
        query = AlertQuery(statuses=OPEN, due_before=before, untold=untold)
        found: list[Stored] = []
        after: str | None = None
        while True:
            page = self._store.alerts.search(_SCOPE, query, sort="due", after=after, limit=_PAGE)
            found += page.items
            after = page.after
            if after is None:
                return found

    def _horizon(self, now: datetime) -> datetime:
        """Return the moment after which no deadline is soon: a quarter of the longest time of any hospital ahead."""
        return max(self._ahead(tenant, now) for tenant in ("", *self._tenants()))

    def _ahead(self, tenant: str, now: datetime) -> datetime:
        policy, zone = self._policy(tenant), self._zone(tenant)
        return max(
            policy.times(severity).add(now, minutes.of(severity) * (1 - WARN_AT), zone)
            for severity in Severity
            for minutes in (policy.acknowledge, policy.decide)
        ) + timedelta(seconds=1)

    def _soon(self, alert: Stored) -> datetime:
        tenant = str(alert.doc["organization"]["id"])
        due = parse_time(str(alert.doc["wardwatch"]["alert"]["due_at"]))
        clock = Clock(self._policy(tenant), severity_of(alert.doc), self._zone(tenant))
        return clock.soon(parse_time(str(alert.doc["event"]["created"])), due)

    def _judge(self, alert: Stored, state: str, kind: Kind) -> None:
        identifier, tenant = str(alert.doc["event"]["id"]), str(alert.doc["organization"]["id"])
        own = alert.doc["wardwatch"]["alert"]
        if not own.get("continues"):  # it is one piece of work with the one that it goes on with
            due = str(own["due_at"])
            key = f"{identifier} {due}"
            person = str(own.get("assignee") or "")
            self._tell(Notice(kind, tenant, key, severity_of(alert.doc), identifier, due_at=due, person=person))
        try:
            self._store.alerts.workflow(_SCOPE, identifier, {"sla_state": state}, version=alert.version)
        except (Conflict, NotFound):
            log.info("sla_state_later", id=identifier, state=state)  # it has just been changed: the next look decides
