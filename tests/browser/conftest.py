from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import pytest
from playwright.sync_api import sync_playwright

from dashboards.app import run
from tests.dashboards.site import PASSWORD, TENANTS, Story, seed, write
from wardwatch import topics
from wardwatch.bus import Bus, open_bus
from wardwatch.settings import ConsoleSettings, Settings
from wardwatch.stage import Runtime
from wardwatch.store import Store, open_store
from wardwatch.tables import Tables
from wardwatch.testing.browser import ARGUMENTS, executable
from wardwatch.testing.ports import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Page


@pytest.fixture(scope="package")  # its event loop would be in the way of asyncio in later tests
def browser() -> Iterator[Browser]:
    path = executable()
    if path is None:
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse("no Chromium: run python -m wardwatch.testing.browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Site:
    """A running console stage on the embedded store and bus."""

    url: str
    store: Store
    bus: Bus

    def raise_alert(self, story: Story) -> None:
        """Write an alert and announce it, as the alerter does."""
        write(self.store, story)
        producer = self.bus.producer()
        record = {"id": story.id, "tenant": story.tenant, "kind": "created"}
        producer.send(topics.ALERTS.name, orjson.dumps(record), key=story.id)
        producer.flush()
        producer.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    listen = f"127.0.0.1:{free_port()}"
    settings = Settings(data_dir=tmp_path, console=ConsoleSettings(listen=listen, secure_cookies=False))
    store, bus = open_store(settings.store_url), open_bus(settings.bus_url)
    bus.ensure_topics(topics.shared())
    tables = Tables(bus)
    tables.put_rows("tenants", "", TENANTS)
    seed(store)
    runtime = Runtime("console")
    stage = threading.Thread(target=run, args=(settings, runtime))
    stage.start()
    wait_until(lambda: _ready(runtime), what="console")
    yield Site(f"http://{listen}", store, bus)
    runtime.stopping.set()
    stage.join()
    tables.close()
    store.close()
    bus.close()


def _ready(runtime: Runtime) -> bool:
    health = runtime.health()
    return bool(health["ok"]) and {"store", "bus", "listener"} <= set(health["parts"])


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page whose console errors, policy violations and dialogs fail the test."""
    problems: list[str] = []

    def refuse(dialog: Dialog) -> None:
        problems.append(f"dialog {dialog.message}")
        dialog.dismiss()

    context = browser.new_context(base_url=site.url, locale="zh-CN", viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", refuse)
    yield page
    context.close()
    assert problems == []


def preferring(browser: Browser, url: str, lang: str, theme: str, *, width: int) -> Page:
    """Return a page of a browser that has chosen language, colours and width before."""
    context = browser.new_context(base_url=url, viewport={"width": width, "height": 900})
    chosen = {"wardwatch_lang": lang, "wardwatch_theme": theme}
    context.add_cookies([{"name": name, "value": value, "url": url} for name, value in chosen.items()])
    return context.new_page()


def sign_in(page: Page, name: str = "lin", password: str = PASSWORD) -> None:
    """Fill in the sign-in form."""
    page.goto("/")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", password)
    page.click("button.primary")
    page.wait_for_selector(".app")
