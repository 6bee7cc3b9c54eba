"""Deliveries: the queue and the log of notifications, in the store's collection of that name.

A delivery is one notice for one place. Its id is made of both, so that a notice found again is not delivered again.
Its ``state`` goes from ``waiting`` to ``sent``, ``failed`` (the reason in ``error``) or ``cancelled`` (it no longer
holds: the alert was closed, acknowledged, given to somebody else). It is marked after the service took the message,
so that a restart in between sends it once more under the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import BaseModel, Field

from enrich.notify.notice import Kind, Notice
from enrich.notify.routes import Place, Routes
from wardwatch.alert import Severity
from wardwatch.errors import Conflict
from wardwatch.event import rfc3339
from wardwatch.store import Find, Store, Version

_PAGE = 500


class Delivery(BaseModel):
    """One notice for one place; times are RFC 3339, ``digest`` the id of the message that told several."""

    id: str
    at: str
    tenant: str
    channel: str
    kind: Kind
    severity: Severity
    not_before: str
    alert: str = ""
    case: str = ""
    due_at: str = ""
    person: str = ""
    actor: str = ""
    state: Literal["waiting", "sent", "failed", "cancelled"] = "waiting"
    tries: Annotated[int, Field(ge=0)] = 0
    error: str = ""
    sent_at: str = ""
    digest: str = ""


class Deliveries:
    """The deliveries in a store; ``now`` is the wall clock."""

    def __init__(self, store: Store, routes: Routes, now: Callable[[], datetime]) -> None:
        self._documents = store.documents("deliveries")
        self._routes, self._now = routes, now

    def plan(self, notice: Notice) -> None:
        """Write the deliveries of a notice that are not there yet; raises Unavailable."""
        now = self._now()
        for place in self._routes.places(notice, now):
            self._create(_delivery(notice, place, now))

    def waiting(self) -> Iterator[tuple[Delivery, Version]]:
        """Yield those that wait, the newest first."""
        yield from self._find(Find({"state": "waiting"}, limit=_PAGE))

    def last_sent(self, channel: str, limit: int) -> list[Delivery]:
        """Return the newest deliveries that were sent over a channel of this name."""
        page = self._documents.find(Find({"channel": channel, "state": "sent"}, limit=limit))
        return [Delivery.model_validate(item.doc) for item in page.items]

    def update(self, delivery: Delivery, version: Version) -> None:
        """Write what became of one; raises Conflict, Unavailable."""
        self._documents.replace(delivery.id, delivery.model_dump(mode="json"), version=version)

    def _create(self, delivery: Delivery) -> None:
        try:
            self._documents.create(delivery.id, delivery.model_dump(mode="json"))
        except Conflict:
            return  # planned before

    def _find(self, find: Find) -> Iterator[tuple[Delivery, Version]]:
        found, after = [], None
        while True:
            page = self._documents.find(Find(find.fields, after=after, limit=find.limit))
            found += [(Delivery.model_validate(item.doc), item.version) for item in page.items]
            after = page.after
            if after is None:
                return iter(found)


def try_channel(store: Store, tenant: str, channel: str, actor: str, now: datetime) -> None:
    """Ask the scheduler to send a test message over a channel; the delivery says what became of it."""
    notice = Notice(Kind.TRIAL, tenant, uuid4().hex, Severity.INFORMATIONAL, actor=actor)
    delivery = _delivery(notice, Place(channel), now)
    store.documents("deliveries").create(delivery.id, delivery.model_dump(mode="json"))


def _delivery(notice: Notice, place: Place, now: datetime) -> Delivery:
    # the wait tells the steps of an escalation apart
    wait_s = int(place.wait.total_seconds())
    return Delivery(
        id=notice.delivery(place.channel, place.person, str(wait_s)),
        at=rfc3339(now),
        tenant=notice.tenant,
        channel=place.channel,
        kind=notice.kind,
        severity=notice.severity,
        not_before=rfc3339(now + place.wait),
        alert=notice.alert,
        case=notice.case,
        due_at=notice.due_at,
        person=place.person,
        actor=notice.actor,
        state="waiting",
    )
