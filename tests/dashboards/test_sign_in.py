from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import httpx
import pytest

from dashboards.auth.sessions import Sessions
from dashboards.pages.sign_in import safe_next
from dashboards.visitor import SESSION_COOKIE
from tests.dashboards.site import PASSWORD, console_over, form_token, serving, sign_in, visiting
from wardwatch.event import rfc3339
from wardwatch.settings import ConsoleSettings
from wardwatch.store import Find, Store
from wardwatch.throttle import FAILURES, WITHIN_S, Throttle

if TYPE_CHECKING:
    from dashboards.console import Console


def audited(store: Store) -> list[str]:
    return [item.doc["action"] for item in store.documents("audit").find(Find()).items]


def test_the_right_password_opens_the_queue_and_is_audited(client: httpx.Client, store: Store) -> None:
    answer = sign_in(client, "lin", next="/?tenant=renai")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?tenant=renai")
    assert client.get("/").status_code == 200
    assert audited(store) == ["sign_in"]


@pytest.mark.parametrize(
    ("name", "password"), [("lin", "wrong"), ("nobody", PASSWORD), ("<b>", PASSWORD), ("lin", "x" * 900)]
)
def test_a_wrong_name_and_a_wrong_password_look_the_same(
    name: str, password: str, client: httpx.Client, store: Store
) -> None:
    answer = sign_in(client, name, password)
    assert answer.status_code == 401
    assert "User name or password is wrong." in answer.text
    assert client.get("/").status_code == 303
    assert audited(store) == ["sign_in_failed"]


def test_the_session_cookie_is_unreadable_to_scripts_and_stored_only_as_a_hash(
    client: httpx.Client, store: Store
) -> None:
    header = next(line for line in sign_in(client, "lin").headers.get_list("set-cookie") if SESSION_COOKIE in line)
    assert "HttpOnly" in header
    assert "SameSite=lax" in header
    token = client.cookies[SESSION_COOKIE]
    documents = store.documents("sessions").find(Find()).items
    assert token not in str(documents)
    assert documents[0].doc["id"] == sha256(token.encode()).hexdigest()


def test_cookies_are_for_https_alone_by_default(store: Store) -> None:
    console = console_over(store)
    console.settings = ConsoleSettings()
    with visiting(console) as client:
        assert "Secure" in client.get("/login").headers["set-cookie"]


def test_a_session_planted_before_sign_in_is_worth_nothing_after_it(client: httpx.Client, console: Console) -> None:
    planted = console.sessions.open("zhou")
    client.cookies.set(SESSION_COOKIE, planted)
    token = form_token(client.get("/login").text)
    answer = client.post("/login", data={"name": "lin", "password": PASSWORD, "csrf": token})
    assert f"{SESSION_COOKIE}={planted}" not in str(answer.headers)
    assert console.sessions.get(planted) is None


def test_sign_out_revokes_the_session_itself(client: httpx.Client) -> None:
    sign_in(client, "lin")
    token = client.cookies[SESSION_COOKIE]
    client.post("/logout", data={"csrf": client.get("/api/v1/me").json()["csrf"]})
    assert client.get("/", headers={"cookie": f"{SESSION_COOKIE}={token}"}).status_code == 303


def test_a_disabled_person_is_out_at_once_and_cannot_return(client: httpx.Client, console: Console) -> None:
    sign_in(client, "lin")
    console.people.disable("lin")
    assert client.get("/").status_code == 303
    assert client.get("/api/v1/alerts").status_code == 401
    assert sign_in(client, "lin").status_code == 401


def test_a_new_password_ends_every_session_of_that_person_alone(console: Console) -> None:
    lin, zhou = [console.sessions.open("lin") for _ in range(3)], console.sessions.open("zhou")
    console.sessions.close_all("lin")
    assert [console.sessions.get(token) for token in lin] == [None] * 3
    assert console.sessions.get(zhou) is not None


def test_an_expired_session_is_gone(store: Store) -> None:
    sessions = Sessions(store, 10)
    token = sessions.open("lin")
    identifier = sha256(token.encode()).hexdigest()
    stored = store.documents("sessions").get(identifier)
    past = rfc3339(datetime.now(UTC) - timedelta(seconds=1))
    store.documents("sessions").replace(identifier, {**stored.doc, "expires": past}, version=stored.version)
    assert sessions.get(token) is None


def test_guessing_is_slowed_even_when_the_last_guess_is_right(client: httpx.Client, store: Store) -> None:
    for _ in range(FAILURES):
        assert sign_in(client, "lin", "wrong").status_code == 401
    answer = sign_in(client, "lin")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 1
    assert sign_in(client, "zhou").status_code == 303
    assert "sign_in_throttled" in audited(store)


def test_the_throttle_forgets_after_its_time_and_stays_bounded() -> None:
    now = 0.0
    throttle = Throttle(lambda: now)
    for _ in range(FAILURES):
        throttle.failed("lin", "10.0.0.1")
    assert throttle.wait_s("lin", "10.0.0.1") == WITHIN_S
    assert throttle.wait_s("lin", "10.0.0.2") == 0
    now = WITHIN_S
    assert throttle.wait_s("lin", "10.0.0.1") == 0
    for number in range(10_001):
        throttle.failed(str(number), "")
    assert len(throttle._failures) == 10_000


@pytest.mark.parametrize(
    "path",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil.example", "x", ""],
)
def test_sign_in_never_leads_to_another_site(path: str) -> None:
    assert safe_next(path) == "/"


def test_sign_in_leads_back_to_the_page_that_was_asked_for(console: Console) -> None:
    with serving(console) as address, httpx.Client(base_url=address, trust_env=False) as client:
        asked = client.get("/?tenant=renai&q=a%20b").headers["location"]
        page = client.get(asked).text
    assert 'name="next" value="/?tenant=renai&amp;q=a%20b"' in page


ACCEPT = [("zh-CN,zh;q=0.9", "登录"), ("en-GB", "Sign in"), ("fr, zh;q=0.5", "登录"), ("", "Sign in")]


@pytest.mark.parametrize(("accept", "title"), ACCEPT)
def test_sign_in_speaks_the_browsers_language(accept: str, title: str, client: httpx.Client) -> None:
    assert f"<title>{title}" in client.get("/login", headers={"accept-language": accept}).text
