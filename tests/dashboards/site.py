"""Two hospitals' alerts in a real store, and a console over them."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from dashboards.app import create, server_of
from dashboards.auth.people import People, Role, new_person
from dashboards.console import Console
from wardwatch.alert import AlertDocument, Severity, alert_id, new_workflow
from wardwatch.event import Document, Event, event_id, rfc3339
from wardwatch.service_levels import DEFAULT, Clock
from wardwatch.settings import ConsoleSettings
from wardwatch.store import AlertWrite, Outcome, Store
from wardwatch.testing.ports import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "correct horse battery"
TENANTS = {
    "renai": {"name": {"en": "Renai Hospital", "zh": "仁爱医院"}, "zone": "Asia/Shanghai"},
    "zhongxin": {"name": {"en": "Central Hospital", "zh": "中心医院"}, "zone": "Asia/Shanghai"},
}
PEOPLE = {"lin": (Role.ANALYST, []), "ren": (Role.ANALYST, ["renai"]), "zhou": (Role.VIEWER, ["zhongxin"])}


@dataclass(frozen=True)
class Story:
    """What one alert tells."""

    rule: str
    title: dict[str, str]
    sentence: dict[str, str]
    tenant: str = "zhongxin"
    severity: Severity = Severity.HIGH
    priority: int = 71
    count: int = 3
    technique: str = "T1213"
    entities: dict[str, Any] = field(default_factory=dict)
    group: str = "one"
    minutes_ago: int = 20

    @property
    def start(self) -> datetime:
        """When it began."""
        return datetime.now(UTC).replace(second=9, microsecond=0) - timedelta(minutes=self.minutes_ago)

    @property
    def id(self) -> str:
        """The alert's id; one month holds all stories."""
        return alert_id(self.tenant, self.rule, self.group, datetime(2026, 11, 1, tzinfo=UTC))


VIP = Story(
    "dicom_vip_access_unexplained",
    {"en": "VIP patient's images viewed without a reason", "zh": "无诊疗关系查看重点患者影像"},
    {
        "en": "Account st_9f2a (pharmacy) viewed the images of VIP patient pt_c2f1 on office-7 and gave no purpose.",
        "zh": "账号 st_9f2a（药房）在 office-7 查看重点患者 pt_c2f1 的影像，未说明用途。",
    },
    priority=92,
    severity=Severity.CRITICAL,
    entities={"user": {"id": "st_9f2a"}, "host": {"name": "office-7"}, "source": {"ip": "10.3.1.77"}},
)
STORIES = [
    VIP,
    Story(
        "windows_shadow_copy_deletion",
        {"en": "Shadow copies deleted on a hospital information system host", "zh": "HIS 主机删除卷影副本"},
        {
            "en": "hisadmin ran vssadmin delete shadows on his-db-02.",
            "zh": "hisadmin 在 his-db-02 执行了删除卷影副本的命令。",
        },
        priority=86,
        severity=Severity.CRITICAL,
        technique="T1490",
        entities={"host": {"name": "his-db-02"}, "user": {"name": "hisadmin"}},
    ),
    Story(
        "mysql_tongfang",
        {"en": "Prescriptions summed by doctor and drug at night", "zh": "夜间按医生与药品汇总处方（统方）"},
        {"en": "st_4c19 summed prescriptions by doctor at 23:10.", "zh": "st_4c19 于 23:10 按医生汇总处方。"},
        tenant="renai",
        technique="T1213.006",
        entities={"user": {"id": "st_4c19"}, "host": {"name": "yf-pc-07"}},
    ),
    Story(
        "linux_ssh_root_login",
        {"en": "Root login over SSH", "zh": "root 通过 SSH 登录"},
        {"en": "root signed in to his-app from 10.3.9.2.", "zh": "root 从 10.3.9.2 登录 his-app。"},
        tenant="renai",
        severity=Severity.MEDIUM,
        priority=47,
        technique="T1078",
        entities={"host": {"name": "his-app"}, "source": {"ip": "10.3.9.2"}},
    ),
]


def source_event(story: Story) -> Event:
    """Return an event behind the alert."""
    identifier = event_id(story.tenant, "dicom_audit", story.rule)
    doc = {
        "event.id": identifier,
        "@timestamp": rfc3339(story.start),
        "event.action": "dicom-instances-accessed",
        "user.id": "st_9f2a",
        "hospital.patient.vip": True,
        "hospital.patient.id_token": "pt_c2f1",
        "hospital.off_hours": True,
        "source.ip": "10.3.1.77",
        "source.asset.name": "office-7",
        "source.asset.class": "office",
        "source.asset.clinical": False,
        "dicom.called_ae": "PACS1",
        "event.dataset": "dicom_audit",
    }
    return Event(doc=doc, tenant=story.tenant, source="dicom_audit")


def reasons(priority: int) -> list[dict[str, Any]]:
    """Return terms that give the points of a priority, one of them none."""
    shares = {"severity": 0.38, "criticality": 0.21, "data": 0.16, "exposure": 0.0, "confidence": 0.1}
    points = {term: round(priority * share, 1) for term, share in shares.items()}
    points["spread"] = round(priority - sum(points.values()), 1)
    return [{"term": term, "value": min(1.0, worth / 20), "points": worth} for term, worth in points.items()]


def related(entities: dict[str, Any]) -> dict[str, list[str]]:
    """Return the addresses and accounts of the entities, as the alerter gathers them."""
    addresses = [entities[side]["ip"] for side in ("source", "destination") if side in entities]
    return {"ip": addresses, "user": list(entities.get("user", {}).values())}


def document(story: Story) -> AlertDocument:
    """Return detection's document of the alert."""
    at = rfc3339(story.start)
    return {
        "@timestamp": at,
        "message": story.title["en"],
        "event": {
            "id": story.id,
            "kind": "alert",
            "created": at,
            "severity": story.severity.number,
            "reason": story.sentence["en"],
        },
        "rule": {
            "id": story.rule,
            "name": story.title["en"],
            "description": "What it finds.",
            "version": "1",
            "uuid": story.rule,
        },
        "threat": {"technique": {"id": [story.technique]}},
        "organization": {"id": story.tenant},
        "related": related(story.entities),
        **story.entities,
        "wardwatch": {
            "alert": {
                "count": story.count,
                "first_seen": at,
                "last_seen": rfc3339(story.start + timedelta(minutes=5)),
                "title": story.title,
                "sentence": story.sentence,
                "false_positives": ["A second opinion that was asked for."],
                "response": {"en": "Call the ward.", "zh": "致电病区核实。"},
                "asset_criticality": "diagnostic",
                "patient_token": "pt_c2f1" if story is VIP else None,
                "priority": story.priority,
                "priority_reasons": reasons(story.priority),
                "matched": [
                    {"field": "hospital.patient.vip", "values": [True]},
                    {"field": "user.id", "values": ["st_9f2a"]},
                ],
                "source_events": [{"index": "events", "id": source_event(story).id}],
            }
        },
    }


def clock(story: Story) -> dict[str, Any]:
    """Return the workflow of a new alert, as the alerter makes it."""
    return new_workflow(Clock(DEFAULT, story.severity, UTC).started(story.start))


def write(store: Store, *stories: Story) -> None:
    """Write alerts and their events as the stages do."""
    results = store.alerts.write([AlertWrite(story.id, document(story), None, clock(story)) for story in stories])
    assert [result.outcome for result in results] == [Outcome.STORED] * len(stories), results
    store.events.write([source_event(story) for story in stories])


def seed(store: Store) -> None:
    """Create people and alerts."""
    store.setup()
    people = People(store)
    for name, (role, tenants) in PEOPLE.items():
        people.add(new_person(name, PASSWORD, role, tenants, display={"lin": "林"}.get(name, name)))
    write(store, *STORIES)


class KeptTables:
    """Tables in this process alone, with the hospitals in them."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], dict[str, Document]] = {("tenants", ""): dict(TENANTS)}

    def rows(self, table: str, tenant: str) -> dict[str, Document]:
        """Return the rows that hold for the tenant."""
        return self._rows.get((table, ""), {}) | self._rows.get((table, tenant), {})

    def put(self, table: str, tenant: str, key: str, value: Document) -> None:
        """Write one row."""
        self._rows.setdefault((table, tenant), {})[key] = value

    def delete(self, table: str, tenant: str, key: str) -> None:
        """Delete one row."""
        self._rows.get((table, tenant), {}).pop(key, None)

    def catch_up(self, timeout_s: float = 0) -> None:
        """Return: there is nothing to wait for."""


def console_over(store: Store) -> Console:
    """Return a console over a seeded store."""
    return Console(ConsoleSettings(secure_cookies=False), store, KeptTables())


@contextmanager
def serving(console: Console) -> Iterator[str]:
    """Serve the console on a free port and yield its address."""
    listen = f"127.0.0.1:{free_port()}"
    server = server_of(create(console), listen)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, what="console")
    try:
        yield f"http://{listen}"
    finally:
        console.feed.close()
        server.should_exit = True
        thread.join()


@contextmanager
def visiting(console: Console) -> Iterator[httpx.Client]:
    """Return a client of a served console that keeps cookies and follows no redirect."""
    with serving(console) as address, httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        yield client


def form_token(page: str) -> str:
    """Return the token in the page's first form."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page[:400]
    return found[1]


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD, **more: str) -> Any:
    """Fill in the sign-in form."""
    token = form_token(client.get("/login").text)
    return client.post("/login", data={"name": name, "password": password, "csrf": token, **more})
