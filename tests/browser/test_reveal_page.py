"""The hospital's page for reveals in a real browser, over HTTPS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.test_layout import OVERFLOWING
from tests.ingest.reveal_site import CHEN, LI, REASON, RevealSite, reveal_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RevealSite]:
    with reveal_site(tmp_path_factory.mktemp("hospital")) as started:
        yield started


@pytest.mark.parametrize(
    ("lang", "title", "button"), [("zh-CN", "令牌还原", "还原"), ("en-GB", "Reveal tokens", "Reveal")]
)
def test_two_people_reveal_a_protected_patient_and_the_page_runs_and_keeps_nothing(
    browser: Browser, hospital: RevealSite, lang: str, title: str, button: str
) -> None:
    problems: list[str] = []
    context = browser.new_context(
        base_url=hospital.url, locale=lang, ignore_https_errors=True, viewport={"width": 1000, "height": 800}
    )
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto("/")
    assert page.text_content("h1") == title
    fill(page, f"{hospital.vip} {hospital.hostile}")
    page.click(f"button:text-is('{button}')")
    page.wait_for_selector("[role=alert]")
    assert page.input_value("[name=tokens]") == f"{hospital.vip} {hospital.hostile}"
    assert page.input_value("[name=password]") == ""
    assert page.evaluate(OVERFLOWING) == []
    page.fill("[name=password]", LI[1])
    page.fill("[name=second]", CHEN[0])
    page.fill("[name=second_password]", CHEN[1])
    page.click("button")
    page.wait_for_selector("table")
    assert page.text_content("tr:nth-child(1) .value") == "MR2"
    assert "<script>" in (page.text_content("tr:nth-child(2) .value") or "")
    assert page.evaluate(OVERFLOWING) == []
    assert hospital.records()[-1]["reveal.second_person"] == "chen"
    assert context.cookies() == []
    page.click(".button")
    assert page.input_value("[name=case]") == ""
    context.close()
    assert [problem for problem in problems if "403" not in problem] == []


def fill(page: Page, tokens: str) -> None:
    page.fill("[name=tokens]", tokens)
    page.fill("[name=case]", "INC-1")
    page.fill("[name=reason]", REASON)
    page.fill("[name=account]", LI[0])
    page.fill("[name=password]", LI[1])
