"""A second look: one closed alert in twenty is judged again by somebody else, without changing it.

Which ones is decided by their ids alone, not by who closes them. Alerts of an exercise are left out. How often the
second look disagrees stands beside the times in the figures: speed can be bought by closing what should have stayed
open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import Final

from pydantic import BaseModel

from dashboards import audit
from dashboards.auth.people import Person, Right
from dashboards.workflow import NOTE_CHARACTERS, last_change, read, state_of, workflow_of
from wardwatch.alert import Status, Verdict, parse_alert_id
from wardwatch.errors import Conflict, NotFound, RecordError
from wardwatch.event import Document, rfc3339
from wardwatch.store import AlertQuery, Find, Scope, Store, Stored
from wardwatch.store.reading import visible

ONE_IN: Final = 20
SINCE: Final = timedelta(days=7)
SHOWN: Final = 50
NEWEST: Final = 2_000
"""So many newest closed alerts are looked through."""
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A closed alert that somebody else is to look at: its document, and who closed it."""

    doc: Document
    by: str


class Reviews(BaseModel):
    """How many closed alerts had a second look, how many of those disagreed, and their share, null where none had."""

    looked_at: int
    disagreed: int
    share: float | None


def is_sampled(alert: str) -> bool:
    """Tell whether an alert is one of those that are looked at again."""
    return int.from_bytes(blake2b(alert.encode(), digest_size=8, person=b"review").digest()) % ONE_IN == 0


def waiting(store: Store, person: Person, tenant: str, now: datetime) -> list[Waiting]:
    """Return alerts closed in the last SINCE by others that nobody looked at yet, newest first, at most SHOWN."""
    person.demand(Right.WORK, "review")
    tenants = frozenset(filter(None, [tenant]))
    query = AlertQuery(tenants=tenants, statuses=frozenset([Status.CLOSED]), closed_from=now - SINCE)
    done = {_key(item.doc["alert"], item.doc["change"]) for item in _found(store, person.scope, tenant, now - SINCE)}
    up = (item.doc for item in islice(_closed(store, person, query), NEWEST) if _is_up(item.doc))
    others = (Waiting(doc, closer(store, doc)) for doc in up if _key(doc["event"]["id"], last_change(doc)) not in done)
    return list(islice((one for one in others if one.by != person.name), SHOWN))


def review(
    store: Store,
    person: Person,
    alert: str,
    state: str,
    verdict: Verdict,
    note: str = "",
) -> None:
    """Keep what the second look finds; it agrees when the verdict is the alert's.

    Raises Forbidden, NotFound, RecordError for one's own alert and for one that is not to be looked at, Conflict when
    it was changed or somebody else was faster.
    """
    person.demand(Right.WORK, "review", alert)
    doc = read(store, person, alert).doc
    if state_of(doc) != state:
        raise Conflict("it was changed meanwhile", step="review", record=alert)
    if not _is_up(doc):
        raise RecordError("this alert is not up for a second look", step="review", record=alert)
    if closer(store, doc) == person.name:
        raise RecordError("somebody else looks at what you closed", step="review", record=alert)
    if len(note) > NOTE_CHARACTERS:
        raise RecordError(f"a note has at most {NOTE_CHARACTERS} characters", step="review", record=alert)
    tenant, change = parse_alert_id(alert)[0], last_change(doc)
    agrees = verdict.value == workflow_of(doc)["verdict"]
    told = {
        "at": rfc3339(datetime.now(UTC)),
        "tenant": tenant,
        "alert": alert,
        "change": change,
        "verdict": verdict.value,
        "agrees": agrees,
        "by": person.name,
        "note": note.strip(),
    }
    if not agrees and not told["note"]:
        raise RecordError("another verdict needs a note", step="review", record=alert)
    if of_alert(store, doc):
        raise Conflict("somebody else was faster", step="review", record=alert)
    audit.record(store, person.name, "review", tenant=tenant, alert=alert, verdict=verdict.value, agrees=agrees)
    store.documents("reviews").create(_key(alert, change), told)


def of_alert(store: Store, doc: Document) -> Document | None:
    """Return what the second look found in an alert as it is closed now, None where there was none."""
    try:
        return store.documents("reviews").get(_key(doc["event"]["id"], last_change(doc))).doc
    except NotFound:
        return None


def counted(store: Store, scope: Scope, tenant: str, start: datetime) -> Reviews:
    """Return the second looks since a moment."""
    looked_at, disagreed = (
        store.documents("reviews").find(Find(fields, tenants=_tenants(scope, tenant), start=start, limit=1)).total
        for fields in ({}, {"agrees": False})
    )
    return Reviews(looked_at=looked_at, disagreed=disagreed, share=disagreed / looked_at if looked_at else None)


def closer(store: Store, doc: Document) -> str:
    """Return who made the last change of a closed alert, else whose it is."""
    try:
        return str(store.documents("audit").get(last_change(doc)).doc["actor"])
    except NotFound:
        return str(workflow_of(doc).get("assignee") or "")


def _is_up(doc: Document) -> bool:
    """Tell whether a second look may be taken at an alert as it is."""
    found = workflow_of(doc)
    judged = found["status"] == Status.CLOSED.value and found.get("verdict") not in (None, Verdict.EXERCISE.value)
    return judged and not found.get("continues") and is_sampled(doc["event"]["id"])


def _key(alert: object, change: object) -> str:
    """Return the id of a second look: an alert that was closed anew may have another one."""
    return f"{alert}.{change}"


def _closed(store: Store, person: Person, query: AlertQuery) -> Iterator[Stored]:
    after: str | None = None
    while True:
        page = store.alerts.search(person.scope, query, after=after, limit=_PAGE)
        yield from page.items
        after = page.after
        if after is None:
            return


def _found(store: Store, scope: Scope, tenant: str, start: datetime) -> Iterator[Stored]:
    after: str | None = None
    while True:
        find = Find(tenants=_tenants(scope, tenant), start=start, after=after, limit=_PAGE)
        page = store.documents("reviews").find(find)
        yield from page.items
        after = page.after
        if after is None:
            return


def _tenants(scope: Scope, tenant: str) -> frozenset[str] | None:
    return visible(scope, frozenset(filter(None, [tenant])))
