"""A provider's store with archived events, as the commands of rule engineers find it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml
from typer.testing import CliRunner, Result

from detections.cli import rules
from detections.logsource import of_document
from tests.detections.rules_under_test import rule_document
from tests.wardwatch.store.samples import EVERYBODY, alert, settle
from wardwatch.event import Event, rfc3339
from wardwatch.store import Outcome, Store

MIDNIGHT = datetime(2026, 3, 9, 16, tzinfo=UTC)
"""Midnight of 10 March 2026 in Shanghai."""
DAY = ("--from", "2026-03-10", "--to", "2026-03-11")
ROOT = rule_document({"user.name": "root"}, title="Root", logsource={"product": "linux", "service": "sshd"})


def correlation(of: str, title: str, **own: Any) -> dict[str, Any]:
    """Return a correlation: three matches at one host within ten minutes."""
    counted = {"type": "event_count", "group-by": ["host.name"], "timespan": "10m", "condition": {"gte": 3}}
    return {"title": title, "id": str(uuid5(NAMESPACE_URL, title)), "correlation": counted | {"rules": [of], **own}}


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A store with events of ``tenant`` (and whoever else), and a folder for rules."""

    store: Store
    tenant: str
    folder: Path

    def rule(self, document: dict[str, Any], name: str = "rule.yml") -> Path:
        """Write a rule file."""
        file = self.folder / name
        file.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")
        return file

    def archive(self, docs: Sequence[dict[str, Any]], *, tenant: str = "", every: timedelta = timedelta(0)) -> None:
        """Archive documents from midnight on, each with a dataset of sshd unless it has its own."""
        events = [self.event(number, doc, tenant, every) for number, doc in enumerate(docs)]
        assert {result.outcome for result in self.store.events.write(events)} == {Outcome.STORED}
        settle(self.store)

    def event(self, number: int, doc: dict[str, Any], tenant: str = "", every: timedelta = timedelta(0)) -> Event:
        """Return the event of a document."""
        at = rfc3339(MIDNIGHT + number * every)
        whole = {"@timestamp": at, "event.id": f"{number:08x}", "event.dataset": "linux.sshd", **doc}
        return Event(whole, tenant or self.tenant, "linux", of_document(whole), received=MIDNIGHT)


def invoke(*arguments: object) -> Result:
    """Run ``wardwatch rules`` as a person does."""
    return CliRunner().invoke(rules, [str(each) for each in arguments])


def alerts_of(
    lab: Laboratory,
    rule: str,
    verdicts: Sequence[str],
    *,
    tenant: str = "",
    at: datetime | None = None,
    number: int = 0,
    **own: Any,
) -> None:
    """Write an alert of three matches for each verdict, closed with it; "" leaves the alert open."""
    now = at or datetime.now(UTC)
    for each, verdict in enumerate(verdicts, number):
        write = alert(tenant or lab.tenant, each, rule=rule, created=now, count=3, last_seen=rfc3339(now), **own)
        assert lab.store.alerts.write([write])[0].outcome is Outcome.STORED
        if verdict:
            stored = lab.store.alerts.get(EVERYBODY, [write.id])[write.id]
            changes = {"status": "closed", "verdict": verdict, "closed_at": rfc3339(now)}
            lab.store.alerts.workflow(EVERYBODY, write.id, changes, version=stored.version)
    settle(lab.store)
