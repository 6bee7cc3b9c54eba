"""Silent source: an alert when a source or a collector falls silent, completed when it is heard again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

import structlog

from enrich.jobs.silence import Silence, Watch, read
from wardwatch import topics
from wardwatch.alert import AlertDocument, Finding, Severity, alert_id, machine_alert, new_workflow, news
from wardwatch.bus import Bus, Consumer, Producer
from wardwatch.errors import RecordError
from wardwatch.event import rfc3339
from wardwatch.service_levels import DEFAULT, Clock, Policy
from wardwatch.store import AlertWrite, Outcome, Scope, Store

log = structlog.get_logger()

RULE = "silent_source"
SEVERITY = Severity.MEDIUM
_SCOPE = Scope("scheduler")
_TITLE = {"en": "Log source silent", "zh": "日志来源静默"}
_RESPONSE = {
    "en": "Ask the hospital whether the system or the collector is down; until it is back, its rules see nothing.",
    "zh": "与医院确认该系统或采集器是否停机；恢复之前相关规则不会产生告警。",
}
# the terms of detections/priority.py: 35 · medium, 10 · stable
_PRIORITY = [{"term": "severity", "value": 0.5, "points": 17.5}, {"term": "confidence", "value": 1.0, "points": 10.0}]


class SilentSource:
    """The job; ``now`` is the wall clock, ``name`` the name of a tenant, ``policy`` its
    service levels, ``zone`` where its calendar holds."""

    def __init__(
        self,
        bus: Bus,
        store: Store,
        silence_s: float,
        *,
        now: Callable[[], datetime],
        name: Callable[[str], str] = str,
        policy: Callable[[str], Policy] = lambda _: DEFAULT,
        zone: Callable[[str], tzinfo] = lambda _: UTC,
    ) -> None:
        self._bus, self._store, self._now, self._name = bus, store, now, name
        self._policy, self._zone = policy, zone
        self._watch = Watch(timedelta(seconds=silence_s))
        self._reader: Consumer | None = None
        self._producer: Producer | None = None
        self._pending: dict[str, Silence] = {}
        self.bad_beats = 0

    def __call__(self) -> None:
        """Read the heartbeats and write the alerts that changed; raises Unavailable, and goes on at the next call."""
        self._reader = self._reader or self._bus.reader(prefix=topics.HEARTBEATS_PREFIX)
        self._producer = self._producer or self._bus.producer()
        while records := self._reader.poll(max_records=1000, timeout_s=0.5):
            for record in records:
                try:
                    beat, taken = read(record)
                except RecordError as error:
                    self.bad_beats += 1
                    log.error("bad_heartbeat", position=record.position, reason=error.reason)
                    continue
                self._note(self._watch.beat(topics.tenant_of(record.topic), beat, taken))
        self._note(self._watch.absent(self._now()))
        for identifier, silence in list(self._pending.items()):
            if self._write(identifier, silence):
                del self._pending[identifier]

    def close(self) -> None:
        """Release the connections."""
        for part in (self._reader, self._producer):
            if part is not None:
                part.close()

    def _note(self, silences: Iterable[Silence]) -> None:
        for silence in silences:
            self._pending[alert_id(silence.tenant, RULE, silence.source, silence.since)] = silence

    def _write(self, identifier: str, silence: Silence) -> bool:
        """Tell whether the store and everybody on the topic ``alerts`` know of the silence."""
        stored = self._store.alerts.get(_SCOPE, [identifier]).get(identifier)
        own = stored.doc["wardwatch"]["alert"] if stored else {}
        if stored and (silence.recovered is None or "recovered_at" in own):
            # it may be stored but not announced: the last call was interrupted between the two
            self._announce(stored.doc, "updated")
            return True
        now = self._now()
        doc = self._document(identifier, silence, stored.doc["event"]["created"] if stored else rfc3339(now))
        clock = Clock(self._policy(silence.tenant), SEVERITY, self._zone(silence.tenant))
        workflow = new_workflow(clock.started(now))
        write = AlertWrite(identifier, doc, stored.version if stored else None, workflow)
        (result,) = self._store.alerts.write([write])
        if result.outcome is Outcome.REJECTED:
            log.error("alert_rejected", id=identifier, reason=result.reason)
        elif result.outcome is Outcome.STORED:
            self._announce(doc, "updated" if stored else "created")
        return result.outcome is not Outcome.CONFLICT

    def _document(self, identifier: str, silence: Silence, created: str) -> AlertDocument:
        return machine_alert(
            Finding(
                id=identifier,
                tenant=silence.tenant,
                organization=self._name(silence.tenant),
                rule=RULE,
                severity=SEVERITY,
                title=_TITLE,
                sentence=_sentence(silence),
                response=_RESPONSE,
                group={"log.source": silence.source},
                priority_reasons=_PRIORITY,
                first_seen=rfc3339(silence.since),
                last_seen=rfc3339(silence.recovered or silence.since),
                count=1 if silence.recovered is None else 2,
            ),
            created=created,
            recovered_at=rfc3339(silence.recovered) if silence.recovered else None,
        )

    def _announce(self, doc: AlertDocument, kind: Literal["created", "updated"]) -> None:
        identifier, tenant = doc["event"]["id"], doc["organization"]["id"]
        assert self._producer is not None  # noqa: S101 opened by the call
        self._producer.send(topics.ALERTS.name, news(doc, kind), key=identifier, headers={"tenant": tenant})
        self._producer.flush()


def _sentence(silence: Silence) -> dict[str, str]:
    since = rfc3339(silence.since)
    if silence.recovered is None:
        return {
            "en": f"Nothing came from {silence.source} since {since}.",
            "zh": f"{silence.source} 自 {since} 起没有任何日志。",
        }
    until = rfc3339(silence.recovered)
    return {
        "en": f"Nothing came from {silence.source} from {since} to {until}; it is heard again.",
        "zh": f"{silence.source} 自 {since} 至 {until} 没有任何日志，现已恢复。",
    }
