from __future__ import annotations

import ast
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from markupsafe import escape

from dashboards import workflow
from dashboards.cases import case as cases
from dashboards.cases.case import CaseStatus, Operator, RequestKind
from dashboards.cases.requests import CLINICAL_ENGINEERING
from dashboards.failures import wrong_field
from dashboards.feed import Announcement
from dashboards.i18n import LANGUAGES, catalogue, reason, word
from dashboards.pages.render import FOLDER
from dashboards.queue import VIEWS
from tests.dashboards.site import STORIES, VIP, console_over, form_token, sign_in, visiting, write
from tests.payloads import HOSTILE
from wardwatch.alert import Severity, Status, Verdict
from wardwatch.errors import StoreUnavailable
from wardwatch.event import rfc3339
from wardwatch.headers import HEADERS
from wardwatch.store import Scope, Store
from wardwatch.testing.ports import wait_until
from wardwatch.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

    from dashboards.console import Console

PATHS = ["/login", "/", "/?status=any&q=nothing", f"/alerts/{VIP.id}", f"/alerts/{VIP.id}/panel", "/alerts/none"]
PATHS += [f"/alerts/{VIP.id}/tab/{tab}" for tab in ("evidence", "related", "rule", "history", "raw")]
PATHS += [f"/alerts/{VIP.id}/verdicts"]


def test_both_languages_have_the_same_keys_and_none_is_empty() -> None:
    english, chinese = map(catalogue, LANGUAGES)
    assert english.keys() == chinese.keys()
    assert all(english.values())
    assert all(chinese.values())
    for key, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", chinese[key])), key


def test_every_key_that_a_template_or_the_vocabulary_uses_is_written() -> None:
    keys = catalogue("en").keys()
    templates = "".join(path.read_text("utf-8") for path in (FOLDER / "templates").glob("*.html"))
    assert set(re.findall(r"_\(\"([\w.]+)\"[,)]", templates)) <= keys
    words: dict[str, Iterable[str]] = {"status": Status, "verdict": Verdict, "severity": Severity, "view": VIEWS}
    steps = [f"{kind}_{said}" for kind in ("approval", "containment") for said in ("yes", "no")]
    words |= {
        "case_status": CaseStatus,
        "case_view": cases.VIEWS,
        "request": [
            *RequestKind,
            CLINICAL_ENGINEERING,
            *steps,
        ],
        "report": [f"operator_{operator}" for operator in Operator],
    }
    assert {f"{table}.{word}" for table, values in words.items() for word in values} <= keys


def test_no_key_is_left_unused() -> None:
    sources = "".join(path.read_text("utf-8") for path in FOLDER.rglob("*") if path.suffix in (".html", ".py"))
    computed = (
        "severity",
        "status",
        "verdict",
        "view",
        "column",
        "entity",
        "term",
        "problem",
        "history",
        "tab",
        "tuning",
        "figures",
        "monthly",
        "sort",
        "criticality",
        "due",
        "case_view",
        "case_status",
        "request",
        "bulk",
        "right",
        "role",
        "audit",
        "people",
        "did",
        "suppress",
        "field",
        "service",
        "notice",
        "invalid",
        "row",
        "choice_kind",
        "review",
        "choice_weekdays",
        "choice_lang",
        "choice_security",
        "choice_format",
        "choice_when",
    )
    unused = [key for key in catalogue("en") if f'"{key}"' not in sources and key.partition(".")[0] not in computed]
    named = ("case", "entry", "report")  # the table stands in the template, the name where the data is made
    unused = [
        key for key in unused if key.partition(".")[0] not in named or f'"{key.partition(".")[2]}"' not in sources
    ]
    told = ("action.done_", "report.operator_", "entry.asked_")
    assert [key for key in unused if not key.startswith(told)] == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_page_is_in_one_language_with_every_header(path: str, lang: str, client: httpx.Client) -> None:
    sign_in(client, "lin")
    client.cookies.set("wardwatch_lang", lang)
    answer = client.get(path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["cache-control"] == "no-store"
    other = catalogue("en" if lang == "zh" else "zh")["login.title" if path == "/login" else "tab.history"]
    assert f">{other}<" not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_no_page_holds_an_inline_script_style_or_handler(path: str, client: httpx.Client) -> None:
    sign_in(client, "lin")
    text = client.get(path).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|hx-on|javascript:", text)


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_text_in_every_field_appears_escaped(payload: str, client: httpx.Client, store: Store) -> None:
    words = {"en": payload, "zh": payload}
    entities = {"host": {"name": payload}, "user": {"id": payload}}
    story = replace(VIP, title=words, sentence=words, technique=payload, entities=entities, group="hostile")
    write(store, story)
    sign_in(client, "lin")
    for path in ("/", f"/alerts/{story.id}", f"/alerts/{story.id}/tab/raw"):
        text = client.get(path).text
        escaped = str(escape(safe_text(payload)))
        assert escaped in text or path.endswith("raw")  # there JSON has escaped the quotes first
        assert payload not in text.replace(escaped, "")


def test_the_queue_filters_sorts_and_pages_by_its_address(client: httpx.Client, store: Store) -> None:
    write(store, *(replace(STORIES[3], group=str(number), minutes_ago=number) for number in range(60)))
    sign_in(client, "lin")
    first = client.get("/?tenant=renai&sort=newest").text
    assert "50 of 62" in first
    link = re.search(r'href="(/\?[^"]*after=[^"]+)"', first)
    assert link
    second = client.get(link[1].replace("&amp;", "&")).text
    ids = [set(re.findall(r'id="row-([^"]+)"', text)) for text in (first, second)]
    assert (len(ids[0]), len(ids[1]), len(ids[0] & ids[1])) == (50, 12, 0)
    assert client.get("/?severity=critical").text.count('<tr id="row-') == 2
    assert client.get("/?rule=mysql_tongfang").text.count('<tr id="row-') == 1
    assert client.get("/?q=卷影").text.count('<tr id="row-') == 1


@pytest.mark.parametrize(
    "query", ["?severity=x", "?status=x", "?after=garbled", "?sort=x", "?closed=x", f"?q={'x' * 250}"]
)
def test_a_garbled_address_is_explained(query: str, client: httpx.Client) -> None:
    sign_in(client, "lin")
    answer = client.get("/" + query)
    assert answer.status_code in (400, 422)
    assert "garbled" in answer.text or "missing" in answer.text
    assert client.get("/api/v1/alerts" + query).headers["content-type"] == "application/problem+json"


def test_each_tab_and_tile_counts_what_its_address_lists(client: httpx.Client) -> None:
    sign_in(client, "lin")
    alert = client.get("/api/v1/alerts").json()["alerts"][0]
    headers = {"X-CSRF-Token": client.get("/api/v1/me").json()["csrf"]}
    path = f"/api/v1/alerts/{alert['document']['event']['id']}/acknowledge"
    assert client.get("/").status_code == 200  # what it counted is remembered for a moment
    client.post(path, json={"state": alert["state"]}, headers=headers).raise_for_status()
    page = client.get("/").text
    tabs = re.findall(r'<a href="/(\?[^"]*)"[^>]*>[^<]+<em>(\d+)</em>', page)
    tiles = re.findall(r'<a class="tile[^"]*" href="/(\?[^"]*)"[^>]*><b>(\d+)</b>', page)
    assert (len(tabs), len(tiles)) == (len(VIEWS), 6)
    listed = [
        (url, client.get(f"/api/v1/alerts{url.replace('&amp;', '&')}").json()["total"]) for url, _ in tabs + tiles
    ]
    assert listed == [(url, int(count)) for url, count in tabs + tiles]
    assert {count for _, count in listed} > {1}


@pytest.fixture
def asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every search of alerts that the store is asked for."""
    searches: list[Any] = []
    search = store.alerts.search

    def counting(scope: Scope, query: Any, **more: Any) -> Any:
        searches.append((scope.tenants, query))
        return search(scope, query, **more)

    monkeypatch.setattr(store.alerts, "search", counting)
    return searches


def test_analysts_of_the_same_hospitals_share_what_the_store_said_a_moment_ago(
    client: httpx.Client, console: Console, asked: list[Any]
) -> None:
    sign_in(client, "lin")
    asked.clear()
    for _ in range(3):
        assert client.get("/?sort=newest").status_code == 200
    assert len(asked) <= 2  # a moment may have passed in between
    sign_in(client, "ren")
    asked.clear()
    page = client.get("/?sort=newest").text
    assert [tenants for tenants, _ in asked] == [frozenset({"renai"})]
    assert VIP.id not in page


@pytest.mark.parametrize("kind", ["created", "updated", "changed"])
def test_after_an_announcement_the_store_is_asked_again(
    client: httpx.Client, console: Console, asked: list[Any], kind: str
) -> None:
    sign_in(client, "lin")
    client.get("/")
    asked.clear()
    console.feed.announce(Announcement(id=VIP.id, tenant=VIP.tenant, kind=kind))
    client.get("/")
    assert len(asked) == 1


def test_the_queue_after_a_bulk_change_is_as_it_left_it(
    client: httpx.Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(client, "lin")
    headers = {"X-CSRF-Token": client.get("/api/v1/me").json()["csrf"]}
    change = store.alerts.workflows

    def while_somebody_reads(scope: Scope, changes: Any) -> Any:
        if changes:
            assert f"row-{VIP.id}" in client.get("/").text
        return change(scope, changes)

    monkeypatch.setattr(store.alerts, "workflows", while_somebody_reads)
    order = {"key": "k" * 8, "action": "close", "verdict": "duplicate", "filter": {"tenant": VIP.tenant}}
    job = client.post("/api/v1/bulk", json=order, headers=headers).json()["id"]
    wait_until(lambda: client.get(f"/api/v1/jobs/{job}").json()["state"] == "done", what="job")
    assert f"row-{VIP.id}" not in client.get("/").text


def test_the_queue_reads_no_event(client: httpx.Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(client, "lin")
    monkeypatch.setattr(store, "events", None)
    assert VIP.id in client.get("/").text


def test_the_tab_of_today_holds_what_was_closed_since_midnight(client: httpx.Client, store: Store) -> None:
    midnight = datetime.now(ZoneInfo("Asia/Shanghai")).replace(hour=0, minute=0, second=0, microsecond=0)
    for story, closed in ((STORIES[0], midnight), (STORIES[1], midnight - timedelta(milliseconds=1))):
        found = store.alerts.get(Scope("test"), [story.id])[story.id]
        changes = {"status": "closed", "verdict": "duplicate", "closed_at": rfc3339(closed)}
        store.alerts.workflow(Scope("test"), story.id, changes, version=found.version)
    sign_in(client, "lin")
    for tenant in ("", "&tenant=zhongxin"):
        page = client.get(f"/?status=closed&closed=today&sort=newest{tenant}").text
        assert re.findall(r'<tr id="row-([^"]+)"', page) == [STORIES[0].id]
        assert 'aria-current="page">Closed today<em>1</em>' in page


def test_related_alerts_share_the_rule_or_an_entity_within_the_hospital_and_seven_days(
    client: httpx.Client, store: Store
) -> None:
    same_rule = replace(VIP, group="other", entities={"host": {"name": "elsewhere"}}, title={"en": "Same rule"})
    same_host = replace(STORIES[1], group="host", entities=VIP.entities, title={"en": "Same host"})
    older = replace(VIP, group="older", minutes_ago=8 * 24 * 60, title={"en": "Older"})
    foreign = replace(VIP, tenant="renai", title={"en": "Foreign"})
    write(store, same_rule, same_host, older, foreign)
    sign_in(client, "lin")
    page = client.get(f"/alerts/{VIP.id}/tab/related").text
    groups = {
        re.sub(r"<[^>]+>", "", head).strip(): re.findall(r">([^<]+)</a>", rows)
        for head, rows in re.findall(r"<h2>(.*?)</h2>\s*<table.*?>(.*?)</table>", page, re.DOTALL)
    }
    assert groups["Same rule 1"] == ["Same rule"]
    assert groups["host office-7 1"] == ["Same host"]
    assert "Older" not in page
    assert "Foreign" not in page


def test_a_row_shows_the_beginning_of_a_token_and_nothing_for_an_empty_entity(
    client: httpx.Client, store: Store
) -> None:
    entities = {"user": {"id": "st_4f2a91c07788"}, "host": {"name": ""}}
    write(store, replace(STORIES[1], group="tokens", entities=entities))
    sign_in(client, "lin")
    page = client.get("/?q=卷影").text
    assert ">st_4f2a91</td>" in page
    assert "st_4f2a91c07788" in page
    assert "</i> </a>" not in page


def test_the_rules_known_false_positives_are_on_its_tab(client: httpx.Client) -> None:
    sign_in(client, "lin")
    assert "<li>A second opinion that was asked for.</li>" in client.get(f"/alerts/{VIP.id}/tab/rule").text


def test_the_history_says_what_was_found_noted_and_given(client: httpx.Client, console: Console) -> None:
    lin = console.people.get("lin")

    def state() -> str:
        return workflow.state_of(workflow.read(console.store, lin, VIP.id).doc)

    workflow.assign(console.store, lin, VIP.id, state(), "ren", [console.people.get("ren")])
    workflow.assign(console.store, lin, VIP.id, state(), "", [])
    workflow.close(console.store, lin, VIP.id, state(), Verdict.BENIGN_POSITIVE, "<b>known</b> scanner")
    sign_in(client, "lin")
    entries = re.findall(r'<p class="entry">.*?</b> (.*?)</p>', client.get(f"/alerts/{VIP.id}/tab/history").text)
    assert entries == [
        'closed it · Benign<br><q class="muted">&lt;b&gt;known&lt;/b&gt; scanner</q>',
        "gave it to somebody → nobody",
        "gave it to somebody → ren",
    ]


@pytest.mark.parametrize(("lang", "now"), [("en", "Now: new, owner: —"), ("zh", "现在：新，负责：—")])
def test_a_conflict_is_explained_with_a_way_to_reload(lang: str, now: str, client: httpx.Client) -> None:
    sign_in(client, "lin")
    client.cookies.set("wardwatch_lang", lang)
    page = client.get(f"/alerts/{VIP.id}").text
    data = {"csrf": form_token(page), "state": "older", "verdict": "duplicate"}
    referer = {"referer": f"{client.base_url}/alerts/{VIP.id}"}
    answer = client.post(f"/alerts/{VIP.id}/close", data=data, headers=referer)
    assert answer.status_code == 409
    assert catalogue(lang)["problem.hint_409"] in answer.text
    assert f">{now}<" in answer.text
    assert f'href="/alerts/{VIP.id}" data-back' in answer.text


def refusals() -> set[str]:
    """Return the reasons in the console's code for which it refuses, {} for each value in them."""
    found = set()
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="RecordError" | "Conflict"), args=[ast.Constant(value=str(text)), *_]):
                    found.add(text)
                case ast.Call(func=ast.Name(id="RecordError" | "Conflict"), args=[ast.JoinedStr(values=parts), *_]):
                    found.add("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts))
    return found


def test_why_something_is_refused_is_said_in_chinese() -> None:
    reasons = refusals()
    assert len(reasons) > 40
    untold = [text for text in sorted(reasons) if reason("zh", text) == text or reason("en", text) != text]
    assert untold == []
    assert reason("zh", "the title has at most 200 characters") == "标题最多 200 个字符"
    assert reason("zh", "'x' is no severity") == "'x' 不是有效的 级别"


def test_a_wrong_field_is_named_in_the_visitors_language(client: httpx.Client) -> None:
    sign_in(client, "lin")
    client.cookies.set("wardwatch_lang", "zh")
    data = {"csrf": form_token(client.get(f"/alerts/{VIP.id}").text), "state": "x"}
    said = client.post(f"/alerts/{VIP.id}/close", data=data | {"note": "x" * 4001}).text
    assert "结论: 未填写" in said
    assert "备注: 超过 4000 个字符" in said
    sent = client.post(f"/alerts/{VIP.id}/close", data=data | {"verdict": "true_positive"}).text
    assert "判为属实必须填写备注" in sent


def test_what_a_wrong_field_says_may_hold_braces() -> None:
    item = {"loc": ("body", "note"), "type": "value_error", "msg": "Value error, {0} {x}"}
    assert wrong_field("zh", item) == "备注: Value error, {0} {x}"


def test_a_refused_change_of_the_panel_leaves_the_form_as_it_stands(client: httpx.Client) -> None:
    sign_in(client, "lin")
    data = {"csrf": form_token(client.get("/").text), "state": "older", "verdict": "duplicate"}
    headers = {"HX-Request": "true", "HX-Target": "panel"}
    answer = client.post(f"/alerts/{VIP.id}/close", data=data, headers=headers)
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (409, "#panel-problem")
    assert 'id="panel-problem"' in client.get(f"/alerts/{VIP.id}/panel").text


def test_an_absent_store_is_a_page_that_says_try_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise StoreUnavailable("connection refused to secret-host")

    with visiting(console_over(store)) as client:
        sign_in(client, "lin")
        monkeypatch.setattr(store.alerts, "search", absent)
        for path in ("/", "/api/v1/alerts"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "secret-host" not in answer.text
        assert '<meta http-equiv="refresh" content="5">' in client.get("/").text
        monkeypatch.setattr(store.alerts, "get", absent)
        headers = {"HX-Request": "true", "HX-Target": "panel"}
        part = client.get(f"/alerts/{VIP.id}/panel", headers=headers).text
        assert f'hx-get="/alerts/{VIP.id}/panel" hx-trigger="load delay:5s" hx-target="#panel"' in part


def test_a_change_by_a_plain_form_leads_to_the_alert_and_offers_undo(client: httpx.Client) -> None:
    sign_in(client, "lin")
    page = client.get(f"/alerts/{VIP.id}").text
    state = re.search(r'name="state" value="(\w+)"', page)
    assert state
    data = {"csrf": form_token(page), "state": state[1], "verdict": "duplicate"}
    answer = client.post(f"/alerts/{VIP.id}/close?tenant=zhongxin", data=data)
    assert answer.status_code == 303
    after = client.get(answer.headers["location"]).text
    assert "Duplicate" in after
    assert 'name="audit_id"' in after


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_tab_of_the_queue_opens(client: httpx.Client, name: str, lang: str) -> None:
    sign_in(client, "lin")
    page = client.get("/", params={**VIEWS[name], "lang": lang})
    assert page.status_code == 200
    assert f'aria-current="page">{escape(word(lang, f"view.{name}"))}' in page.text
