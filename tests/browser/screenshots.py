"""Pictures of the console's pages at three widths, two languages and both colours.

``python -m tests.browser.screenshots FOLDER`` writes them and names every element whose text overflows.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.dashboards.site import PASSWORD, VIP, console_over, seed, serving
from wardwatch.store import open_store
from wardwatch.testing.browser import ARGUMENTS, ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

WIDTHS = (1280, 1440, 1920)
PAGES = {"queue": "/", "alert": f"/alerts/{VIP.id}"}

OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(e => {
  const style = getComputedStyle(e);
  return e.clientWidth && !e.matches('details.menu') && style.textOverflow !== 'ellipsis'
    && style.overflowX === 'visible' && style.display !== 'inline' && e.scrollWidth > e.clientWidth + 1;
}).map(e => `${e.tagName}.${e.className}: ${(e.textContent || '').trim().slice(0, 40)}`)"""


def shoot(browser: Browser, url: str, folder: Path) -> list[str]:
    """Write every picture and return what overflows where."""
    found = []
    for width, lang, theme in product(WIDTHS, ("zh", "en"), ("light", "dark")):
        context = browser.new_context(base_url=url, viewport={"width": width, "height": 900})
        context.add_cookies(
            [
                {"name": "wardwatch_lang", "value": lang, "url": url},
                {"name": "wardwatch_theme", "value": theme, "url": url},
            ]
        )
        page = context.new_page()
        for name, path in _visit(page):
            page.screenshot(path=folder / f"{name}-{width}-{lang}-{theme}.png")
            found += [f"{path} {width} {lang}: {item}" for item in page.evaluate(OVERFLOWING)]
        context.close()
    return found


def _visit(page: Page) -> Iterator[tuple[str, str]]:
    page.goto("/login")
    yield "login", "/login"
    page.fill("input[name=name]", "lin")
    page.fill("input[name=password]", PASSWORD)
    page.click("button.primary")
    for name, path in PAGES.items():
        page.goto(path)
        page.wait_for_selector(".tabs")
        yield name, path
    page.click("#closing summary")
    yield "closing", f"{PAGES['alert']} closing"


def main(folder: Path) -> int:
    """Serve a seeded console, write the pictures and return 1 when something overflows."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        store = open_store(f"sqlite:///{place}/store.sqlite")
        seed(store)
        browser = playwright.chromium.launch(executable_path=ensure(), args=ARGUMENTS)
        with serving(console_over(store)) as url:
            found = shoot(browser, url, folder)
        browser.close()
        store.close()
    print("\n".join(found) or f"nothing overflows; pictures are in {folder}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
