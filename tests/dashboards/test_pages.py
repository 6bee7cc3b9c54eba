from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from markupsafe import escape

from dashboards.headers import HEADERS
from dashboards.i18n import LANGUAGES, catalogue
from dashboards.pages.render import FOLDER
from dashboards.queue import VIEWS
from tests.dashboards.site import STORIES, VIP, console_over, form_token, sign_in, visiting, write
from wardwatch.alert import Severity, Status, Verdict
from wardwatch.errors import StoreUnavailable
from wardwatch.store import Store
from wardwatch.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

PATHS = ["/login", "/", "/?status=any&q=nothing", f"/alerts/{VIP.id}", f"/alerts/{VIP.id}/panel", "/alerts/none"]
PATHS += [f"/alerts/{VIP.id}/tab/{tab}" for tab in ("evidence", "rule", "history", "raw")]


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
        "sort",
        "criticality",
    )
    unused = [key for key in catalogue("en") if f'"{key}"' not in sources and key.partition(".")[0] not in computed]
    assert [key for key in unused if not key.startswith("action.done_")] == []


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


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus='alert(1)",
    "{{ 7*7 }}",
    "</pre></template></table><svg onload=alert(1)>",
    "\u202egnp.exe \x1b[31m",
]


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


@pytest.mark.parametrize("query", ["?severity=x", "?status=x", "?after=garbled", "?sort=x", f"?q={'x' * 250}"])
def test_a_garbled_address_is_explained(query: str, client: httpx.Client) -> None:
    sign_in(client, "lin")
    answer = client.get("/" + query)
    assert answer.status_code in (400, 422)
    assert "garbled" in answer.text or "missing" in answer.text
    assert client.get("/api/v1/alerts" + query).headers["content-type"] == "application/problem+json"


def test_a_conflict_is_explained_with_a_way_to_reload(client: httpx.Client) -> None:
    sign_in(client, "lin")
    page = client.get(f"/alerts/{VIP.id}").text
    data = {"csrf": form_token(page), "state": "older", "verdict": "duplicate"}
    answer = client.post(f"/alerts/{VIP.id}/close", data=data)
    assert answer.status_code == 409
    assert "Nothing was overwritten" in answer.text
    assert "data-reload" in answer.text


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
