"""Sixty hostile texts in everything that a page shows; the page fixture fails a test on whatever runs or is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from dashboards import audit, reviews
from dashboards.auth.people import People, Role
from tests.browser.conftest import sign_in
from tests.browser.test_cases import opened
from tests.dashboards.site import TENANTS, VIP, Story, clock, document, source_event
from tests.payloads import PAYLOADS
from wardwatch.alert import Verdict
from wardwatch.event import Event, rfc3339
from wardwatch.store import AlertWrite, Outcome, Store
from wardwatch.tables import Tables

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.conftest import Site

pytestmark = pytest.mark.browser

EVERY_PART = """async (id) => {
  await htmx.ajax("GET", `/alerts/${id}/panel`, "#panel");
  for (const tab of ["evidence", "process", "related", "rule", "history", "raw"]) {
    await htmx.ajax("GET", `/alerts/${id}/tab/${tab}`, "#tab");
  }
  for (const part of ["suppress", "verdicts", "look"]) await htmx.ajax("GET", `/alerts/${id}/${part}`, "#toast");
}"""


def poisoned(payload: str, number: int) -> tuple[Story, dict[str, Any], Event]:
    """Return an alert and its event with the payload in every field that comes from a log, a rule or a person.

    Of the longest one each field has 25,000 characters: the bus carries no alert of more than 900,000 bytes.
    """
    payload = payload[:25_000]
    story = replace(
        VIP, title={"en": payload, "zh": payload}, sentence={"en": payload, "zh": payload}, group=f"{number}"
    )
    doc, event = document(story), source_event(replace(story, rule=f"{VIP.rule}-{number}"))
    doc |= {"host": {"name": payload}, "user": {"id": payload, "name": payload}, "source": {"ip": payload}}
    doc["related"] = {"user": [payload], "ip": [payload], "hosts": [payload]}
    doc["rule"] |= {"id": payload[:200], "name": payload, "description": payload}
    doc["threat"] = {"technique": {"id": [payload]}}
    doc["event"] |= {"reason": payload, "dataset": payload, "url": payload}
    doc["process"] = {"name": payload, "pid": 7}
    doc["wardwatch"]["alert"] |= {
        "false_positives": [payload],
        "response": {"en": payload, "zh": payload},
        "matched": [{"field": payload, "values": [payload]}],
        "group_by": {"user.id": payload},
        "asset_criticality": payload,
        "patient_token": payload,
        "source_events": [{"index": "events", "id": event.doc["event.id"]}],
    }
    names = ("event.action", "user.id", "user.name", "host.name", "process.name", "process.command_line")
    return story, doc, replace(event, doc={**event.doc, **dict.fromkeys(names, payload), "process.pid": 7})


def poison(store: Store) -> list[str]:
    """Write an alert for each payload, half of them closed with it as the note; return their ids."""
    ids = []
    for number, payload in enumerate(PAYLOADS):
        story, doc, event = poisoned(payload, number)
        verdict = Verdict.FALSE_POSITIVE_LOGIC if number % 4 else Verdict.FALSE_POSITIVE_DATA
        closed = {"status": "closed", "verdict": verdict.value, "reason": payload[:2000], "assignee": payload[:64]}
        closed["closed_at"] = rfc3339(datetime.now(UTC))
        workflow = {**clock(story), **(closed if number % 2 else {"assignee": payload[:64]})}
        (result,) = store.alerts.write([AlertWrite(story.id, doc, None, workflow)])
        assert result.outcome is Outcome.STORED, (payload[:60], result)
        store.events.write([event])
        ids.append(story.id)
    return ids


def test_nothing_that_an_alert_holds_ever_runs(page: Page, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "ONE_IN", 1)
    ids = poison(site.store)
    sign_in(page)
    report = f"/reports/{VIP.tenant}/{datetime.now(UTC):%Y-%m}"
    for path in ("/?status=any&sort=newest", "/?status=closed", "/tuning", "/figures", "/reviews", report):
        page.goto(path)
        page.wait_for_selector("main")
        assert (
            page.evaluate("document.querySelectorAll('main :is(img, script, iframe, object, embed, base)').length") == 0
        )
    page.goto("/?status=any&sort=newest")
    for identifier in ids:
        page.evaluate(EVERY_PART, identifier)
        assert page.locator(":is(#panel, #toast) :is(img, script, iframe, object, embed)").count() == 0
        assert page.locator(f"#panel article[data-alert='{identifier}']").count() == 1
    for identifier in ids[::7]:
        page.goto(f"/alerts/{identifier}?tab=raw")
        page.wait_for_selector(".raw")


def test_nothing_that_people_wrote_ever_runs(page: Page, site: Site) -> None:
    people, tables = People(site.store), Tables(site.bus)
    people.change("lin", lambda lin: replace(lin, roles=frozenset({Role.ADMIN, Role.ANALYST})))
    ends = rfc3339(datetime.now(UTC) + timedelta(days=1))
    for number, payload in enumerate(PAYLOADS):
        short = payload[:400]
        audit.record(site.store, short, short, user=short, address=short, alert=short, tenant=short, why={"x": short})
        people.add(replace(people.get("zhou"), name=f"person-{number}", display=payload[:100]))
        row = {"by": short, "reason": short, "expires": ends, "where": {short: short}, "rule": short}
        tables.put("suppressions", "zhongxin", f"row-{number}", row)
    tables.put("tenants", "", "renai", {**TENANTS["renai"], "name": dict.fromkeys(("en", "zh"), PAYLOADS[0])})
    tables.catch_up()
    tables.close()
    sign_in(page)
    for path in ("/suppressions", "/people", "/people/person-0", "/audit", "/account", "/", "/cases"):
        page.goto(path)
        page.wait_for_selector("main")
        assert (
            page.evaluate("document.querySelectorAll('main :is(img, script, iframe, object, embed, base)').length") == 0
        )


def test_hostile_text_in_a_case_and_its_printed_page_never_runs(page: Page, site: Site, tmp_path: Path) -> None:
    sign_in(page)
    for payload in PAYLOADS:
        case = opened(site, payload[:200])
        page.goto(f"/cases/{case.id}")
        expect(page.locator("#files .hash")).to_be_visible()
        assert page.locator("#case :is(img, script, iframe, object, embed)").count() == 0
        printed = tmp_path / f"{case.id}.html"
        printed.write_bytes(page.request.get(f"/cases/{case.id}/export/html").body())
        page.goto(printed.as_uri())
        assert page.locator(":is(img, script, iframe, object, embed)").count() == 0
    page.goto("/cases")
    assert page.locator("main :is(img, script)").count() == 0
