from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import sign_in
from tests.dashboards.site import VIP, write
from tests.dashboards.test_pages import HOSTILE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Site

pytestmark = pytest.mark.browser


def test_hostile_log_text_never_runs(page: Page, site: Site) -> None:
    """The page fixture fails the test on a dialog, a console error or a policy violation."""
    stories = []
    for number, payload in enumerate(HOSTILE):
        words = {"en": payload, "zh": payload}
        entities = {"host": {"name": payload}, "user": {"id": payload}, "source": {"ip": payload}}
        stories.append(replace(VIP, title=words, sentence=words, entities=entities, group=f"hostile {number}"))
    write(site.store, *stories)
    sign_in(page)
    for story in stories:
        page.click(f"#row-{story.id} a")
        expect(page.locator(f"#panel article[data-alert='{story.id}']")).to_be_visible()
        for tab in ("相关", "规则", "历史", "原始"):
            page.click(f".tabs a:has-text('{tab}')")
            expect(page.locator(".tabs [aria-current]")).to_have_text(tab)
    assert page.locator("#panel img, #panel script").count() == 0
