from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
