"""A normal day brings no name that the mappings do not know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from enrich.lookups import Rows
from ingest.parsers import PARSERS
from tests.wardwatch.store.emitted import alerts, events, names
from tests.wardwatch.store.samples import START
from wardwatch import topics
from wardwatch.alert import WORKFLOW, Finding, Severity, alert_id, machine_alert
from wardwatch.bus import open_bus
from wardwatch.demo.hospital import HOSPITALS
from wardwatch.event import Event, rfc3339
from wardwatch.store import AlertWrite, Outcome, open_store
from wardwatch.store.elasticsearch.templates import templates
from wardwatch.tables import Tables, read_csv

(HOSPITAL,) = (hospital for hospital in HOSPITALS if hospital.attacked)


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Rows]:
    """The hospital's inventory and zone."""
    bus = open_bus(f"sqlite:///{tmp_path / 'bus.sqlite'}")
    bus.ensure_topics(topics.shared())
    inventory = tmp_path / "assets.csv"
    inventory.write_text(HOSPITAL.inventory(), "utf-8")
    tables = Tables(bus)
    tables.put_rows("assets", HOSPITAL.tenant, read_csv(inventory))
    tables.put("tenants", "", HOSPITAL.tenant, {"name": {"en": HOSPITAL.name_en}, "zone": str(HOSPITAL.zone)})
    tables.catch_up()
    yield tables
    tables.close()
    bus.close()


@pytest.fixture(scope="module")
def archived() -> list[Event]:
    """The events of the day, as the archiver takes them."""
    return list(events(HOSPITAL))


def mapped(template: str) -> set[str]:
    """Return the names that an index of this template has before its first document."""
    return set(templates()[template]["template"]["mappings"]["properties"])


def silence(tenant: str) -> AlertWrite:
    """Return the alert of a job: a source that fell silent and came back."""
    identifier = alert_id(tenant, "silent-source", "linux", START)
    found = Finding(
        id=identifier,
        tenant=tenant,
        organization="Hospital",
        rule="silent-source",
        severity=Severity.MEDIUM,
        title={"en": "Silent", "zh": "静默"},
        sentence={"en": "Silent", "zh": "静默"},
        response={"en": "Call", "zh": "致电"},
        group={"log.source": "linux"},
        priority_reasons=[{"term": "severity", "value": 1.0, "points": 35.0}],
        first_seen=rfc3339(START),
        last_seen=rfc3339(START),
    )
    return AlertWrite(identifier, machine_alert(found, created=rfc3339(START), recovered_at=rfc3339(START)))


def test_every_field_of_an_event_is_mapped_up_front(archived: list[Event]) -> None:
    assert {event.source for event in archived} == set(PARSERS)
    emitted = {name for event in archived for name in names(event.doc)}
    assert emitted - mapped("wardwatch-events") == set()


def test_every_field_of_an_alert_is_mapped_up_front(archived: list[Event], tables: Rows) -> None:
    docs = [*alerts(HOSPITAL, archived, tables), silence("renai").doc]
    emitted = {name for doc in docs for name in names(doc)} | {f"wardwatch.alert.{name}" for name in WORKFLOW}
    assert "host.asset.criticality" in emitted
    assert emitted - mapped("wardwatch-alerts") == set()


@pytest.mark.elasticsearch
def test_a_normal_day_changes_no_mapping(elasticsearch: str, tenant: str, archived: list[Event], tables: Rows) -> None:
    store = open_store(elasticsearch)
    store.setup()
    found = [Event(event.doc, tenant, event.source, event.logsource, received=event.received) for event in archived]
    writes = [silence(tenant)]
    for doc in alerts(HOSPITAL, archived, tables):
        doc["event"]["id"] = doc["event"]["id"].replace(HOSPITAL.tenant, tenant)
        writes.append(AlertWrite(doc["event"]["id"], doc))
    results = [*store.events.write(found), *store.alerts.write(writes)]
    assert not [result.reason for result in results if result.outcome is Outcome.REJECTED]
    answer = httpx.get(f"{elasticsearch}/logs-wardwatch.*-{tenant}-*/_mapping").json()
    opened = {index.split("-")[1]: set(state["mappings"]["properties"]) for index, state in answer.items()}
    httpx.delete(f"{elasticsearch}/{','.join(answer)}").raise_for_status()
    store.close()
    assert opened == {"wardwatch.alert": mapped("wardwatch-alerts"), "wardwatch.event": mapped("wardwatch-events")}
