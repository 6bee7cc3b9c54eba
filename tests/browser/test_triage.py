from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from dashboards.auth.people import People, Role, new_person
from dashboards.workflow import close, state_of
from tests.browser.conftest import preferring, sign_in
from tests.dashboards.site import PASSWORD, STORIES, VIP, write
from wardwatch.alert import Verdict
from wardwatch.store import Scope

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

    from tests.browser.conftest import Site

pytestmark = pytest.mark.browser


def workflow(site: Site, name: str) -> object:
    return site.store.alerts.get(Scope("test"), [VIP.id])[VIP.id].doc["wardwatch"]["alert"].get(name)


def test_an_analyst_closes_the_vip_alert_in_chinese_undoes_it_and_sees_a_new_one_arrive(page: Page, site: Site) -> None:
    sign_in(page)
    panel = page.locator("#panel")
    expect(panel.locator("h1")).to_have_text(VIP.title["zh"])
    expect(panel.locator(".why")).to_have_text(VIP.sentence["zh"])
    expect(panel.locator(".event mark").first).to_be_visible()

    page.keyboard.press("c")
    page.keyboard.press("b")
    expect(page.locator("#toast")).to_contain_text("已关闭")
    expect(page.locator(f"#row-{VIP.id} .state")).to_have_text("已关闭")
    assert (workflow(site, "status"), workflow(site, "verdict")) == ("closed", "benign_positive")
    assert workflow(site, "assignee") == "lin"

    page.keyboard.press("z")
    expect(page.locator("#toast")).to_contain_text("已撤销")
    expect(page.locator(f"#row-{VIP.id} .state")).to_have_text("新")
    assert (workflow(site, "status"), workflow(site, "verdict"), workflow(site, "assignee")) == ("new", None, None)

    expect(page.locator("body")).to_have_attribute("data-live", "on")
    fresh = replace(STORIES[1], group="fresh", minutes_ago=0, priority=99)
    site.raise_alert(fresh)
    expect(page.locator("#pill")).to_have_text("1 条新告警")
    assert page.locator(f"#row-{fresh.id}").count() == 0
    page.click("#pill")
    expect(page.locator("#list tbody tr").first).to_have_attribute("data-alert", fresh.id)


def test_keys_lead_to_raw_text_values_and_hospitals(page: Page, site: Site) -> None:
    sign_in(page)
    expect(page.locator(".tabs")).to_be_visible()
    page.keyboard.press("r")
    expect(page.locator(".tabs [aria-current]")).to_have_text("原始")
    page.keyboard.press("h")
    page.keyboard.press("h")
    second = page.locator("#panel a.chip").nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".filtered b").first).to_have_text("st_9f2a")
    page.keyboard.press(".")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**tenant=*")


def test_what_another_analyst_does_shows_where_the_alert_stands(page: Page, site: Site, browser: Browser) -> None:
    People(site.store).add(new_person("shen", PASSWORD, Role.ANALYST, []))
    sign_in(page)
    expect(page.locator("body")).to_have_attribute("data-live", "on")
    expect(page.locator("#panel .tabs")).to_be_visible()
    with browser.new_context(base_url=site.url, locale="zh-CN") as context:
        other = context.new_page()
        sign_in(other, "shen")
        expect(other.locator(".look .also")).to_have_text("林 也在查看")
        other.keyboard.press("a")
        expect(other.locator(f"#row-{VIP.id} .state")).to_have_text("已接手")
        expect(page.locator(f"#row-{VIP.id} .state")).to_have_text("已接手")
        expect(page.locator(".look .changed")).to_contain_text("负责人 shen")
        expect(page.locator(".look .also")).to_contain_text("shen")
    page.click("[data-reload-alert]")
    expect(page.locator(".look .changed")).to_have_count(0)
    expect(page.locator("#panel .clock small").first).to_be_visible()


def test_the_menu_that_closes_says_what_others_found_in_the_rule(page: Page, site: Site) -> None:
    write(site.store, *(replace(VIP, group=f"earlier-{number}") for number in range(3)))
    li = People(site.store).get("lin")
    for number, verdict in enumerate((Verdict.BENIGN_POSITIVE, Verdict.BENIGN_POSITIVE, Verdict.DUPLICATE)):
        earlier = replace(VIP, group=f"earlier-{number}").id
        state = state_of(site.store.alerts.get(Scope("test"), [earlier])[earlier].doc)
        close(site.store, li, earlier, state, verdict)
    sign_in(page)
    page.keyboard.press("c")
    expect(page.locator("#closing .mix li")).to_have_text(["正常业务 67% 2", "重复 33% 1"])


def test_the_alert_is_copied_as_markdown_by_one_key(page: Page, site: Site) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(page)
    page.keyboard.press("y")
    expect(page.locator("#toast")).to_contain_text("已复制")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"## {VIP.title['zh']}\n")
    assert f"<{site.url}/alerts/{VIP.id}>" in copied


@pytest.mark.parametrize("path", ["/", f"/alerts/{VIP.id}"])
def test_what_was_typed_is_there_again_after_the_session_had_ended(browser: Browser, site: Site, path: str) -> None:
    page = preferring(browser, site.url, "zh", "light", width=1440)
    sign_in(page)
    page.goto(path)
    expect(page.locator(".tabs")).to_be_visible()
    page.keyboard.press("c")
    page.fill("#closing input[name=note]", "与药房核实过")
    page.context.clear_cookies(name="wardwatch_session")
    page.click("#closing [value=benign_positive]")
    page.fill("input[name=name]", "lin")
    page.fill("input[name=password]", PASSWORD)
    page.click("button.primary")
    expect(page.locator("#closing input[name=note]")).to_have_value("与药房核实过")
    page.click("#closing [value=benign_positive]")
    expect(page.locator("#toast")).to_contain_text("已关闭" if path == "/" else "已保存")
    assert workflow(site, "reason") == "与药房核实过"
    page.context.close()


def test_a_refused_form_keeps_what_was_typed_and_says_why(browser: Browser, site: Site) -> None:
    page = preferring(browser, site.url, "zh", "light", width=1440)
    sign_in(page)
    page.keyboard.press("c")
    page.fill("#closing input[name=note]", "与药房核实过")
    li = People(site.store).get("lin")
    close(
        site.store, li, VIP.id, state_of(site.store.alerts.get(Scope("test"), [VIP.id])[VIP.id].doc), Verdict.EXERCISE
    )
    page.click("#closing [value=benign_positive]")
    expect(page.locator("#panel-problem")).to_contain_text("现在：已关闭，负责：lin")
    assert page.input_value("#closing input[name=note]") == "与药房核实过"
    expect(page.locator(".look .changed")).to_be_visible()
    page.context.close()


def test_an_answer_that_takes_long_or_never_comes_is_told_and_what_is_shown_stays(browser: Browser, site: Site) -> None:
    page = preferring(browser, site.url, "zh", "light", width=1440)
    sign_in(page)
    expect(page.locator("#panel .tabs")).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/panel*", hold)
    page.clock.install()
    page.keyboard.press("j")
    expect(page.locator("#panel")).to_have_attribute("aria-busy", "true")
    page.clock.fast_forward(4_000)
    expect(page.locator("#waiting")).to_contain_text("响应缓慢")
    expect(page.locator("#panel h1")).to_have_text(VIP.title["zh"])
    held.pop().continue_()
    expect(page.locator("#panel h1")).to_have_text(STORIES[1].title["zh"])
    expect(page.locator("#waiting")).to_be_hidden()
    page.keyboard.press("k")
    expect(page.locator("#panel")).to_have_attribute("aria-busy", "true")
    held.pop().abort()
    expect(page.locator("#waiting")).to_contain_text("没有收到响应")
    expect(page.locator("#panel h1")).to_have_text(STORIES[1].title["zh"])
    page.context.close()


def test_what_takes_long_neither_hides_the_undo_nor_is_told_of_what_has_left_the_page(
    browser: Browser, site: Site
) -> None:
    page = preferring(browser, site.url, "zh", "light", width=1440)
    sign_in(page)
    expect(page.locator("#panel .tabs")).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/verdicts", hold)
    page.route("**/panel*", hold)
    page.clock.install()
    page.keyboard.press("c")
    page.keyboard.press("b")
    expect(page.locator("#toast [data-key=z]")).to_be_visible()
    page.clock.fast_forward(4_000)
    expect(page.locator("#waiting")).to_be_hidden()
    page.keyboard.press("j")
    expect(page.locator("#panel")).to_have_attribute("aria-busy", "true")
    page.clock.fast_forward(4_000)
    expect(page.locator("#waiting")).to_contain_text("响应缓慢")
    expect(page.locator("#toast [data-key=z]")).to_be_visible()
    for route in held:
        route.continue_()
    expect(page.locator("#panel h1")).to_have_text(STORIES[1].title["zh"])
    expect(page.locator("#waiting")).to_be_hidden()
    page.context.close()


def test_a_true_positive_by_keyboard_asks_for_its_note(page: Page, site: Site) -> None:
    sign_in(page)
    page.keyboard.press("c")
    page.keyboard.press("t")
    expect(page.locator("#closing .needed")).to_be_visible()
    assert workflow(site, "status") == "new"
    page.keyboard.type("药房员工无诊疗关系")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("已关闭")
    assert (workflow(site, "verdict"), workflow(site, "reason")) == ("true_positive", "药房员工无诊疗关系")


def test_keys_move_take_search_and_explain(page: Page, site: Site) -> None:
    sign_in(page)
    page.keyboard.press("j")
    expect(page.locator("#panel h1")).to_have_text(STORIES[1].title["zh"])
    page.keyboard.press("k")
    expect(page.locator("#panel h1")).to_have_text(VIP.title["zh"])
    page.keyboard.press("a")
    expect(page.locator(f"#row-{VIP.id} .state")).to_have_text("已接手")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.type("统方")
    page.keyboard.press("Enter")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    page.locator("body").press("Enter")
    page.wait_for_url("**/alerts/**")


def test_an_alerts_own_page_works_without_the_queue(page: Page, site: Site) -> None:
    sign_in(page)
    page.goto(f"/alerts/{VIP.id}")
    page.keyboard.press("c")
    page.keyboard.press("d")
    expect(page.locator(".clock .verdict")).to_have_text("重复")
    page.keyboard.press("z")
    expect(page.locator(".clock .state")).to_have_text("新")
    page.click(".tabs a:has-text('历史')")
    expect(page.locator(".entry")).to_have_count(2)
    page.keyboard.press("j")
    expect(page.locator("#panel h1")).to_have_text(STORIES[1].title["zh"])


def test_chosen_lines_are_closed_by_one_job_and_taken_back(page: Page, site: Site) -> None:
    sign_in(page)
    page.keyboard.press("Shift+X")
    page.keyboard.press("j")
    expect(page.locator("#panel h1")).to_have_text(STORIES[1].title["zh"])
    page.keyboard.press("Shift+X")
    expect(page.locator("#bulk output")).to_have_text("已选 2 条")
    page.locator("#bulk details summary", has_text="关闭").click()
    page.locator("#bulk [data-choose=exercise]").click()
    expect(page.locator("#job")).to_contain_text("已完成 2，共 2")
    expect(page.locator("#bulk")).to_be_hidden()
    assert (workflow(site, "status"), workflow(site, "verdict")) == ("closed", "exercise")
    page.locator("#job button", has_text="撤销").click()
    expect(page.locator("#job b")).to_have_text("撤销")
    expect(page.locator("#job")).to_contain_text("已完成 2，共 2")
    assert workflow(site, "status") == "new"


def test_an_alert_is_assigned_by_keyboard_and_its_clock_waits(page: Page, site: Site) -> None:
    sign_in(page)
    page.keyboard.press("s")
    expect(page.locator("#people option")).to_have_count(1)
    page.keyboard.type("lin")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("已指派")
    assert (workflow(site, "assignee"), workflow(site, "status")) == ("lin", "acknowledged")
    page.keyboard.press("w")
    expect(page.locator("#panel .due.paused")).to_be_visible()
    assert workflow(site, "due_at") is None
    page.keyboard.press("w")
    expect(page.locator("#toast")).to_contain_text("已恢复计时")
    assert workflow(site, "due_at") is not None


def test_an_alert_is_suppressed_by_key_with_its_back_test_listed_and_taken_back(page: Page, site: Site) -> None:
    sign_in(page)
    page.keyboard.press("x")
    expect(page.locator("#suppressing .backtest")).to_contain_text("会被隐藏")
    page.keyboard.type("会诊，已核实")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("已抑制")
    assert workflow(site, "status") == "suppressed"
    page.goto("/suppressions")
    expect(page.locator("tbody tr")).to_contain_text("会诊，已核实")
    page.locator("tbody button", has_text="立即结束").click()
    expect(page.locator(".empty")).to_contain_text("没有抑制规则")
