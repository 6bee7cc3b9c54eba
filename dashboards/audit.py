"""The audit trail: one record per sign-in, refusal, export and change, never rewritten, each bound to the one before.

A change of an alert is recorded before it is made, so none is ever made without its record. The alert names the record
of its last change (``wardwatch.alert.change``), and each record the one before it (``previous``): a record that nothing
leads to is of a change that was meant but never made, because the process or the store ended in between.

All records of a store are one chain. A record's id is its number (``seq``), ``chain`` is the hash of the record before
it and ``hash`` its own: SHA-256 over the record's JSON with sorted keys. Consoles that write at the same time collide
in the store's ``create``: the one that is late reads the winner's record and takes the next number.

``verify`` proves that no record was changed, removed, inserted or put in another order since the last one was written.
It does not prove that the newest records are still there, nor that nobody with the right to write to the store's files
has computed the whole chain anew. Against both stands what was noted elsewhere: every ANCHOR_EVERY-th record's number
and hash are in the console's log, and ``verify`` compares any such anchor.
"""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from weakref import WeakKeyDictionary

import orjson
import structlog

from wardwatch.errors import Conflict, NotFound
from wardwatch.event import Document, rfc3339
from wardwatch.store import Documents, Find, Page, Scope, Store
from wardwatch.text import safe_cell

log = structlog.get_logger()

ANCHOR_EVERY = 100
COLUMNS = ("at", "seq", "actor", "action", "tenant", "alert", "address", "details")
"""Columns of the CSV export; ``details`` is JSON with everything else."""
_SHOWN = 100
_OF_CASE = 1000
_PAGE = 500


def record(store: Store, actor: str, action: str, **details: Any) -> str:
    """Append one audit record and return its id.

    ``details`` are JSON values such as ``tenant``, ``alert``, ``address``, ``before`` and ``after``.
    """
    return _chain_of(store).append({"at": rfc3339(datetime.now(UTC)), "actor": actor, "action": action, **details})


def record_many(
    store: Store, actor: str, action: str, *, tenant: str, job: str, befores: Mapping[str, Mapping[str, Any]]
) -> str:
    """Append one record of a change of many alerts of a tenant and return its id; ``befores`` are their workflows.

    They are kept as text, so that no alert's id becomes a field.
    """
    text = orjson.dumps(befores).decode()
    return record(store, actor, action, tenant=tenant, job=job, alert=sorted(befores), befores=text)


def of_alert(store: Store, alert: str, last: str) -> list[Document]:
    """Return the changes made to an alert, newest first, from its ``last`` one; at most the last 100.

    The caller has read the alert.
    """
    return _made(store, {"alert": alert}, last, _SHOWN, alert)


def of_case(store: Store, case: str, last: str) -> list[Document]:
    """Return the changes made to a case, newest first, from its ``last`` one; at most the last 1000.

    The caller has read the case.
    """
    return _made(store, {"case": case, "kind": "case"}, last, _OF_CASE)


def _made(store: Store, of: dict[str, str | bool], last: str, limit: int, alert: str = "") -> list[Document]:
    page = store.documents("audit").find(Find(fields=of, limit=limit))
    meant: dict[str, Document] = {item.doc["id"]: item.doc for item in page.items}
    made = []
    while entry := meant.pop(last, None):
        made.append(entry)
        last = _previous(entry, alert)
    return made


def changed(entry: Document) -> dict[str, str]:
    """Return what a change of one alert made of verdict, note and assignee, where it changed them; "" is none."""
    before, after = (orjson.loads(entry.get(name) or "{}") for name in ("before", "after"))
    names = ("verdict", "reason", "assignee")
    return {name: str(after.get(name) or "") for name in names if after.get(name) != before.get(name)}


def _previous(entry: Document, alert: str) -> str:
    befores = entry.get("befores")
    return str(orjson.loads(befores)[alert].get("change", "") if befores else entry["previous"])


def seen_by(scope: Scope, find: Find) -> Find:
    """Return the search within a scope: who sees some hospitals finds the records that name one of those."""
    return replace(find, tenants=scope.tenants)


def entries(store: Store, find: Find) -> Iterator[Document]:
    """Return every record that is found, newest first, a page of them in memory.

    The first page is read at once: raises RecordError for a garbled key.
    """
    return _each(store.documents("audit"), find)


def _each(records: Documents, find: Find) -> Iterator[Document]:
    return _onwards(records, find, records.find(replace(find, limit=_PAGE)))


def _onwards(records: Documents, find: Find, page: Page) -> Iterator[Document]:
    while True:
        yield from (item.doc for item in page.items)
        if page.after is None:
            return
        page = records.find(replace(find, after=page.after, limit=_PAGE))


def details(entry: Document) -> Document:
    """Return what a record holds beside its columns and its place in the chain."""
    return {name: value for name, value in entry.items() if name not in (*COLUMNS, "id", "chain", "hash")}


def as_ndjson(found: Iterator[Document]) -> Iterator[bytes]:
    """Yield the records as lines of JSON."""
    for entry in found:
        yield orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)


def as_csv(found: Iterator[Document]) -> Iterator[bytes]:
    """Yield the records as CSV (RFC 4180) whose cells no spreadsheet calculates."""
    yield _line(COLUMNS)
    for entry in found:
        cells = [entry.get(name, "") for name in COLUMNS[:-1]] + [details(entry)]
        yield _line([cell if isinstance(cell, str) else orjson.dumps(cell).decode() for cell in cells])


def _line(cells: list[str] | tuple[str, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([safe_cell(cell) for cell in cells])
    return text.getvalue().encode()


@dataclass(frozen=True, slots=True)
class Anchor:
    """The number and hash of one record, as noted outside the store."""

    seq: int
    hash: str


@dataclass(slots=True)
class Finding:
    """What ``verify`` found: how many records, the newest one, and every fault in words."""

    records: int = 0
    head: Anchor = Anchor(0, "")
    problems: list[str] = field(default_factory=list)


def verify(store: Store, anchor: Anchor | None = None) -> Finding:
    """Check the whole chain, newest record first, and that it holds an anchor; memory does not grow with it."""
    return _Check(store.documents("audit")).run(anchor)


def _id(seq: int) -> str:
    return f"{seq:012d}"


def _hash(doc: Document) -> str:
    held = {name: value for name, value in doc.items() if name != "hash"}
    return sha256(orjson.dumps(held, option=orjson.OPT_SORT_KEYS)).hexdigest()


class _Chain:
    """The end of a store's chain, as this process knows it."""

    def __init__(self, records: Documents) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._end: Anchor | None = None

    def append(self, doc: Document) -> str:
        with self._lock:
            end = self._end or self._newest()
            while True:
                mine = {**doc, "id": _id(end.seq + 1), "seq": end.seq + 1, "chain": end.hash}
                mine["hash"] = _hash(mine)
                try:
                    self._records.create(mine["id"], mine)
                except Conflict:  # another console was faster, or our own write whose answer was lost is there
                    there = self._records.get(mine["id"]).doc
                    end = Anchor(end.seq + 1, str(there.get("hash")))
                    if end.hash != mine["hash"]:
                        continue
                self._end = Anchor(mine["seq"], mine["hash"])
                break
        if mine["seq"] % ANCHOR_EVERY == 0:
            log.info("audit_anchor", seq=mine["seq"], hash=mine["hash"])
        return str(mine["id"])

    def _newest(self) -> Anchor:
        chained = (doc for doc in _each(self._records, Find()) if isinstance(doc.get("seq"), int))
        return next((Anchor(doc["seq"], str(doc.get("hash"))) for doc in chained), Anchor(0, ""))


_chains: WeakKeyDictionary[Store, _Chain] = WeakKeyDictionary()
_chains_lock = threading.Lock()


def _chain_of(store: Store) -> _Chain:
    with _chains_lock:
        if store not in _chains:
            _chains[store] = _Chain(store.documents("audit"))
        return _chains[store]


class _Check:
    """Records come newest first, nearly in order: what waits for its neighbour is all that is remembered."""

    def __init__(self, records: Documents) -> None:
        self._records = records
        self._expected: dict[int, str] = {}  # number → the hash that its successor names
        self._unfollowed: dict[int, str] = {}  # number → the hash of a record whose successor has not come
        self._finding = Finding()

    def run(self, anchor: Anchor | None) -> Finding:
        for doc in _each(self._records, Find()):
            self._take(doc)
        while self._fetch_waiting():
            pass
        self._end()
        if anchor:
            self._compare(anchor)
        return self._finding

    def _take(self, doc: Document) -> None:
        finding = self._finding
        seq = doc.get("seq")
        if not isinstance(seq, int) or seq < 1 or doc.get("id") != _id(seq):
            finding.problems.append(f"a record outside the chain: {str(doc.get('id'))[:40]!r}")
            return
        finding.records += 1
        if _hash(doc) != doc.get("hash"):
            finding.problems.append(f"record {seq} was changed")
        own, before = str(doc.get("hash")), str(doc.get("chain"))
        if seq > finding.head.seq:
            finding.head = Anchor(seq, own)
        if seq in self._expected:
            self._join(seq, self._expected.pop(seq), own)
        else:
            self._unfollowed[seq] = own
        if seq - 1 in self._unfollowed:
            self._join(seq - 1, before, self._unfollowed.pop(seq - 1))
        else:
            self._expected[seq - 1] = before

    def _join(self, seq: int, named: str, own: str) -> None:
        if named != own:
            self._finding.problems.append(f"record {seq + 1} does not follow record {seq}")

    def _fetch_waiting(self) -> bool:
        """Read what was written while pages were read; tell whether any of it was in its place."""
        waiting_before = set(self._expected)
        for seq in [waiting for waiting in self._expected if waiting > 0]:
            try:
                self._take(self._records.get(_id(seq)).doc)
            except NotFound:
                continue
        return set(self._expected) != waiting_before

    def _end(self) -> None:
        problems = self._finding.problems
        if self._expected.pop(0, "") != "":
            problems.append("record 1 follows another one")
        problems += [f"record {seq} is missing" for seq in sorted(self._expected)]
        self._unfollowed.pop(self._finding.head.seq, None)
        problems += [f"nothing follows record {seq}" for seq in sorted(self._unfollowed)]
        if not problems and self._finding.records != self._finding.head.seq:
            problems.append(f"{self._finding.records} records, but the last one has number {self._finding.head.seq}")

    def _compare(self, anchor: Anchor) -> None:
        try:
            own = self._records.get(_id(anchor.seq)).doc.get("hash")
        except NotFound:
            own = None
        if own != anchor.hash:
            self._finding.problems.append(f"record {anchor.seq} is not the one that was noted")
