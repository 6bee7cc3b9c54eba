"""Bulk changes: one job on the server over a filter or a choice of alerts, with progress, cancel and undo.

A job is a document of the collection ``jobs``. Its id is made of who asked and their idempotency key, so that asking
twice is one job. It changes alerts in chunks of few hospitals, some at the same time: for each hospital of a
chunk one audit record is written first, then the workflows, each alert by itself. Whatever was changed by somebody else
meanwhile is ``skipped``. A job whose console is gone is taken over by another one; what it had changed no longer
matches, or is as it is to be.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import groupby, takewhile
from time import monotonic
from typing import Annotated, Any, Literal
from uuid import uuid4

import orjson
import structlog
from pydantic import BaseModel, Field

from dashboards import audit, workflow
from dashboards.auth.people import Person, Right
from dashboards.queue import Desk, filter_of
from dashboards.workflow import Change
from wardwatch.alert import OPEN, Verdict
from wardwatch.errors import Conflict, NotFound, RecordError, Unavailable
from wardwatch.event import parse_time, rfc3339
from wardwatch.store import AlertQuery, Find, Outcome, Store, Stored, Version, WorkflowChange

log = structlog.get_logger()

CHUNK = 1000
CHOSEN = 1000
AT_ONCE = 3
"""Chunks that are changed at the same time."""
TELL_S = 1.0
"""Seconds from one writing of a job's progress to the next; a cancel is seen when it is written."""
NOTE_ABOVE = 20
_STALE = timedelta(seconds=30)
OfAlert = Callable[[Stored], dict[str, Any]]
"""From an alert to the workflow fields to change; raises Conflict where the change does not fit."""
_Chunk = tuple[Sequence[Stored], int, OfAlert]
"""Alerts, how many more of them were not found, and the change."""
_KEY = Annotated[str, Field(pattern=r"[A-Za-z0-9_-]{8,64}")]


class Order(BaseModel):
    """What is asked for: an action on the chosen alerts, or on all that a queue's filter finds.

    ``close`` has verdict and note, ``assign`` an assignee ("" is nobody).
    """

    key: _KEY
    action: Literal["acknowledge", "assign", "close"]
    verdict: Verdict | None = None
    note: str = Field("", max_length=workflow.NOTE_CHARACTERS)
    assignee: str = Field("", max_length=64)
    alerts: list[Annotated[str, Field(max_length=200)]] = Field([], max_length=CHOSEN)
    filter: dict[str, Annotated[str, Field(max_length=300)]] | None = None


class Job(BaseModel):
    """One job: ``state`` is running, cancelling, cancelled or done; ``undoes`` is the job that it takes back.

    ``tenants`` are the hospitals that who asked saw then, None all: a token may see fewer than its account.
    """

    id: str
    actor: str
    order: Order
    at: str
    beat: str
    runner: str
    state: Literal["running", "cancelling", "cancelled", "done"] = "running"
    total: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    problem: str = ""
    undoes: str = ""
    tenants: list[str] | None = None

    @property
    def ended(self) -> bool:
        """Whether it is no longer at work."""
        return self.state in ("cancelled", "done")

    def document(self) -> dict[str, Any]:
        """Return the job as the store keeps it: the order is text, so that no key of it becomes a field."""
        return {**self.model_dump(exclude={"order"}), "order": self.order.model_dump_json(exclude_defaults=True)}


def job_of(doc: Mapping[str, Any]) -> Job:
    """Return the job of a stored document."""
    return Job.model_validate({**doc, "order": orjson.loads(doc["order"])})


class Jobs:
    """The jobs of one console; ``people`` returns an account, ``able`` those that may work a tenant's alerts.

    ``changed`` is called when alerts were changed, before the job tells so.
    """

    def __init__(
        self,
        store: Store,
        people: Callable[[str], Person],
        able: Callable[[str], Sequence[Person]],
        changed: Callable[[], None],
    ) -> None:
        self._store, self._told = store, changed
        self._jobs = store.documents("jobs")
        self._people = people
        self._able = able
        self._runner = uuid4().hex
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="bulk")
        self._closing = threading.Event()

    def start(self, desk: Desk, order: Order) -> Job:
        """Begin a job, or return the one of this key; raises Forbidden, RecordError."""
        desk.person.demand(Right.WORK, "bulk")
        query = self._check(desk, order)
        total = len(order.alerts) if query is None else _total(desk, query)
        if order.action == "close" and total > NOTE_ABOVE and not order.note.strip():
            raise RecordError(f"closing more than {NOTE_ABOVE} alerts needs a note", step="bulk")
        return self._begin(desk.person, order, total)

    def undo(self, person: Person, identifier: str, key: str) -> Job:
        """Begin the job that takes back one's own; raises Forbidden, NotFound, Conflict while it is at work."""
        person.demand(Right.WORK, "bulk")
        undone = self.get(person, identifier)
        if not undone.ended:
            raise Conflict("it is still at work: cancel it first", step="bulk", record=identifier)
        order = undone.order.model_copy(update={"key": key})
        return self._begin(person, order, undone.done, undoes=identifier)

    def get(self, person: Person, identifier: str) -> Job:
        """Return one's own job; raises NotFound."""
        job = job_of(self._jobs.get(identifier).doc)
        if job.actor != person.name:
            raise NotFound("no such job of yours", step="bulk", record=identifier)
        return job

    def cancel(self, person: Person, identifier: str) -> Job:
        """Let a job end after the chunk at hand; raises NotFound."""
        job = self.get(person, identifier)
        while not job.ended and job.state != "cancelling":
            stored = self._jobs.get(identifier)
            job = job_of(stored.doc).model_copy(update={"state": "cancelling"})
            try:
                self._jobs.replace(identifier, job.document(), version=stored.version)
            except Conflict:
                job = self.get(person, identifier)
        return job

    def adopt(self) -> None:
        """Take over the jobs whose console has not been heard of; raises Unavailable."""
        for state in ("running", "cancelling"):
            for item in self._jobs.find(Find({"state": state})).items:
                job = job_of(item.doc)
                if job.runner == self._runner or datetime.now(UTC) - parse_time(job.beat) < _STALE:
                    continue
                taken = job.model_copy(update={"runner": self._runner, "beat": _now()})
                try:
                    after = self._jobs.replace(job.id, taken.document(), version=item.version)
                except Conflict:
                    continue
                self._pool.submit(self._run, taken, after.version)

    def close(self) -> None:
        """End after the chunks at hand; another console goes on."""
        self._closing.set()
        self._pool.shutdown(wait=True)

    def _check(self, desk: Desk, order: Order) -> AlertQuery | None:
        """Return the query of the filter, None for chosen alerts; raises RecordError for an order that can't be."""
        if order.action == "close":
            if order.verdict is None:
                raise RecordError("closing needs a verdict", step="bulk")
            workflow.checked_note(order.note, order.verdict, "")
        if order.filter is None:
            if not order.alerts:
                raise RecordError("no alert is chosen", step="bulk")
            return None
        return filter_of(order.filter).query(desk)

    def _begin(self, person: Person, order: Order, total: int, *, undoes: str = "") -> Job:
        identifier = blake2b(f"{person.name}\0{order.key}".encode(), digest_size=16).hexdigest()
        now = _now()
        job = Job(
            id=identifier,
            actor=person.name,
            order=order,
            at=now,
            beat=now,
            runner=self._runner,
            total=total,
            undoes=undoes,
            tenants=None if person.tenants is None else sorted(person.tenants),
        )
        try:
            self._jobs.create(identifier, job.document())
        except Conflict:
            return self.get(person, identifier)
        self._pool.submit(self._run, job, self._jobs.get(identifier).version)
        return job

    def _run(self, job: Job, version: Version) -> None:
        try:
            person = self._people(job.actor).within(None if job.tenants is None else frozenset(job.tenants))
            chunks = self._undoing(person, job) if job.undoes else self._chunks(person, job)
            wanted = takewhile(lambda _: job.state != "cancelling" and not self._closing.is_set(), chunks)
            next_s = 0.0
            for counted in self._changed(person, job, wanted):
                job = job.model_copy(update={name: getattr(job, name) + n for name, n in counted.items()})
                self._told()
                if monotonic() >= next_s:
                    job, version = self._tell(job, version)
                    next_s = monotonic() + TELL_S
            if not self._closing.is_set() or job.state == "cancelling":
                end = "cancelled" if job.state == "cancelling" else "done"
                self._tell(job.model_copy(update={"state": end}), version)
        except (Unavailable, Conflict, NotFound) as error:
            log.warning("bulk_stopped", job=job.id, reason=error.reason)  # adopted when its last beat is old
        except Exception as error:
            log.exception("bulk_failed", job=job.id)
            self._tell(job.model_copy(update={"state": "done", "problem": type(error).__name__}), version)

    def _changed(self, person: Person, job: Job, chunks: Iterator[_Chunk]) -> Iterator[Counter[str]]:
        """Change chunk after chunk, AT_ONCE of them at the same time, and yield what became of each."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bulk-chunk") as pool:
            under_way: deque[Future[Counter[str]]] = deque()
            for chunk in chunks:
                under_way.append(pool.submit(self._change, person, job, chunk))
                if len(under_way) == AT_ONCE:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()

    def _tell(self, job: Job, version: Version) -> tuple[Job, Version]:
        """Write the progress, and take over a cancel that was written meanwhile; raises Conflict when adopted."""
        while True:
            told = job.model_copy(update={"beat": _now()})
            try:
                return told, self._jobs.replace(job.id, told.document(), version=version).version
            except Conflict:
                stored = self._jobs.get(job.id)
                other = job_of(stored.doc)
                if other.runner != self._runner:
                    raise
                state = "cancelling" if job.state == "running" and other.state == "cancelling" else job.state
                job, version = job.model_copy(update={"state": state}), stored.version

    def _chunks(self, person: Person, job: Job) -> Iterator[_Chunk]:
        order = job.order
        if order.filter is None:
            for start in range(0, len(order.alerts), CHUNK):
                wanted = order.alerts[start : start + CHUNK]
                found = self._store.alerts.get(person.scope, wanted)
                yield list(found.values()), len(wanted) - len(found), self._change_of(person, order)
            return
        query = filter_of(order.filter).query(Desk(self._store, person, datetime.now(UTC)))
        query = _until(query, parse_time(job.at))
        for tenants in _together(self._store.alerts.count(person.scope, query, "tenant")):
            yield from self._pages(person, replace(query, tenants=tenants), self._change_of(person, order))

    def _pages(self, person: Person, query: AlertQuery, change: OfAlert) -> Iterator[_Chunk]:
        after: str | None = None
        while True:
            page = self._store.alerts.search(person.scope, query, sort="newest", after=after, limit=CHUNK)
            yield page.items, 0, change
            after = page.after
            if after is None:
                return

    def _undoing(self, person: Person, job: Job) -> Iterator[_Chunk]:
        """Yield what the undone job changed and nobody changed since, with what was before."""
        after: str | None = None
        while True:
            page = self._store.documents("audit").find(Find({"job": job.undoes}, after=after, limit=20))
            for item in page.items:
                befores: dict[str, Any] = orjson.loads(item.doc["befores"])
                found = self._store.alerts.get(person.scope, list(befores))
                mine = [each for each in found.values() if workflow.last_change(each.doc) == item.doc["id"]]
                yield mine, len(befores) - len(mine), _restoring(befores)
            after = page.after
            if after is None:
                return

    def _change_of(self, person: Person, order: Order) -> OfAlert:
        if order.action == "close" and order.verdict is not None:
            return _of_workflow(workflow.closing(person, order.verdict, order.note.strip()))
        name = person.name if order.action == "acknowledge" else order.assignee
        return _of_workflow(workflow.giving(name))

    def _change(self, person: Person, job: Job, chunk: _Chunk) -> Counter[str]:
        """Change alerts: an audit record for each hospital first, then each workflow that the change fits."""
        items, gone, change = chunk
        counted, writes = Counter({"skipped": gone}), []
        for tenant, ours in groupby(sorted(items, key=_tenant), _tenant):
            writes += self._meant(person, job, tenant, list(ours), change, counted)
        results = self._store.alerts.workflows(person.scope, writes)
        made = [write for write, result in zip(writes, results, strict=True) if result.outcome is Outcome.STORED]
        if job.undoes:
            closed_by = {_id(item): workflow.last_change(item.doc) for item in items}
            for (before, after), heads in groupby(made, lambda each: (closed_by[each.id], each.changes["change"])):
                workflow.restore_series(self._store, person, [head.id for head in heads], before, after)
        elif job.order.action == "close":
            workflow.close_series(self._store, person, {each.id: each.changes for each in made})
        return counted + Counter(done=len(made), skipped=len(writes) - len(made))

    def _meant(
        self, person: Person, job: Job, tenant: str, items: Sequence[Stored], change: OfAlert, counted: Counter[str]
    ) -> list[WorkflowChange]:
        """Return the changes of a hospital's alerts, recorded; count those that they do not fit."""
        name = job.order.assignee if job.order.action == "assign" else ""
        if name and name not in {each.name for each in self._able(tenant)}:
            counted["failed"] += len(items)
            return []
        changes: dict[str, dict[str, Any]] = {}
        for item in items:
            try:
                changes[_id(item)] = change(item)
            except Conflict:
                counted["skipped"] += 1
        chosen = [item for item in items if _id(item) in changes]
        if not chosen:
            return []
        meant = audit.record_many(
            self._store,
            person.name,
            "undo" if job.undoes else job.order.action,
            tenant=tenant,
            job=job.id,
            befores={_id(item): workflow.workflow_of(item.doc) for item in chosen},
        )
        return [WorkflowChange(item, {**changes[_id(item)], "change": meant}) for item in chosen]


def _together(alerts: Mapping[str, int]) -> Iterator[frozenset[str]]:
    """Yield hospitals, by name, whose alerts make a chunk together, or that have more than one."""
    group, size = list[str](), 0
    for tenant, number in sorted(alerts.items()):
        if group and size + number > CHUNK:
            yield frozenset(group)
            group, size = [], 0
        group.append(tenant)
        size += number
    if group:
        yield frozenset(group)


def _until(query: AlertQuery, moment: datetime) -> AlertQuery:
    latest = moment if query.created_to is None else min(moment, query.created_to)
    return replace(query, created_to=latest, statuses=query.statuses & OPEN or OPEN)


def _of_workflow(change: Change) -> OfAlert:
    return lambda item: change(workflow.workflow_of(item.doc))


def _restoring(befores: Mapping[str, Mapping[str, Any]]) -> OfAlert:
    return lambda item: workflow.restoring(befores[_id(item)])


def _total(desk: Desk, query: AlertQuery) -> int:
    return desk.store.alerts.totals(desk.person.scope, [query])[0]


def _tenant(item: Stored) -> str:
    return str(item.doc["organization"]["id"])


def _id(item: Stored) -> str:
    return str(item.doc["event"]["id"])


def _now() -> str:
    return rfc3339(datetime.now(UTC))
