from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dashboards import audit
from dashboards.auth.people import People, Role
from tests.browser.conftest import preferring, sign_in
from tests.browser.day import fill
from tests.dashboards.site import VIP

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.conftest import Site

pytestmark = pytest.mark.browser

OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(e => e.checkVisibility()).filter(e => {
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  const spills = e.clientWidth && !e.matches('details.menu') && style.textOverflow !== 'ellipsis'
    && style.overflowX === 'visible' && style.display !== 'inline' && e.scrollWidth > e.clientWidth + 1;
  return spills || (box.width && (box.right > innerWidth + 1 || box.left < -1));
}).map(e => `${e.tagName}.${e.getAttribute('class')}: ${(e.textContent || '').trim().slice(0, 40)}`)"""


def spilling(page: Page, path: str) -> list[str]:
    page.goto(path)
    page.wait_for_selector(".tabs")
    found = page.evaluate(OVERFLOWING)
    page.keyboard.press("c")
    page.wait_for_selector("#closing form")
    return [f"{path}: {item}" for item in found + page.evaluate(OVERFLOWING)]


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_nothing_spills_out_of_its_place(browser: Browser, site: Site, width: int, lang: str) -> None:
    fill(site.store)
    page = preferring(browser, site.url, lang, "dark", width=width)
    sign_in(page)
    paths = ["/", f"/alerts/{VIP.id}", f"/alerts/{VIP.id}?tab=related"]
    found = [item for path in paths for item in spilling(page, path)]
    page.context.close()
    assert not found, "\n".join(found)


PEOPLE_PAGES = ["/account", "/account/second-factor", "/people", "/people/+new", "/people/zhou", "/audit"]
REPORTS = ["/reports", f"/reports/{VIP.tenant}/{datetime.now(UTC):%Y-%m}"]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_pages_beside_the_queue_spill_nothing_and_each_of_their_controls_is_reached_by_tab(
    browser: Browser, site: Site, lang: str
) -> None:
    long = "a-name-without-any-place-to-break-that-is-as-long-as-one-may-be@"
    people = People(site.store)
    people.change("lin", lambda lin: replace(lin, roles=frozenset({Role.ADMIN}), display="W" * 100))
    people.add(replace(people.get("zhou"), name=long[:64], display="長" * 100))
    audit.record(site.store, long, long, user=long, address=long, why="x" * 400)
    page = preferring(browser, site.url, lang, "dark", width=1280)
    sign_in(page)
    for path in PEOPLE_PAGES + REPORTS:
        page.goto(path)
        assert page.evaluate(OVERFLOWING) == [], path
        assert unreached(page) == [], path
    page.context.close()


def unreached(page: Page) -> list[str]:
    """Return the visible controls of the page that Tab never comes to."""
    page.evaluate(MARK)
    for _ in range(page.evaluate("document.querySelectorAll('[data-to-reach]').length") + 40):
        page.keyboard.press("Tab")
        page.evaluate("document.activeElement?.removeAttribute('data-to-reach')")
    return [
        str(item) for item in page.evaluate("[...document.querySelectorAll('[data-to-reach]')].map(e => e.outerHTML)")
    ]


MARK = """() => { document.activeElement?.blur();
  document.querySelectorAll('main :is(a, button, input, select, summary)').forEach(
    e => { if (e.checkVisibility() && e.type !== 'hidden' && !e.disabled) e.dataset.toReach = ''; }) }"""
