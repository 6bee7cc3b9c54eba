from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from dashboards.auth.people import People
from dashboards.i18n import word
from dashboards.workflow import close, read, state_of
from tests.browser.conftest import preferring, sign_in
from tests.dashboards.site import VIP
from wardwatch.alert import Verdict
from wardwatch.store import AlertQuery, Scope

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.conftest import Site

pytestmark = pytest.mark.browser

DRAWN = """() => Object.fromEntries([...document.querySelectorAll("[data-chart]")].map((place) => [
  place.ariaLabel, window.echarts.getInstanceByDom(place).getOption().series.map(({ name, data }) => [name, data])]))"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_charts_draw_what_the_store_counts_within_the_pages_policy(browser: Browser, site: Site, theme: str) -> None:
    lin = Scope("lin")
    person = People(site.store).get("lin")
    doc = read(site.store, person, VIP.id).doc
    close(site.store, person, VIP.id, state_of(doc), Verdict.TRUE_POSITIVE, "seen")
    page = preferring(browser, site.url, "zh", theme, width=1440)
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    sign_in(page)
    page.goto("/figures?days=7")
    expect(page.locator(".chart canvas")).to_have_count(3)
    drawn = page.evaluate(DRAWN)
    raised = {name: sum(values) for name, values in drawn[word("zh", "figures.chart_raised")]}
    counted = site.store.alerts.count(lin, AlertQuery(), "severity")
    assert {name: n for name, n in raised.items() if n} == {
        word("zh", f"severity.{severity}"): n for severity, n in counted.items()
    }
    verdicts = {name: sum(values) for name, values in drawn[word("zh", "figures.chart_verdicts")]}
    assert {name: n for name, n in verdicts.items() if n} == {word("zh", "verdict.true_positive"): 1}
    page.locator(".chart").first.hover()
    page.set_viewport_size({"width": 1000, "height": 800})
    expect(page.locator(".chart").first).to_be_visible()
    assert told == []
    page.context.close()
