"""The hospital's page for reveals: terms, records, throttle, and what never reaches a browser."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import ingest.reveal_page as page
from tests.ingest.reveal_site import CHEN, HOSTILE, LI, REASON, RevealSite, reveal_site
from wardwatch.errors import SettingsError
from wardwatch.headers import HEADERS
from wardwatch.settings import CollectorSettings, Settings
from wardwatch.throttle import FAILURES


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RevealSite]:
    with reveal_site(tmp_path_factory.mktemp("hospital")) as started:
        yield started


@pytest.fixture
def browser(shared: RevealSite) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shared.url, verify=False, headers={"Accept-Language": "en-GB,en"}) as client:
        yield client


def form(tokens: str, **fields: str) -> dict[str, str]:
    asked = {"account": LI[0], "password": LI[1], "case": "INC-1", "reason": REASON, "tokens": tokens}
    return asked | fields


def both(tokens: str) -> dict[str, str]:
    return form(tokens, second=CHEN[0], second_password=CHEN[1])


def test_a_right_request_shows_the_values_and_leaves_a_record(shared: RevealSite, browser: httpx.Client) -> None:
    before = len(shared.records())
    shown = browser.post("/", data=form(f"{shared.patient}\n, {shared.patient}"))
    assert shown.status_code == 200
    assert shown.text.count("MR1 张三") == 1
    (record,) = shared.records()[before:]
    assert (record["user.id"], record["reveal.case"], record["reveal.tokens"]) == ("li.na", "INC-1", [shared.patient])


def test_a_protected_patient_needs_a_second_person_and_the_form_keeps_all_but_passwords(
    shared: RevealSite, browser: httpx.Client
) -> None:
    refused = browser.post("/", data=form(shared.vip))
    assert refused.status_code == 403
    assert "a second person must agree" in refused.text
    assert "MR2" not in refused.text
    assert shared.vip in refused.text
    assert LI[1] not in refused.text
    assert browser.post("/", data=form(shared.vip, second=LI[0], second_password=LI[1])).status_code == 403
    assert shared.records()[-1]["event.outcome"] == "failure"
    assert "MR2" in browser.post("/", data=both(shared.vip)).text
    assert shared.records()[-1]["reveal.second_person"] == "chen"


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"case": " "}, 400, "a reveal needs a case and a reason"),
        ({"reason": "short"}, 400, "a reveal needs a case and a reason"),
        ({"tokens": ""}, 400, "0 tokens"),
        ({"tokens": "pt_" + "0" * 24}, 404, "not in this hospital"),
    ],
)
def test_what_is_missing_is_told_and_nothing_is_shown(
    shared: RevealSite, browser: httpx.Client, fields: dict[str, str], status: int, words: str
) -> None:
    shown = browser.post("/", data=form(shared.patient) | fields)
    assert (shown.status_code, words in shown.text, "MR1" in shown.text) == (status, True, False)


def test_guessing_is_slowed_down_per_account_also_between_other_mistakes(
    shared: RevealSite, browser: httpx.Client
) -> None:
    guess = form(shared.patient, account="guessed", password="wrong wrong wrong")
    for _ in range(FAILURES):
        assert browser.post("/", data=guess | {"case": ""}).status_code == 400
        assert browser.post("/", data=guess).status_code == 403
    recorded = len(shared.records())
    assert browser.post("/", data=guess).status_code == 429
    assert len(shared.records()) == recorded
    assert browser.post("/", data=form(shared.patient)).status_code == 200


def test_a_hostile_value_is_text_and_its_escapes_are_visible(shared: RevealSite, browser: httpx.Client) -> None:
    shown = browser.post("/", data=form(shared.hostile)).text
    assert HOSTILE not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b" in shown


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_answers_are_never_stored_and_run_nothing(shared: RevealSite, browser: httpx.Client, method: str) -> None:
    shown = browser.request(method, "/", data=form(shared.patient) if method == "POST" else None)
    assert shown.headers["cache-control"] == "no-store"
    assert all(shown.headers[name] == value for name, value in HEADERS.items())
    assert "<script" not in shown.text
    assert "set-cookie" not in shown.headers


def test_a_form_of_another_site_or_of_no_shape_is_refused(shared: RevealSite, browser: httpx.Client) -> None:
    other = browser.post("/", data=form(shared.patient), headers={"Sec-Fetch-Site": "cross-site"})
    assert other.status_code == 403
    assert browser.post("/", content=b"\xff").status_code == 400
    assert browser.post("/", content=b"a=1&" * 100).status_code == 400
    assert browser.post("/", content=bytes(page.MAX_BODY_BYTES + 1)).status_code == 413


def test_the_languages_have_the_same_texts_and_the_browser_chooses(browser: httpx.Client) -> None:
    texts = [tomllib.loads((Path(page.__file__).parent / f"{lang}.toml").read_text("utf-8")) for lang in page.LANGUAGES]
    assert texts[0].keys() == texts[1].keys()
    assert 'lang="en"' in browser.get("/").text
    assert "令牌还原" in browser.get("/", headers={"Accept-Language": "zh-TW,en"}).text
    assert "令牌还原" in browser.get("/?lang=zh").text
    assert "令牌还原" in browser.get("/", headers={"Accept-Language": "fr"}).text


def test_passwords_never_cross_a_network_in_clear(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, collector=CollectorSettings(tenant="renai"))
    with pytest.raises(SettingsError, match="in clear"):
        page.serve(settings, "0.0.0.0:0", None, None)
    with pytest.raises(SettingsError, match="certificate or key"):
        page.serve(settings, "127.0.0.1:0", tmp_path / "gone.pem", tmp_path / "gone.key")
