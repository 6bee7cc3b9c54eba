from __future__ import annotations

import re
import time
from base64 import b32encode
from dataclasses import replace

import httpx
import pytest

from dashboards.auth import second_factor
from dashboards.auth.people import Person
from dashboards.auth.second_factor import STEP_S, code_at, step_of
from dashboards.console import Console
from dashboards.visitor import SESSION_COOKIE
from tests.dashboards.site import console_over, form_token, sign_in, visiting
from wardwatch.settings import ConsoleSettings
from wardwatch.store import Find, Store
from wardwatch.throttle import FAILURES

RFC_SECRET = b32encode(b"12345678901234567890").decode()
RFC_6238_APPENDIX_B = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
RFC_4226_APPENDIX_D = [
    "755224",
    "287082",
    "359152",
    "969429",
    "338314",
    "254676",
    "287922",
    "162583",
    "399871",
    "520489",
]


@pytest.mark.parametrize(("seconds", "code"), RFC_6238_APPENDIX_B)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert code_at(RFC_SECRET, seconds // STEP_S, digits=8) == code


def test_codes_are_those_of_rfc_4226() -> None:
    assert [code_at(RFC_SECRET, step) for step in range(10)] == RFC_4226_APPENDIX_D


def test_a_code_is_taken_one_step_early_or_late_and_never_again() -> None:
    now_s = 1_000_000.0
    step = int(now_s) // STEP_S
    codes = {offset: code_at(RFC_SECRET, step + offset) for offset in range(-3, 4)}
    taken = [offset for offset, code in codes.items() if step_of(RFC_SECRET, code, 0, now_s) is not None]
    assert taken == [-1, 0, 1]
    assert step_of(RFC_SECRET, codes[0], step, now_s) is None
    assert step_of(RFC_SECRET, codes[-1], step, now_s) is None
    assert step_of(RFC_SECRET, "１２３４５６", 0, now_s) is None


def now_code(secret: str, steps: int = 0) -> str:
    return code_at(secret, int(time.time()) // STEP_S + steps)


def enrol(client: httpx.Client, path: str = "/account/second-factor") -> tuple[str, list[str]]:
    """Set up the second factor and return its secret and the recovery codes."""
    page = client.get(path).text
    found = re.search(r'name="secret" value="([A-Z2-7]{32})"', page)
    assert found
    data = {"csrf": form_token(page), "secret": found[1], "code": now_code(found[1])}
    answer = client.post("/account/second-factor", data=data)
    assert answer.status_code == 200
    return found[1], re.findall(r"<li><code>([a-z2-7]{5}-[a-z2-7]{5})</code>", answer.text)


def type_code(client: httpx.Client, code: str, **more: str) -> httpx.Response:
    return client.post("/login/code", data={"csrf": form_token(client.get("/login/code").text), "code": code, **more})


@pytest.fixture
def enrolled(client: httpx.Client) -> tuple[str, list[str]]:
    """Lin with a second factor, who has given the password again and not the code."""
    sign_in(client, "lin")
    secret, recovery = enrol(client)
    answer = sign_in(client, "lin", next="/?tenant=renai")
    assert answer.headers["location"] == "/login/code?next=%2F%3Ftenant%3Drenai"
    return secret, recovery


def test_the_password_alone_opens_nothing(enrolled: tuple[str, list[str]], client: httpx.Client) -> None:
    assert client.get("/").status_code == 303
    assert client.get("/account/second-factor").status_code == 303
    assert client.get("/api/v1/me").status_code == 401
    assert client.get("/login/code").status_code == 200


def test_the_next_code_opens_the_page_with_a_new_session_and_the_used_one_does_not(
    enrolled: tuple[str, list[str]], client: httpx.Client, console: Console, store: Store
) -> None:
    half = client.cookies[SESSION_COOKIE]
    used = code_at(enrolled[0], console.people.get("lin").totp_step)
    assert type_code(client, used).status_code == 401
    answer = type_code(client, now_code(enrolled[0], 1), next="/?tenant=renai")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?tenant=renai")
    assert client.cookies[SESSION_COOKIE] != half
    assert client.get("/").status_code == 200
    assert client.get("/login/code", headers={"cookie": f"{SESSION_COOKIE}={half}"}).status_code == 303
    kept = [item.doc["action"] for item in store.documents("audit").find(Find()).items]
    assert sorted(kept) == ["code_failed", "second_factor_set", "sign_in", "sign_in"]


def test_a_recovery_code_opens_once_however_it_is_typed(
    enrolled: tuple[str, list[str]], client: httpx.Client, console: Console
) -> None:
    code = enrolled[1][0]
    assert len(enrolled[1]) == second_factor.RECOVERY_CODES
    assert code not in str(console.people.get("lin"))
    assert type_code(client, code.upper().replace("-", " ")).status_code == 303
    sign_in(client, "lin")
    assert type_code(client, code).status_code == 401
    assert type_code(client, enrolled[1][1]).status_code == 303


def test_guessing_codes_is_slowed(enrolled: tuple[str, list[str]], client: httpx.Client) -> None:
    for _ in range(FAILURES):
        assert type_code(client, "000000").status_code == 401
    sign_in(client, "lin")
    answer = type_code(client, now_code(enrolled[0], 1))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 1


def test_a_role_that_needs_a_second_factor_sets_it_up_before_anything_else(store: Store) -> None:
    console = console_over(store)
    console.settings = ConsoleSettings(secure_cookies=False, second_factor=("analyst",))
    with visiting(console) as client:
        answer = sign_in(client, "lin", next="/?q=x")
        assert answer.headers["location"] == "/account/second-factor?next=%2F%3Fq%3Dx"
        assert client.get("/").status_code == 303
        enrol(client)
        assert client.get("/").status_code == 200
        csrf = form_token(client.get("/account").text)
        assert client.post("/account/second-factor/remove", data={"csrf": csrf, "code": "1"}).status_code == 403
        assert sign_in(client, "zhou").headers["location"] == "/"


def test_it_is_removed_only_with_a_code(client: httpx.Client, console: Console) -> None:
    sign_in(client, "lin")
    secret, _ = enrol(client)
    csrf = form_token(client.get("/account").text)
    answer = client.post("/account/second-factor/remove", data={"csrf": csrf, "code": "000000"})
    assert (answer.status_code, "The code is wrong or was used." in answer.text) == (422, True)
    client.post("/account/second-factor/remove", data={"csrf": csrf, "code": now_code(secret, 1)})
    person: Person = console.people.get("lin")
    assert (person.totp, person.recovery) == ("", ())


def test_a_wrong_first_code_shows_the_same_secret_again(client: httpx.Client, console: Console) -> None:
    sign_in(client, "lin")
    secret = second_factor.new_secret()
    csrf = form_token(client.get("/account").text)
    data = {"csrf": csrf, "secret": secret, "code": "000000"}
    answer = client.post("/account/second-factor", data=data)
    assert (answer.status_code, secret in answer.text) == (422, True)
    assert client.post("/account/second-factor", data={**data, "secret": "x"}).status_code == 400
    assert console.people.get("lin").totp == ""


def test_the_picture_is_svg_that_the_policy_allows(client: httpx.Client) -> None:
    sign_in(client, "lin")
    page = client.get("/account/second-factor").text
    assert '<svg width="' in page
    assert "style=" not in page
    assert "data:" not in page


def test_an_administrator_removes_a_lost_one_and_ends_the_sessions(client: httpx.Client, console: Console) -> None:
    sign_in(client, "lin")
    enrol(client)
    console.people.add(replace(console.people.get("zhou"), name="gao", tenants=None, roles=frozenset({"admin"})))  # type: ignore[arg-type]
    old = client.cookies[SESSION_COOKIE]
    sign_in(client, "gao")
    csrf = form_token(client.get("/people/lin").text)
    assert client.post("/people/lin/second-factor", data={"csrf": csrf}).status_code == 303
    assert console.sessions.get(old) is None
    assert sign_in(client, "lin").headers["location"] == "/"
