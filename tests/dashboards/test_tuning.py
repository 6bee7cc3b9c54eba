from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dashboards import tuning, workflow
from dashboards.workflow import read, state_of
from tests.dashboards.site import STORIES, VIP, document, sign_in
from wardwatch.alert import Verdict
from wardwatch.store import AlertWrite

if TYPE_CHECKING:
    import httpx

    from dashboards.console import Console
    from tests.dashboards.site import Story

LOGIC, DATA = Verdict.FALSE_POSITIVE_LOGIC, Verdict.FALSE_POSITIVE_DATA


def close(console: Console, story: Story, verdict: Verdict, note: str = "") -> None:
    lin, doc = console.people.get("lin"), document(story)
    doc["event"]["dataset"] = "dicom_audit" if story.tenant == "zhongxin" else "mysql_audit"
    console.store.alerts.write([AlertWrite(story.id, doc)])
    state = state_of(read(console.store, lin, story.id).doc)
    workflow.close(console.store, lin, story.id, state, verdict, note)


def closed(console: Console) -> None:
    for number, verdict in enumerate((LOGIC, LOGIC, Verdict.TRUE_POSITIVE)):
        close(console, replace(VIP, group=f"v{number}", minutes_ago=90 - number), verdict, f"note {number}")
    close(console, replace(STORIES[2], group="d1"), DATA, "clock of the HIS")
    close(console, replace(STORIES[3], group="d2"), DATA, "clock of the HIS")


def test_rules_at_fault_come_first_with_their_verdicts_and_newest_notes(console: Console) -> None:
    closed(console)
    first, *rest = tuning.rules(console.store, console.people.get("lin").scope)
    assert (first.rule, first.alerts, first.verdicts) == (VIP.rule, 4, {LOGIC: 2, Verdict.TRUE_POSITIVE: 1})
    assert first.notes == ["note 1", "note 0"]
    assert round(first.share(LOGIC), 3) == 0.667
    assert all(LOGIC not in each.verdicts for each in rest)


def test_faults_of_data_lead_to_the_source_of_the_hospital(console: Console) -> None:
    closed(console)
    (source,) = tuning.sources(console.store, console.people.get("lin").scope)
    assert source.model_dump() == {
        "tenant": "renai",
        "source": "mysql_audit",
        "faults": 2,
        "notes": ["clock of the HIS"],
    }
    assert tuning.sources(console.store, console.people.get("lin").scope, "zhongxin") == []


def test_the_page_leads_to_the_alerts_behind_each_number(client: httpx.Client, console: Console) -> None:
    closed(console)
    sign_in(client, "lin")
    page = client.get("/tuning").text
    link = f"/?status=closed&amp;rule={VIP.rule}&amp;verdict=false_positive_logic&amp;sort=newest"
    assert f'href="{link}">2</a>' in page
    listed = client.get(link.replace("&amp;", "&")).text
    assert "2 of 2" in listed
    assert "False: rule logic" in listed
    told = client.get("/api/v1/tuning").json()
    assert told["sources"][0]["source"] == "mysql_audit"
    assert client.get("/?verdict=wrong").status_code == 400
