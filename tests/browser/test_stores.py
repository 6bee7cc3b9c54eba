"""A shift in a browser over each pair of adapters, in both languages, and what each of the six roles sees and may do.

Every test has a hospital of its own, so that shared servers need no cleaning.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

import orjson
import pytest
from playwright.sync_api import expect

from dashboards.app import run
from dashboards.auth.people import People, Person, Right, Role, new_person
from dashboards.i18n import word
from tests.browser.conftest import preferring, sign_in
from tests.dashboards.site import PASSWORD, STORIES, TENANTS, Story, write
from tests.wardwatch.store.samples import settle
from wardwatch import topics
from wardwatch.bus import Bus, open_bus
from wardwatch.settings import ConsoleSettings, Settings
from wardwatch.stage import Runtime
from wardwatch.store import Scope, Store, open_store
from wardwatch.tables import Tables
from wardwatch.testing.ports import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

OWN_PAGES = ("/cases", "/suppressions", "/tuning", "/figures", "/reports", "/account")
REAL = pytest.param("real", marks=[pytest.mark.elasticsearch, pytest.mark.kafka])


@dataclass
class Hospital:
    """One hospital of a running console stage, its alerts, and an account of each role."""

    url: str
    tenant: str
    store: Store
    bus: Bus
    stories: list[Story]

    def account(self, role: Role) -> str:
        """Return the name of the account."""
        return f"{role}-{self.tenant}"

    def workflow(self, story: Story, name: str) -> object:
        """Return a field of an alert's workflow."""
        return self.store.alerts.get(Scope("test"), [story.id])[story.id].doc["wardwatch"]["alert"].get(name)

    def raise_alert(self, story: Story) -> None:
        """Write an alert and announce it, as the alerter does."""
        write(self.store, story)
        settle(self.store)
        producer = self.bus.producer()
        news = {"id": story.id, "tenant": story.tenant, "kind": "created"}
        producer.send(topics.ALERTS.name, orjson.dumps(news), key=story.id)
        producer.flush()
        producer.close()


@pytest.fixture(params=["embedded", REAL])
def hospital(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hospital]:
    real = request.param == "real"
    listen = f"127.0.0.1:{free_port()}"
    settings = Settings(
        data_dir=tmp_path,
        store=request.getfixturevalue("elasticsearch") if real else "",
        bus=request.getfixturevalue("kafka") if real else "",
        console=ConsoleSettings(listen=listen, secure_cookies=False),
    )
    store, bus = open_store(settings.store_url), open_bus(settings.bus_url)
    store.setup()
    bus.ensure_topics(topics.shared())
    tenant, tables = f"t{uuid4().hex[:12]}", Tables(bus)
    tables.put("tenants", "", tenant, TENANTS["zhongxin"])
    tables.close()
    found = Hospital(f"http://{listen}", tenant, store, bus, [replace(story, tenant=tenant) for story in STORIES])
    for role in Role:
        People(store).add(new_person(found.account(role), PASSWORD, role, [tenant]))
    write(store, *found.stories)
    settle(store)
    runtime = Runtime("console")
    stage = threading.Thread(target=run, args=(settings, runtime))
    stage.start()
    wait_until(lambda: {"store", "bus", "listener"} <= {*runtime.health()["parts"]}, what="console")
    yield found
    runtime.stopping.set()
    stage.join()
    store.close()
    bus.close()


@pytest.fixture(params=["en", "zh"])
def lang(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_shift_takes_closes_undoes_and_escalates_while_alerts_arrive(
    browser: Browser, hospital: Hospital, lang: str
) -> None:
    page = preferring(browser, hospital.url, lang, "light", width=1440)
    sign_in(page, hospital.account(Role.ANALYST))
    vip, second = hospital.stories[:2]
    expect(page.locator("#panel h1")).to_have_text(vip.title[lang])
    page.keyboard.press("a")
    expect(page.locator(f"#row-{vip.id} .state")).to_have_text(word(lang, "status.acknowledged"))
    page.keyboard.press("c")
    page.keyboard.press("b")
    expect(page.locator("#toast")).to_contain_text(word(lang, "action.done_close", title=vip.title[lang]))
    assert (hospital.workflow(vip, "status"), hospital.workflow(vip, "verdict")) == ("closed", "benign_positive")
    page.keyboard.press("z")
    expect(page.locator(f"#row-{vip.id} .state")).to_have_text(word(lang, "status.acknowledged"))
    assert hospital.workflow(vip, "verdict") is None

    page.keyboard.press("j")
    expect(page.locator("#panel h1")).to_have_text(second.title[lang])
    page.keyboard.press("e")
    page.keyboard.press("n")
    expect(page.locator(f"#row-{second.id} .state")).to_have_text(word(lang, "status.escalated"))
    page.click("#toast a")
    expect(page.locator("#case h1")).to_have_text(second.title[lang])
    page.goto("/")
    expect(page.locator("body")).to_have_attribute("data-live", "on")
    fresh = replace(second, group="fresh", minutes_ago=0, priority=99)
    hospital.raise_alert(fresh)
    expect(page.locator("#pill")).to_have_text(word(lang, "queue.new", n=1))
    page.click("#pill")
    expect(page.locator("#list tbody tr").first).to_have_attribute("data-alert", fresh.id)
    page.fill("#search", vip.title[lang])
    page.press("#search", "Enter")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    page.context.close()


@pytest.mark.parametrize("role", Role)
def test_a_role_is_offered_what_it_may_do_and_nothing_else(browser: Browser, hospital: Hospital, role: Role) -> None:
    page = preferring(browser, hospital.url, "zh", "dark", width=1440)
    sign_in(page, hospital.account(role))
    may = Person("x", "x", "", frozenset({role}), None).may
    expect(page.locator("#list tbody tr")).to_have_count(len(hospital.stories))
    offered = {
        "#panel [data-key=a]": Right.WORK,
        "#closing": Right.WORK,
        "#escalating": Right.WORK,
        "#bulk": Right.WORK,
        "a[href='/people']": Right.PEOPLE,
        "a[href='/audit']": Right.AUDIT,
    }
    assert {selector: page.locator(selector).count() > 0 for selector in offered} == {
        selector: may(right) for selector, right in offered.items()
    }
    for path, right in (("/people", Right.PEOPLE), ("/audit", Right.AUDIT)):
        assert _status(page, path) == (200 if may(right) else 403)
    assert [_status(page, path) for path in OWN_PAGES] == [200] * len(OWN_PAGES)
    page.context.close()


def _status(page: Page, path: str) -> int:
    answer = page.goto(path)
    return answer.status if answer else 0
