"""Retention: removes alerts, events and deliveries that are older than the operator keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from wardwatch import topics
from wardwatch.bus import Bus
from wardwatch.errors import SettingsError
from wardwatch.store import Collection, Find, Store

log = structlog.get_logger()

_KEEP_ANSWERS_DAYS = 1  # of the API to requests with an Idempotency-Key


@dataclass
class Retention:
    """The job; ``tenants`` returns those of the table, the ones with topics are added."""

    bus: Bus
    store: Store
    keep_alerts_days: int
    keep_events_days: int
    keep_deliveries_days: int
    now: Callable[[], datetime]
    tenants: Callable[[], Iterable[str]]

    def __call__(self) -> None:
        """Expire what is too old of every tenant; raises Unavailable."""
        for tenant in sorted({*filter(topics.TENANT.fullmatch, self.tenants()), *self._seen()}):
            alerts = self.store.alerts.expire(tenant, self.now() - timedelta(days=self.keep_alerts_days))
            events = self.store.events.expire(tenant, self.now() - timedelta(days=self.keep_events_days))
            if alerts or events:
                log.info("expired", tenant=tenant, alerts=alerts, events=events)
        self._forget("deliveries", self.keep_deliveries_days)
        self._forget("answers", _KEEP_ANSWERS_DAYS)

    def _forget(self, collection: Collection, days: int) -> None:
        documents = self.store.documents(collection)
        old = Find(end=self.now() - timedelta(days=days), limit=500)
        while items := documents.find(old).items:
            for item in items:
                documents.delete(str(item.doc["id"]))

    def _seen(self) -> Iterable[str]:
        for topic in self.bus.topics():
            if topic.startswith(topics.EVENTS_PREFIX):
                try:
                    yield topics.tenant_of(topic)
                except SettingsError:
                    log.warning("foreign_topic", topic=topic)
