"""Pictures for the documents: ``python -m tests.browser.screenshots docs/images`` writes each page in en and zh."""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.browser.conftest import preferring, sign_in
from tests.browser.day import fill, fill_week, open_case, run_service
from tests.dashboards.site import VIP, console_over, seed, serving
from wardwatch.store import open_store
from wardwatch.testing.browser import ARGUMENTS, ensure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import Browser

THEMES = {"en": "dark", "zh": "light"}
PAGES = {"queue": "/", "alert": f"/alerts/{VIP.id}", "tuning": "/tuning", "figures": "/figures?days=7"}
CHIEF = "chief"
KEPT = {"service": "/service/routes?key=urgent&of=", "people": "/people", "audit": "/audit"}
"""Pages of an administrator."""
READY = {"queue": ".tabs", "alert": ".tabs", "figures": ".chart canvas"}
LIMIT_BYTES = 300_000


def shoot(browser: Browser, url: str, folder: Path, person: str, pages: Mapping[str, str]) -> None:
    """Write every picture; raises ValueError when one is too large to be kept in the repository."""
    for lang, theme in THEMES.items():
        page = preferring(browser, url, lang, theme, width=1440)
        sign_in(page, person)
        for name, path in pages.items():
            page.goto(path)
            page.wait_for_selector(READY.get(name, "main"))
            picture = page.screenshot(path=folder / f"{name}-{lang}.png")
            if len(picture) > LIMIT_BYTES:
                raise ValueError(f"{name}-{lang}.png has {len(picture)} bytes, more than {LIMIT_BYTES}")
        page.context.close()


def main(folder: Path) -> None:
    """Serve a console over the day and write the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        store = open_store(f"sqlite:///{place}/store.sqlite")
        seed(store)
        fill(store)
        browser = playwright.chromium.launch(executable_path=ensure(), args=ARGUMENTS)
        fill_week(store)
        console = console_over(store)
        case = open_case(console)
        run_service(console, CHIEF)
        with serving(console) as url:
            report = f"/reports/zhongxin/{datetime.now(UTC):%Y-%m}"
            shoot(browser, url, folder, "lin", PAGES | {"case": f"/cases/{case}", "report": report})
            shoot(browser, url, folder, CHIEF, KEPT)
        browser.close()
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
