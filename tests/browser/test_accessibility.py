"""WCAG 2.2 A and AA as axe-core checks them, over every page and what opens on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from dashboards.auth.people import People, Role
from tests.browser.conftest import preferring, sign_in
from tests.browser.day import fill, fill_week
from tests.browser.test_cases import opened
from tests.dashboards.site import VIP

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.conftest import Site

pytestmark = pytest.mark.browser

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OPTIONS = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}
PAGES = [
    *("/", f"/alerts/{VIP.id}", f"/alerts/{VIP.id}?tab=related", f"/alerts/{VIP.id}?tab=rule"),
    *(f"/alerts/{VIP.id}?tab=history", f"/alerts/{VIP.id}?tab=raw", "/?status=any&q=nothing", "/alerts/none"),
    *(
        "/cases",
        "/suppressions",
        "/tuning",
        "/figures",
        "/reviews",
        "/reports",
        f"/reports/zhongxin/{datetime.now(UTC):%Y-%m}",
        "/service/service_levels",
        "/service/channels",
        "/service/channels?kind=dingtalk",
        "/service/routes",
        "/service/escalations",
        "/service/on_call",
        "/service/deliveries",
        "/account",
        "/account/second-factor",
        "/people",
        "/people/+new",
        "/people/zhou",
        "/audit",
    ),
]


def _wait(page: Page, key: str, selector: str) -> None:
    page.keyboard.press(key)
    page.wait_for_selector(selector)


def _take(page: Page) -> None:
    page.goto("/?tenant=renai&assignee=-")
    _wait(page, "a", "#toast .toast")


OPENED: dict[str, Callable[[Page], None]] = {
    "closing": lambda page: page.keyboard.press("c"),
    "suppressing": lambda page: _wait(page, "x", "#suppressing form"),
    "assigning": lambda page: page.keyboard.press("s"),
    "escalating": lambda page: page.keyboard.press("e"),
    "choosing": lambda page: page.keyboard.press("X"),
    "help": lambda page: page.keyboard.press("?"),
    "hospitals": lambda page: page.click(".tenants summary"),
    "views": lambda page: page.click("#viewing summary"),
    "avatar": lambda page: page.click(".avatar"),
    "done": _take,
}


def violations(page: Page, where: str) -> list[str]:
    found = Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{where}: {each['id']} ({each['impact']}): {node['html'][:120]} {node['failureSummary'][-160:]}"
        for each in found
        for node in each["nodes"][:3]
    ]


@pytest.mark.parametrize(("lang", "theme"), [("en", "light"), ("zh", "dark")])
def test_no_page_and_nothing_that_opens_breaks_wcag(browser: Browser, site: Site, lang: str, theme: str) -> None:
    fill(site.store)
    fill_week(site.store)
    people = People(site.store)
    people.change("lin", lambda lin: replace(lin, roles=frozenset({Role.ADMIN, Role.ANALYST})))
    case = opened(site, "A case with everything").id
    page = preferring(browser, site.url, lang, theme, width=1440)
    page.goto("/login")
    found = violations(page, "/login")
    sign_in(page)
    for path in [*PAGES, f"/cases/{case}"]:
        page.goto(path)
        found += violations(page, path)
    for name, open_it in OPENED.items():
        page.goto("/")
        page.wait_for_selector(".tabs")
        open_it(page)
        found += violations(page, name)
    page.context.close()
    assert not found, "\n".join(found)
