from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from dashboards.auth.people import People
from dashboards.cases import case as cases
from dashboards.cases import evidence, requests, work
from dashboards.cases.case import Case, RequestKind
from dashboards.cases.work import AlertRef, Facts
from dashboards.workflow import read, state_of
from tests.browser.conftest import preferring, sign_in
from tests.browser.test_layout import OVERFLOWING
from tests.dashboards.site import STORIES, VIP
from wardwatch.alert import Severity, severity_of
from wardwatch.service_levels import DEFAULT, Clock
from wardwatch.store import Scope

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.conftest import Site
    from wardwatch.alert import AlertDocument

pytestmark = pytest.mark.browser


def workflow(site: Site, alert: str, name: str) -> object:
    return site.store.alerts.get(Scope("test"), [alert])[alert].doc["wardwatch"]["alert"].get(name)


def only_case(site: Site) -> Case:
    [case] = cases.listed(site.store, People(site.store).get("lin"), "open").cases
    return case


def clock(doc: AlertDocument) -> Clock:
    return Clock(DEFAULT, severity_of(doc), ZoneInfo("Asia/Shanghai"))


def test_an_alert_becomes_a_case_the_hospital_answers_and_it_is_closed_and_exported(
    page: Page, browser: Browser, site: Site, tmp_path: Path
) -> None:
    sign_in(page)
    page.keyboard.press("e")
    page.keyboard.press("n")
    expect(page.locator("#toast")).to_contain_text("已升级为案件")
    expect(page.locator(f"#row-{VIP.id} .state")).to_have_text("已升级")
    assert workflow(site, VIP.id, "case_id") == only_case(site).id
    page.keyboard.press("j")
    expect(page.locator("#panel h1")).to_have_text(STORIES[1].title["zh"])
    page.keyboard.press("e")
    page.keyboard.press("l")
    expect(page.locator(f"#row-{STORIES[1].id} .state")).to_have_text("已升级")
    assert workflow(site, STORIES[1].id, "case_id") == only_case(site).id

    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/cases")
    page.click(f"text={VIP.title['zh']}")
    expect(page.locator("#case h1")).to_have_text(VIP.title["zh"])
    page.keyboard.press("r")
    page.fill("#asking textarea", "st_9f2a 是谁？")
    page.click("#asking button.primary")
    expect(page.locator("#status")).to_have_text("等待医院答复")
    assert page.url.endswith(only_case(site).id)
    assert workflow(site, VIP.id, "paused_at")

    viewer = browser.new_context(base_url=site.url, locale="zh-CN").new_page()
    sign_in(viewer, "zhou")
    viewer.goto(f"/cases/{only_case(site).id}")
    assert viewer.locator("#editing, #closing").count() == 0
    viewer.fill("#requests textarea[name=text] >> nth=0", "药房进修人员")
    viewer.click("#requests button.primary >> nth=0")
    expect(viewer.locator("#status")).to_have_text("处理中")
    expect(viewer.locator("#requests")).to_contain_text("zhou（医院）")
    viewer.context.close()
    assert not workflow(site, VIP.id, "paused_at")

    page.reload()
    expect(page.locator("#timeline")).to_contain_text("药房进修人员")
    page.keyboard.press("c")
    page.select_option("#closing select[name=verdict]", "true_positive")
    page.fill("#closing input[name=note]", "无诊疗关系")
    page.click("#closing button.primary")
    expect(page.locator("#status")).to_have_text("已结案")
    assert [workflow(site, story.id, "status") for story in (VIP, STORIES[1])] == ["closed", "closed"]
    with page.expect_download() as download:
        page.click("text=导出 HTML")
    printed = tmp_path / "case.html"
    download.value.save_as(printed)
    page.goto(printed.as_uri())
    expect(page.locator("body")).to_contain_text("无诊疗关系")
    expect(page.locator("body")).to_contain_text("药房进修人员")


def test_chosen_alerts_of_the_queue_become_one_case(page: Page, site: Site) -> None:
    sign_in(page)
    for story in (VIP, STORIES[1]):
        page.check(f"#row-{story.id} [data-choose-row]")
    page.click("#bulk summary:has-text('升级')")
    page.click("#bulk button[value=new]")
    page.wait_for_url("**/cases/*")
    assert [workflow(site, story.id, "case_id") for story in (VIP, STORIES[1])] == [only_case(site).id] * 2


def test_a_conflict_keeps_what_was_typed_and_a_file_is_uploaded_without_leaving_the_page(
    browser: Browser, site: Site, tmp_path: Path
) -> None:
    case = opened(site)
    page = preferring(browser, site.url, "en", "dark", width=1440)
    sign_in(page)
    page.goto(f"/cases/{case.id}")
    page.keyboard.press("e")
    page.keyboard.press("Control+A")
    page.keyboard.type("Slower")
    work.edit(site.store, People(site.store).get("lin"), case.id, case.state, Facts("Faster", Severity.HIGH), [])
    page.click("#editing button.primary")
    expect(page.locator("#case-problem")).to_contain_text("lin changed it")
    assert page.input_value("#editing input[name=title]") == "Slower"

    found = tmp_path / "report.txt"
    found.write_text("seen")
    page.reload()
    page.set_input_files("#files input[type=file]", found)
    page.click("#files button")
    expect(page.locator("#files .hash")).to_contain_text("SHA-256")
    expect(page.locator("#case h1")).to_have_text("Faster")
    page.context.close()


def opened(site: Site, words: str = "") -> Case:
    """Return a case, with the words in every field where there are any."""
    store, lin = site.store, People(site.store).get("lin")
    ref = AlertRef(VIP.id, state_of(read(store, lin, VIP.id).doc))
    case = work.escalate(store, lin, [ref], clock, "zh", title=words).case
    if not words:
        return case
    facts = Facts(words, case.severity, "", words, words, words)
    work.edit(store, lin, case.id, case.state, facts, [])
    work.note(store, lin, case.id, words)
    work.add_task(store, lin, case.id, words, "en", [])
    requests.ask(store, lin, case.id, RequestKind.QUESTION, words, clock)
    return evidence.add(store, lin, case.id, f"{words.replace('/', ' ')}.txt", b"seen")


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_nothing_of_a_case_spills_out_of_its_place(browser: Browser, site: Site, width: int, lang: str) -> None:
    words = (
        "Ask the discipline office for the approval and keep the audit trail 向医院纪检部门核实有无审批并保全审计记录"
    )
    case = opened(site, words)
    page = preferring(browser, site.url, lang, "light", width=width)
    sign_in(page)
    found: list[Any] = []
    for path in ("/cases", f"/cases/{case.id}"):
        page.goto(path)
        page.wait_for_selector("h1, table")
        found += page.evaluate(OVERFLOWING)
        for fold in page.locator("details.fold > summary").all():
            fold.click()
        found += page.evaluate(OVERFLOWING)
    page.context.close()
    assert not found, "\n".join(found)


def test_every_control_of_a_case_is_reached_by_tab_with_a_visible_focus(browser: Browser, site: Site) -> None:
    case = opened(site, "Call the ward")
    page = preferring(browser, site.url, "en", "light", width=1440)
    sign_in(page)
    page.goto(f"/cases/{case.id}")
    wanted = page.locator(
        "#case :is(a[href], button, summary, input:not([type=hidden]), textarea, select):visible"
    ).count()
    reached = 0
    for _ in range(wanted + 60):
        page.keyboard.press("Tab")
        inside, outline = page.evaluate(
            "() => [!!document.activeElement.closest('#case'), getComputedStyle(document.activeElement).outlineStyle]"
        )
        if inside:
            reached += 1
            assert outline != "none"
        elif reached:
            break
    page.context.close()
    assert reached >= wanted
