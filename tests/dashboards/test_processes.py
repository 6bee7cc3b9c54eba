from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dashboards.hospitals import Hospitals
from dashboards.present import AlertView
from dashboards.processes import Process, concerns, tree
from tests.dashboards.site import TENANTS, VIP, document, sign_in
from wardwatch.event import Event, event_id, rfc3339
from wardwatch.store import AlertWrite, Scope

if TYPE_CHECKING:
    import httpx

    from wardwatch.store import Store

SCOPE = Scope("test")
START = datetime(2026, 11, 2, 3, 4, tzinfo=UTC)
STORY = replace(VIP, rule="windows_shadow_copy_deletion", group="processes")


def started(name: str, pid: int, parent: int, second: int, *, host: str = "his-db-02", by_id: bool = True) -> Event:
    """Return the event of a process that starts, known by ids or by numbers alone."""
    identifier = event_id("zhongxin", "windows", f"{host} {name} {pid} {second}")
    doc: dict[str, Any] = {
        "event.id": identifier,
        "@timestamp": rfc3339(START + timedelta(seconds=second)),
        "host.name": host,
        "process.pid": pid,
        "process.executable": f"C:\\Windows\\{name}",
        "process.command_line": f"{name} /run",
        "process.parent.pid": parent,
        "process.parent.executable": f"C:\\Windows\\parent-{parent}.exe",
        "user.name": "hisadmin",
        "event.dataset": "windows",
    }
    if by_id:
        doc |= {"process.entity_id": f"guid-{pid}", "process.parent.entity_id": f"guid-{parent}"}
    return Event(doc=doc, tenant="zhongxin", source="windows")


def shown(store: Store, events: list[Event], *evidence: Event) -> list[tuple[int, str, bool]]:
    return [(each.depth, each.name, each.hit) for each in processes(store, events, *evidence)]


def processes(store: Store, events: list[Event], *evidence: Event) -> list[Process]:
    store.events.write(events)
    doc = document(STORY)
    doc["wardwatch"]["alert"]["source_events"] = [{"index": "e", "id": each.doc["event.id"]} for each in evidence]
    return tree(store, SCOPE, AlertView(doc, Hospitals(lambda: TENANTS).get("zhongxin"), "en"))


@pytest.mark.parametrize("by_id", [True, False])
def test_a_process_stands_below_its_parents_and_above_its_children(store: Store, by_id: bool) -> None:
    services = started("services.exe", 4, 1, 0, by_id=by_id)
    shell = started("cmd.exe", 10, 4, 1, by_id=by_id)
    hit = started("vssadmin.exe", 20, 10, 2, by_id=by_id)
    child = started("conhost.exe", 21, 20, 3, by_id=by_id)
    other = started("cmd.exe", 10, 4, 1, host="his-app", by_id=by_id)
    stranger = started("vssadmin.exe", 22, 11, 2, by_id=by_id)
    assert shown(store, [services, shell, hit, child, other, stranger], hit) == [
        (0, "parent-1.exe", False),
        (1, "services.exe", False),
        (2, "cmd.exe", False),
        (3, "vssadmin.exe", True),
        (4, "conhost.exe", False),
    ]


def test_a_number_used_again_is_the_process_that_ran_before_the_child(store: Store) -> None:
    first = started("excel.exe", 10, 4, 1, by_id=False)
    again = started("notepad.exe", 10, 4, 50, by_id=False)
    hit = started("powershell.exe", 20, 10, 2, by_id=False)
    assert [name for _, name, _ in shown(store, [first, again, hit], hit)] == [
        "parent-4.exe",
        "excel.exe",
        "powershell.exe",
    ]


def test_processes_that_name_each_other_end(store: Store) -> None:
    one, two = started("a.exe", 1, 2, 1, by_id=False), started("b.exe", 2, 1, 0, by_id=False)
    assert {each.name for each in processes(store, [one, two], one, two)} <= {"a.exe", "b.exe"}


def test_the_tab_is_there_for_alerts_about_processes_alone(client: httpx.Client, store: Store) -> None:
    sign_in(client, "lin")
    assert "tab=process" not in client.get(f"/alerts/{VIP.id}").text
    hit = started("vssadmin.exe", 20, 10, 2)
    store.events.write([hit])
    doc = document(STORY) | {"process": {"pid": 20}}
    doc["wardwatch"]["alert"]["source_events"] = [{"index": "e", "id": hit.doc["event.id"]}]
    store.alerts.write([AlertWrite(STORY.id, doc)])
    page = client.get(f"/alerts/{STORY.id}?tab=process").text
    assert "tab=process" in page
    assert "<mark>vssadmin.exe</mark>" in page
    assert "vssadmin.exe /run" in page


def test_an_alert_is_about_processes_by_its_entities_or_by_what_matched(store: Store) -> None:
    hospital = Hospitals(lambda: TENANTS).get("zhongxin")
    doc = document(STORY)
    assert not concerns(AlertView(doc, hospital, "en"))
    doc["wardwatch"]["alert"]["matched"] = [{"field": "process.name", "values": ["cmd.exe"]}]
    assert concerns(AlertView(doc, hospital, "en"))
