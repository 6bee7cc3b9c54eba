"""The console over each pair of adapters; every test has a hospital of its own, so shared servers need no cleaning."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import orjson
import pytest

from dashboards import audit
from dashboards.auth.people import People, Role, new_person
from dashboards.feed import follow
from tests.dashboards.site import PASSWORD, STORIES, Story, console_over, sign_in, visiting, write
from tests.wardwatch.store.samples import settle
from wardwatch import topics
from wardwatch.bus import Bus, open_bus
from wardwatch.stage import Runtime
from wardwatch.store import Store, open_store
from wardwatch.testing.ports import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dashboards.console import Console

REAL = pytest.param("real", marks=[pytest.mark.elasticsearch, pytest.mark.kafka])


@dataclass
class Ward:
    """One hospital, its alerts, and an analyst of its name who is signed in."""

    tenant: str
    store: Store
    bus: Bus
    console: Console
    client: httpx.Client
    stories: list[Story]

    def rows(self, query: str) -> list[str]:
        """Return the ids of the alerts that the queue lists."""
        return re.findall(r'<tr id="row-([^"]+)"', self.client.get(f"/{query}").text)

    def change(self, action: str, alert: str, **body: str) -> httpx.Response:
        """Send a change through the API."""
        token = self.client.get("/api/v1/me").json()["csrf"]
        return self.client.post(f"/api/v1/alerts/{alert}/{action}", json=body, headers={"X-CSRF-Token": token})

    def state(self, alert: str) -> str:
        """Return what a change of the alert names."""
        return str(self.client.get(f"/api/v1/alerts/{alert}").json()["state"])


@pytest.fixture(params=["embedded", REAL])
def ward(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ward]:
    real = request.param == "real"
    store = open_store(request.getfixturevalue("elasticsearch") if real else f"sqlite:///{tmp_path / 'store.sqlite'}")
    bus = open_bus(request.getfixturevalue("kafka") if real else f"sqlite:///{tmp_path / 'bus.sqlite'}")
    store.setup()
    bus.ensure_topics(topics.shared())
    tenant = f"t{uuid4().hex[:12]}"
    stories = [replace(story, tenant=tenant) for story in STORIES]
    write(store, *stories)
    settle(store)
    People(store).add(new_person(tenant, PASSWORD, Role.ANALYST, [tenant]))
    console = console_over(store)
    with visiting(console) as client:
        sign_in(client, tenant)
        yield Ward(tenant, store, bus, console, client, stories)
    store.close()
    bus.close()


def test_the_queue_sorts_filters_searches_and_counts(ward: Ward) -> None:
    ids = [story.id for story in sorted(ward.stories, key=lambda story: -story.priority)]
    assert ward.rows("") == ids
    assert ward.rows("?severity=critical") == ids[:2]
    assert ward.rows("?rule=mysql_tongfang") == [ids[2]]
    assert ward.rows("?q=卷影") == [ids[1]]
    assert ward.client.get("/api/v1/alerts/counts").json() == {"critical": 2, "high": 1, "medium": 1, "low": 0}
    assert "st_9f2a" in ward.client.get(f"/alerts/{ids[0]}/tab/evidence").text


def test_an_alert_is_taken_closed_and_undone_and_a_late_decision_is_a_conflict(ward: Ward) -> None:
    alert = ward.stories[0].id
    old = ward.state(alert)
    assert ward.change("acknowledge", alert, state=old).status_code == 200
    assert ward.rows("?assignee=me") == [alert]
    closed = ward.change("close", alert, state=ward.state(alert), verdict="duplicate")
    assert ward.rows("?status=closed&closed=today&sort=newest") == [alert]
    assert alert not in ward.rows("")
    assert ward.change("close", alert, state=old, verdict="benign_positive").status_code == 409
    assert ward.change("undo", alert, audit_id=closed.json()["audit_id"]).status_code == 200
    assert ward.rows("?assignee=me") == [alert]
    history = ward.client.get(f"/alerts/{alert}/tab/history").text
    assert re.findall(r"</b> ([^<]+)</p>", history) == ["took the last change back", "closed it · Duplicate", "took it"]


def test_a_case_is_opened_answered_listed_and_closed_with_its_alerts_and_its_evidence(ward: Ward) -> None:
    headers = {"X-CSRF-Token": ward.client.get("/api/v1/me").json()["csrf"]}

    def post(path: str, **body: Any) -> Any:
        answer = ward.client.post(f"/api/v1/cases{path}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    first, second = (story.id for story in ward.stories[:2])
    case = post("", alerts=[{"id": first, "state": ward.state(first)}])["case"]["id"]
    post("", alerts=[{"id": second, "state": ward.state(second)}], case="last")
    assert ward.rows("?status=escalated") == [first, second]
    asked = post(f"/{case}/requests", kind="question", text="谁？")
    assert ward.client.get("/api/v1/cases?view=waiting").json()["total"] == 1
    assert "waiting for the hospital" in ward.client.get(f"/alerts/{second}?lang=en").text
    post(f"/{case}/requests/{asked['case']['requests'][0]['id']}/answer", text="药房")
    assert ward.client.get("/api/v1/cases?view=waiting").json()["total"] == 0

    content = b"\x1f\x8b" + bytes(range(256)) * 6000
    files = {"file": ("报告.gz", content)}
    kept = ward.client.post(f"/api/v1/cases/{case}/files", files=files, headers=headers).json()["case"]["files"][0]
    assert ward.client.get(f"/api/v1/cases/{case}/files/{kept['id']}").content == content

    whole = ward.client.get(f"/api/v1/cases/{case}").json()
    assert set(whole["alerts"]) == {first, second}
    assert {"event", "alert", "case_open", "case_add", "asked_hospital", "answered", "file"} <= {
        entry["kind"] for entry in whole["timeline"]
    }
    closed = post(f"/{case}/close", state=whole["state"], verdict="benign_positive")
    assert ward.rows("?status=closed&sort=priority") == [first, second]
    late = {"state": whole["state"], "title": "late", "severity": "high"}
    assert ward.client.post(f"/api/v1/cases/{case}/edit", json=late, headers=headers).status_code == 409
    post(f"/{case}/reopen", state=closed["state"])
    assert ward.client.get("/api/v1/cases?view=mine").json()["total"] == 1


def test_undo_of_an_escalation_leaves_neither_case_nor_trace_in_the_queue(ward: Ward) -> None:
    alert = ward.stories[0].id
    headers = {"X-CSRF-Token": ward.client.get("/api/v1/me").json()["csrf"]}
    body = {"alerts": [{"id": alert, "state": ward.state(alert)}]}
    made = ward.client.post("/api/v1/cases", json=body, headers=headers).json()
    assert ward.change("undo", alert, audit_id=made["audit_ids"][alert]).status_code == 200
    assert ward.rows("?status=new")[0] == alert
    assert ward.client.get("/api/v1/cases").json()["total"] == 0


def test_an_announcement_on_the_bus_reaches_the_open_page(ward: Ward) -> None:
    runtime = Runtime("console")
    reading = threading.Thread(target=follow, args=(ward.bus, ward.console.feed, runtime))
    reading.start()
    wait_until(lambda: "bus" in runtime.health()["parts"], what="bus")
    try:
        with ward.client.stream("GET", "/api/v1/stream") as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: ready"
            announce(ward)
            data = next(line.removeprefix("data: ") for line in lines if line.startswith("data: {"))
            assert orjson.loads(data)["id"] == ward.stories[0].id
    finally:
        runtime.stopping.set()
        reading.join()


def announce(ward: Ward) -> None:
    producer = ward.bus.producer()
    record = {"id": ward.stories[0].id, "tenant": ward.tenant, "kind": "created"}
    producer.send(topics.ALERTS.name, orjson.dumps(record), key=ward.stories[0].id)
    producer.flush()
    producer.close()


def test_a_bulk_change_closes_and_takes_back_on_both_stores(ward: Ward) -> None:
    token = ward.client.get("/api/v1/me").json()["csrf"]
    headers = {"X-CSRF-Token": token, "Idempotency-Key": "take-it-back"}

    def ended(job: str) -> bool:
        return bool(ward.client.get(f"/api/v1/jobs/{job}").json()["state"] == "done")

    order = {"key": "close-them", "action": "close", "verdict": "exercise", "filter": {}}
    job = ward.client.post("/api/v1/bulk", json=order, headers=headers).json()["id"]
    wait_until(lambda: ended(job), what="job")
    assert ward.client.get(f"/api/v1/jobs/{job}").json()["done"] == len(ward.stories)
    assert ward.rows("") == []
    undo = ward.client.post(f"/api/v1/jobs/{job}/undo", headers=headers).json()["id"]
    wait_until(lambda: ended(undo), what="job")
    assert len(ward.rows("")) == len(ward.stories)
    ward.console.close()


def test_the_audit_chain_is_whole_filtered_and_exported_on_both_stores(ward: Ward) -> None:
    people = People(ward.store)
    people.change(ward.tenant, lambda person: replace(person, roles=frozenset({Role.ADMIN})))
    alert = ward.stories[0].id
    ward.change("acknowledge", alert, state=ward.state(alert))
    problems = audit.verify(ward.store).problems
    assert [problem for problem in problems if "outside the chain" not in problem] == []  # of the contract's tests
    page = ward.client.get("/audit?action=acknowledge&start=2020-01-01&end=2100-01-01").text
    assert page.count("<details><summary>") == 1
    assert "<details><summary>" not in ward.client.get("/audit?start=2100-01-01").text
    lines = ward.client.get("/api/v1/audit/ndjson").text.splitlines()
    assert [orjson.loads(line)["alert"] for line in lines] == [alert]


def test_accounts_sessions_and_tokens_are_kept_on_both_stores(ward: Ward) -> None:
    people = People(ward.store)
    people.change(ward.tenant, lambda person: replace(person, roles=frozenset({Role.ADMIN})))
    csrf, name = ward.client.get("/api/v1/me").json()["csrf"], f"new-{ward.tenant}"

    def send(path: str, **fields: str) -> int:
        return ward.client.post(path, data={"csrf": csrf, **fields}).status_code

    assert send("/people", account=name, password=PASSWORD, role="viewer", tenant=ward.tenant) == 303
    version = re.search(r'name="version" value="([^"]+)"', ward.client.get(f"/people/{name}").text)
    assert version
    assert send(f"/people/{name}", role="lead", tenant=ward.tenant, version=version[1]) == 303
    assert send(f"/people/{name}", role="viewer", tenant=ward.tenant, version=version[1]) == 409
    assert send(f"/people/{name}", role="viewer", tenant=ward.tenant) == 409
    session = ward.console.sessions.open(name)
    assert send(f"/people/{name}/sessions") == 303
    assert ward.console.sessions.get(session) is None
    made = ward.client.post("/api/v1/tokens", json={"label": "x", "days": 1}, headers={"X-CSRF-Token": csrf}).json()
    headers = {"Authorization": f"Bearer {made['text']}"}
    assert [token["used"] for token in ward.client.get("/api/v1/tokens", headers=headers).json()] != [""]
    assert send("/account/tokens/revoke", token=made["token"]["id"]) == 303
    assert ward.client.get("/api/v1/me", headers=headers).status_code == 401
