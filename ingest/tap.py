"""What somebody who taps a source is shown: each record as it arrived, and what the scrub made of it.

The intake hands a record to the watchers when it is durable and never waits for one: a watcher that is behind misses
records, and is told how many.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ingest.intake import Source
from ingest.parsers import Record
from ingest.scrub import Action
from ingest.spool import Entry, Kind
from wardwatch.errors import RecordError
from wardwatch.event import Document, decode, rfc3339

MOST_RECORDS = 200
MOST_BYTES = 8 * 2**20
TOKEN = re.compile(r"\b(pt|st|en|sd)_[0-9a-f]{24}\b")
DROPPED = "dropped"
_REDUCED = {action.value for action in Action} - {"pt", "st", "en", "sd", "drop"}


class Change(msgspec.Struct, frozen=True):
    """One field that the scrub changed. ``how``: kinds of tokens, ``dropped``, or the reduction (``text``, ``url`` …).

    ``before``, as text, is only there for who asked for raw records.
    """

    field: str
    how: str
    after: Any = None
    before: Any = None


class Outcome(msgspec.Struct, frozen=True):
    """What became of a record: an event that leaves, or the step and reason of a dead letter."""

    kind: Kind
    event: Document | None = None
    changes: list[Change] = []
    step: str = ""
    reason: str = ""


class Seen(msgspec.Struct, frozen=True):
    """One record as it is shown; ``missed`` were left out before it since the viewer was behind."""

    source: str
    received: str
    peer: str
    position: str
    outcomes: list[Outcome]
    raw: bytes | None = None
    charset: str = "utf-8"
    missed: int = 0


@dataclass(frozen=True, slots=True)
class _Taken:
    source: Source
    record: Record
    entries: Sequence[Entry]

    @property
    def size_bytes(self) -> int:
        return len(self.record.data) + sum(len(entry.value) for entry in self.entries)


class Watcher:
    """A bounded queue between the intake and one viewer of one source."""

    def __init__(self, source: str, *, raw: bool) -> None:
        self._source = source
        self._raw = raw
        self._changed = threading.Condition()
        self._waiting: deque[_Taken] = deque()
        self._bytes = self._missed = 0

    def offer(self, source: Source, record: Record, entries: Sequence[Entry]) -> None:
        """Take a record if it is of the source and there is room; never waits."""
        if source.label != self._source:
            return
        taken = _Taken(source, record, entries)
        with self._changed:
            if len(self._waiting) == MOST_RECORDS or self._bytes + taken.size_bytes > MOST_BYTES:
                self._missed += 1
                return
            self._waiting.append(taken)
            self._bytes += taken.size_bytes
            self._changed.notify()

    def next(self, timeout_s: float) -> Seen | None:
        """Return the next record as it is shown, None when none came in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, timeout_s):
                return None
            taken = self._waiting.popleft()
            self._bytes -= taken.size_bytes
            missed, self._missed = self._missed, 0
        return seen(taken.source, taken.record, taken.entries, raw=self._raw, missed=missed)


def seen(source: Source, record: Record, entries: Sequence[Entry], *, raw: bool, missed: int = 0) -> Seen:
    """Return a record as it is shown; without ``raw`` nothing that the scrub took out is in it."""
    before = _parsed(source, record)
    outcomes = [
        _outcome(entry, before[number] if number < len(before) else {}, source, raw=raw)
        for number, entry in enumerate(entries)
    ]
    return Seen(
        source.label,
        rfc3339(record.received),
        record.peer,
        _told(record.position),
        outcomes,
        record.data if raw else None,
        source.site.charset,
        missed,
    )


def _parsed(source: Source, record: Record) -> list[Document]:
    """Return the documents before the scrub: parsers are pure, so reading again gives what the intake had."""
    try:
        return [parsed.doc for parsed in source.parser.parse(record, source.site)]
    except RecordError:
        return []
    except Exception:  # as in the intake: a parser's own mistake is told as a dead letter
        return []


def _outcome(entry: Entry, before: Document, source: Source, *, raw: bool) -> Outcome:
    if entry.kind == "filtered":
        return Outcome(entry.kind)
    doc = decode(entry.value)
    if entry.kind == "dead_lettered":
        return Outcome(entry.kind, step=str(doc["step"]), reason=str(doc["reason"]))
    return Outcome(entry.kind, doc, list(changes(before, doc, source, raw=raw)))


def changes(before: Document, after: Document, source: Source, *, raw: bool) -> list[Change]:
    """Return the fields that the scrub changed, in the order of their names."""
    found = []
    for field in sorted(before):
        old, new = before[field], after.get(field)
        if old == new or (field not in after and old in (None, "", [])):
            continue
        found.append(Change(field, _how(new, source, field), new, _told(old) if raw else None))
    return found


def _told(value: object) -> Any:
    """Return a value as text that any message carries: a parser may have met lone surrogates or huge numbers."""
    if isinstance(value, list):
        return [_told(item) for item in value]
    return str(value).encode("utf-8", "backslashreplace").decode()


def _how(new: object, source: Source, field: str) -> str:
    if new is None:
        return DROPPED
    kinds = sorted(set(TOKEN.findall(str(new))))
    action = source.parser.policy.get(field, Action.TEXT).value
    return " ".join(kinds) or (action if action in _REDUCED else Action.TEXT.value)
