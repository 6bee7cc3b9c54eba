"""The intake: records become scrubbed events in the spool; it returns when they are safe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from ingest import parsers
from ingest.classification import Table, table
from ingest.parsers import Parser, Record, Site
from ingest.quarantine import Quarantine, position_of
from ingest.scrub import Tokens, scrub
from ingest.spool import Entry, Kind, Spool
from wardwatch import topics
from wardwatch.errors import ParseError, RecordError, SettingsError, Unavailable
from wardwatch.event import ECS_VERSION, Event, encode, event_id, rfc3339
from wardwatch.settings import CollectorSettings, SourceSettings
from wardwatch.stage import EVENTS
from wardwatch.worker import dead_letter

log = structlog.get_logger()

_EMPTY = (b"", b"[", b",", b"]")
"""A keep-alive, and the lines between the objects of a JSON array (MySQL 8.4 manual, 8.4.5.4)."""


@dataclass(frozen=True, slots=True)
class Source:
    """One configured source: how it arrives (``settings``), who reads it, its site, and its levels of data."""

    settings: SourceSettings
    parser: Parser
    site: Site
    levels: Table = field(default_factory=table)

    @property
    def name(self) -> str:
        """The stable name, which is the parser's."""
        return self.parser.name

    @property
    def label(self) -> str:
        """What it is counted under, which may tell it from other sources of its parser."""
        return self.settings.name or self.parser.name


def source_of(
    settings: SourceSettings, collector: CollectorSettings, parser: Callable[[str], Parser] = parsers.parser
) -> Source:
    """Return a source as configured; raises SettingsError for an unknown parser or zone."""
    try:
        zone = ZoneInfo(settings.zone or collector.zone)
        return Source(
            settings, parser(settings.parser), Site(zone, settings.charset or "utf-8"), table(collector.classification)
        )
    except (KeyError, ValueError) as error:
        remedy = f"parser is one of {', '.join(parsers.PARSERS)}; zone is an IANA name"
        raise SettingsError(f"unknown: {error}", step="collector", record=settings.parser, remedy=remedy) from None


@dataclass
class LastSeen:
    """When a source last sent (``event``: as it was written; ``record``: as it arrived), RFC 3339."""

    event: str | None = None
    record: str | None = None


class Viewer(Protocol):
    """Somebody who taps (tap.py)."""

    def offer(self, source: Source, record: Record, entries: Sequence[Entry]) -> None:
        """Take a record that is durable, or leave it; never waits."""


@dataclass
class Intake:
    """Safe for many threads: they parse one at a time, and the spool groups their waits for the disk.

    Two that parse at once would hand the interpreter's lock to each other at every record. ``samples`` holds the last
    scrubbed event of each source by label, as JSON.
    """

    tenant: str
    spool: Spool
    quarantine: Quarantine
    tokens: Tokens
    last: dict[str, LastSeen] = field(default_factory=dict)  # by label
    _turn: threading.Lock = field(default_factory=threading.Lock)
    samples: dict[str, bytes] = field(default_factory=dict)
    _viewers: tuple[Viewer, ...] = ()
    _watching: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, viewer: Viewer) -> None:
        """Show what is accepted from now on."""
        with self._watching:
            self._viewers = (*self._viewers, viewer)

    def unwatch(self, viewer: Viewer) -> None:
        """Show no more."""
        with self._watching:
            self._viewers = tuple(each for each in self._viewers if each is not viewer)

    def accept(self, source: Source, records: Sequence[Record]) -> list[Kind]:
        """Return, in order, what became of the records, when all of them are durable.

        Raises SpoolFull (or Unavailable of the token vault): then none was accepted, and all may be sent again.
        """
        refused: list[Record] = []
        with self._turn:
            found = [self._entries(source, record, refused) for record in records]
        if refused:
            self.quarantine.put(source.name, refused)
        self.tokens.commit()
        self.spool.append([entry for entries in found for entry in entries])
        self._taken(source, records, found)
        return [entries[0].kind for entries in found]

    def refuse(self, source: Source, record: Record, reason: str) -> None:
        """Dead-letter what a transport could not cut into records; raises SpoolFull."""
        self.quarantine.put(source.name, [record])
        entry = self._dead(source, record, ParseError(reason, step=source.settings.transport))
        self.spool.append([entry])
        self._taken(source, [record], [[entry]])

    def _entries(self, source: Source, record: Record, refused: list[Record]) -> list[Entry]:
        if record.data.strip() in _EMPTY:
            return [Entry("filtered", source.label)]
        try:
            return [self._forward(event, source.label) for event in events_of(record, source, self.tenant, self.tokens)]
        except Unavailable:
            raise
        except RecordError as error:
            refused.append(record)
            return [self._dead(source, record, error)]
        except Exception as error:
            # a parser's own mistake must not stop its source: the record is kept, counted and shown
            log.error("parser_failed", source=source.name, error=type(error).__name__)  # its text may quote the record
            refused.append(record)
            return [self._dead(source, record, ParseError(f"{type(error).__name__} in the parser", step="parse"))]

    def _forward(self, event: Event, label: str) -> Entry:
        self._last(label).event = str(event.doc.get("@timestamp"))
        value = self.samples[label] = encode(event.doc)
        return Entry("forwarded", label, topics.events(self.tenant).name, value, event.id, event.headers())

    def _dead(self, source: Source, record: Record, error: RecordError) -> Entry:
        position = position_of(source.name, record)
        reason = error.reason.encode("utf-8", "replace").decode()
        letter = dead_letter(
            self.tenant, source=source.name, position=position, step=error.step, reason=reason, stage="collector"
        )
        return Entry("dead_lettered", source.label, topics.deadletter(self.tenant).name, letter, position)

    def _last(self, label: str) -> LastSeen:
        return self.last.get(label) or self.last.setdefault(label, LastSeen())

    def _taken(self, source: Source, records: Sequence[Record], found: Sequence[Sequence[Entry]]) -> None:
        self._last(source.label).record = rfc3339(datetime.now(UTC))
        EVENTS.labels("collector", self.tenant, source.label, "accepted").inc(sum(map(len, found)))
        for viewer in self._viewers:
            for record, entries in zip(records, found, strict=True):
                viewer.offer(source, record, entries)


def events_of(record: Record, source: Source, tenant: str, tokens: Tokens) -> list[Event]:
    """Return the scrubbed events of one record; raises RecordError. Their tokens are not committed yet."""
    found = source.parser.parse(record, source.site)
    if not found:
        raise ParseError("no event in the record", step="parse")
    topic = (record.topic,) if record.topic else ()
    identity = (record.position or record.peer, *topic, record.data)
    events = []
    for index, item in enumerate(found):
        doc = scrub(item.doc, source.parser.policy, tokens, source.levels)
        parts = (*identity, str(index)) if len(found) > 1 else identity
        doc["event.id"] = event_id(tenant, source.name, *parts)
        doc["event.created"] = rfc3339(record.received)
        doc["organization.id"] = tenant
        doc["ecs.version"] = ECS_VERSION
        if record.peer:
            doc["log.source.address"] = record.peer
        position = record.position or f"{source.settings.transport}:{record.peer}"
        events.append(Event(doc, tenant, source.name, item.logsource, position[:500], record.received))
    return events
