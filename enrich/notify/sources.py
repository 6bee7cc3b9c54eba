"""Where notices come from: the topic ``alerts`` (new, silent), and the audit trail (assigned, escalated, asked).

Both are read so that nothing is lost by a restart: the topic by the consumer group ``notifier``, committed after the
deliveries are in the store; the trail from some hours back, where what was planned before is there already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import structlog

from enrich.notify.notice import Kind, Notice
from wardwatch import topics
from wardwatch.alert import OPEN, AlertDocument, Severity, Status, Verdict, parse_alert_id, severity_of
from wardwatch.bus import Bus, Consumer, Record
from wardwatch.errors import NotFound, RecordError
from wardwatch.event import Document, parse_time
from wardwatch.store import Find, Scope, Store

log = structlog.get_logger()

GROUP: Final = "notifier"
TOO_OLD: Final = timedelta(hours=24)
"""What happened longer ago is not told any more."""

_SCOPE = Scope("notifier")
_OVERLAP = timedelta(minutes=2)  # the clocks of consoles differ
_SILENT = "silent_source"
_FAULTS = {Verdict.FALSE_POSITIVE_LOGIC: Kind.RULE_FAULT, Verdict.FALSE_POSITIVE_DATA: Kind.DATA_FAULT}

Tell = Callable[[Notice], None]


class News:
    """New alerts and silent sources, from the topic ``alerts``."""

    def __init__(self, bus: Bus, store: Store, tell: Tell, now: Callable[[], datetime]) -> None:
        self._bus, self._store, self._tell, self._now = bus, store, tell, now
        self._consumer: Consumer | None = None
        self.garbled = 0

    def __call__(self) -> None:
        """Read what is there; raises Unavailable, and the next call begins again at the last commit."""
        if self._consumer is None:
            self._consumer = self._bus.consumer(GROUP, topics=[topics.ALERTS.name])
        try:
            while records := self._consumer.poll(max_records=500, timeout_s=0.2):
                self._read(records)
                self._consumer.commit()
        except Exception:
            self._consumer.rewind()
            raise

    def close(self) -> None:
        """Leave the group."""
        if self._consumer is not None:
            self._consumer.close()

    def _read(self, records: list[Record]) -> None:
        ids = [identifier for record in records if (identifier := self._identifier(record))]
        stored = self._store.alerts.get(_SCOPE, ids)
        for identifier in dict.fromkeys(ids):
            if identifier in stored and (notice := news_of(stored[identifier].doc, self._now())):
                self._tell(notice)

    def _identifier(self, record: Record) -> str:
        try:
            doc = orjson.loads(record.value or b"")
            identifier = str(doc["id"])
            parse_alert_id(identifier)
        except (orjson.JSONDecodeError, KeyError, TypeError, NotFound):
            self.garbled += 1
            log.warning("announcement_garbled", record=record.position)
            return ""
        return "" if doc.get("kind") == "changed" else identifier  # what people do is told by other sources


def news_of(doc: AlertDocument, now: datetime) -> Notice | None:
    """Return the notice of an alert as it is: new, silent or heard again; None where nothing is to be told."""
    own, event = doc["wardwatch"]["alert"], doc["event"]
    silent = doc.get("rule", {}).get("id") == _SILENT
    recovered = silent and "recovered_at" in own
    if now - parse_time(own["recovered_at"] if recovered else event["created"]) > TOO_OLD or own.get("continues"):
        return None
    if not recovered and Status(own["status"]) not in OPEN:
        return None
    kind = Kind.RECOVERED if recovered else Kind.SILENT if silent else Kind.NEW
    return Notice(kind, doc["organization"]["id"], event["id"], severity_of(doc), alert=event["id"])


class Trail:
    """What people did, from the audit trail."""

    def __init__(self, store: Store, tell: Tell, now: Callable[[], datetime]) -> None:
        self._store, self._tell, self._now = store, tell, now
        self._since = now() - TOO_OLD
        self._seen: dict[str, datetime] = {}

    def __call__(self) -> None:
        """Tell of the entries since the last call; raises Unavailable, and the next call reads them again."""
        started = self._now()
        for entry in self._entries():
            for notice in self._notices(entry):
                self._tell(notice)
            self._seen[str(entry["id"])] = parse_time(str(entry["at"]))
        self._since = max(self._since, started - _OVERLAP)
        self._seen = {identifier: at for identifier, at in self._seen.items() if at >= self._since}

    def _entries(self) -> Iterator[Document]:
        after: str | None = None
        while True:
            page = self._store.documents("audit").find(Find(after=after, limit=200))
            for item in page.items:
                if parse_time(str(item.doc["at"])) < self._since:
                    return
                if item.doc.get("id") and item.doc["id"] not in self._seen:
                    yield item.doc
            after = page.after
            if after is None:
                return

    def _notices(self, entry: Document) -> Iterator[Notice]:
        try:
            if "befores" in entry:
                yield from self._of_many(entry)
            elif entry.get("action") == "case_ask":
                yield from _request(entry)
            elif entry.get("alert") and "after" in entry:
                before, after = orjson.loads(entry["before"]), orjson.loads(entry["after"])
                yield from self._changed(entry, str(entry["alert"]), before, after)
        except (orjson.JSONDecodeError, RecordError, NotFound, KeyError, TypeError, AttributeError) as error:
            log.warning("audit_garbled", id=str(entry.get("id"))[:80], reason=type(error).__name__)

    def _of_many(self, entry: Document) -> Iterator[Notice]:
        befores: dict[str, Any] = orjson.loads(entry["befores"])
        for identifier, stored in self._store.alerts.get(_SCOPE, list(befores)).items():
            own = stored.doc["wardwatch"]["alert"]
            if own.get("change") == entry["id"]:  # else it was not changed, or somebody changed it since
                yield from self._changed(entry, identifier, befores[identifier], own)

    def _changed(
        self, entry: Document, alert: str, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> Iterator[Notice]:
        assignee, actor = str(after.get("assignee") or ""), str(entry["actor"])
        kinds = []
        if assignee and assignee not in (before.get("assignee"), actor) and after.get("status") in OPEN:
            kinds.append(Kind.ASSIGNED)
        if after.get("status") == Status.ESCALATED != before.get("status"):
            kinds.append(Kind.ESCALATED)
        if after.get("verdict") in _FAULTS and after["verdict"] != before.get("verdict"):
            kinds.append(_FAULTS[after["verdict"]])
        if not kinds:
            return
        stored = self._store.alerts.get(_SCOPE, [alert]).get(alert)
        if stored is None:
            return
        tenant, _ = parse_alert_id(alert)
        for kind in kinds:
            key = f"{alert} {entry['id']}"
            yield Notice(kind, tenant, key, severity_of(stored.doc), alert, person=assignee, actor=actor)


def _request(entry: Document) -> Iterator[Notice]:
    """Yield the request of a hospital that an audit record tells of; one to a hospital is answered in its console."""
    for asked in orjson.loads(entry["after"]).get("requests", []):
        if asked.get("to") == "provider":
            key, tenant, case = f"{entry['id']}", str(entry["tenant"]), str(entry["case"])
            yield Notice(
                Kind.REQUEST, topics.check_tenant(tenant), key, Severity.HIGH, case=case, actor=str(entry["actor"])
            )
