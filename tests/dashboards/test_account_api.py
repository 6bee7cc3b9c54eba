"""Accounts over the API, by a browser's session."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from dashboards.auth import second_factor
from dashboards.auth.people import Right, Role
from dashboards.console import Console
from dashboards.i18n import catalogue
from dashboards.visitor import CSRF_HEADER
from tests.dashboards.site import PASSWORD, sign_in
from wardwatch.passwords import verify
from wardwatch.store import Find

WU: dict[str, Any] = {"name": "wu", "password": PASSWORD, "roles": ["analyst"], "tenants": ["renai"]}


def signed_in(client: httpx.Client, name: str) -> httpx.Client:
    sign_in(client, name)
    client.headers[CSRF_HEADER] = client.get("/api/v1/me").json()["csrf"]
    return client


@pytest.fixture
def admin(client: httpx.Client, console: Console) -> httpx.Client:
    console.people.add(replace(console.people.get("lin"), name="gao", roles=frozenset({Role.ADMIN})))
    return signed_in(client, "gao")


def test_an_account_is_added_read_changed_and_signed_out_when_disabled(admin: httpx.Client, console: Console) -> None:
    added = admin.post("/api/v1/people", json={**WU, "display": "吴"})
    assert (added.status_code, added.json()["display"], added.json()["tenants"]) == (201, "吴", ["renai"])
    assert verify(console.people.get("wu").password_hash, PASSWORD)
    assert "wu" in [one["name"] for one in admin.get("/api/v1/people").json()]
    session = console.sessions.open("wu", agent="Firefox")
    read = admin.get("/api/v1/people/wu").json()
    assert [(one["agent"], one["own"]) for one in read["sessions"]] == [("Firefox", False)]
    wanted = {"roles": ["lead"], "tenants": None, "version": read["version"], "disabled": True}
    assert admin.put("/api/v1/people/wu", json=wanted).json()["disabled"] is True
    assert admin.put("/api/v1/people/wu", json=wanted).status_code == 409
    wu = console.people.get("wu")
    assert (wu.roles, wu.tenants, console.sessions.get(session)) == (frozenset({Role.LEAD}), None, None)


@pytest.mark.parametrize(
    ("wrong", "field", "key"),
    [
        ({"name": "Wu Lei"}, "name", "people.bad_name"),
        ({"name": "lin"}, "name", "people.taken"),
        ({"password": "short"}, "password", "account.bad_password"),
        ({"tenants": []}, "tenant", "people.no_tenant"),
        ({"tenants": ["No Such"]}, "tenant", "people.no_tenant"),
    ],
)
def test_a_wrong_field_is_named(wrong: dict[str, Any], field: str, key: str, admin: httpx.Client) -> None:
    answer = admin.post("/api/v1/people", json={**WU, **wrong})
    assert (answer.status_code, answer.json()["detail"]) == (422, f"{field}: {catalogue('en')[key]}")


def test_an_administrator_of_a_hospital_reaches_no_other_account(admin: httpx.Client, console: Console) -> None:
    console.people.change("gao", lambda gao: replace(gao, tenants=frozenset({"renai"})))
    assert [one["name"] for one in admin.get("/api/v1/people").json()] == ["gao", "ren"]
    assert admin.get("/api/v1/people/zhou").status_code == 404
    assert admin.put("/api/v1/people/zhou/password", json={"password": PASSWORD}).status_code == 404
    assert admin.delete("/api/v1/people/zhou/sessions").status_code == 404
    for tenants in (None, ["renai", "zhongxin"]):
        answer = admin.post("/api/v1/people", json={**WU, "tenants": tenants})
        assert answer.json()["detail"] == f"tenant: {catalogue('en')['people.foreign_tenant']}"


def test_sessions_tokens_password_and_second_factor_of_others_end(admin: httpx.Client, console: Console) -> None:
    opened = [console.sessions.open("zhou") for _ in range(2)]
    first = console.sessions.get(opened[0])
    assert first
    assert admin.delete(f"/api/v1/people/zhou/sessions/{first.id}").status_code == 204
    assert [console.sessions.get(each) is None for each in opened] == [True, False]
    token = console.tokens.add("zhou", "hers", frozenset(), None, 1)[1]
    assert admin.post(f"/api/v1/people/zhou/tokens/{token.id}/revoke").json()["revoked"] is True
    secret = second_factor.new_secret()
    console.people.change("zhou", lambda zhou: replace(zhou, totp=secret))
    assert admin.delete("/api/v1/people/zhou/second-factor").status_code == 204
    assert (console.people.get("zhou").totp, console.sessions.of("zhou")) == ("", [])
    assert admin.put("/api/v1/people/zhou/password", json={"password": "another passphrase"}).status_code == 204
    assert verify(console.people.get("zhou").password_hash, "another passphrase")


def test_a_second_factor_is_set_used_and_removed(client: httpx.Client, console: Console) -> None:
    signed_in(client, "lin")
    offered = client.get("/api/v1/account/second-factor").json()
    assert offered["uri"] == f"otpauth://totp/wardwatch%3Alin?secret={offered['secret']}&issuer=wardwatch"
    code = second_factor.code_at(offered["secret"], int(time.time()) // second_factor.STEP_S)
    answer = client.put("/api/v1/account/second-factor", json={"secret": offered["secret"], "code": "12"})
    assert (answer.status_code, console.people.get("lin").totp) == (422, "")
    codes = client.put("/api/v1/account/second-factor", json={"secret": offered["secret"], "code": code}).json()
    assert client.get("/api/v1/account").json()["account"]["second_factor"] is True
    remove = "/api/v1/account/second-factor/remove"
    assert client.post(remove, json={"code": code}).status_code == 422  # it was used to set it
    assert client.post(remove, json={"code": codes["recovery_codes"][0]}).status_code == 204
    assert console.people.get("lin").totp == ""


def test_ones_password_needs_the_old_one_which_can_not_be_guessed(client: httpx.Client, console: Console) -> None:
    signed_in(client, "lin")
    other = console.sessions.open("lin")
    change = {"old": PASSWORD, "new": "another passphrase"}
    assert client.put("/api/v1/account/password", json={**change, "new": "short"}).status_code == 422
    assert client.put("/api/v1/account/password", json=change).status_code == 204
    assert console.sessions.get(other) is None
    guesses = [client.put("/api/v1/account/password", json=change) for _ in range(20)]
    assert {each.status_code for each in guesses} == {422, 429}
    assert int(guesses[-1].headers["Retry-After"]) > 0


def test_no_token_reaches_accounts_whatever_its_rights(admin: httpx.Client, console: Console) -> None:
    text, _ = console.tokens.add("gao", "all", frozenset(Right), None, 1)
    headers = {"Authorization": f"Bearer {text}"}
    for method, path in (("GET", "people"), ("POST", "people"), ("GET", "people/lin"), ("GET", "account")):
        assert admin.request(method, f"/api/v1/{path}", headers=headers, json=WU).status_code == 403


def test_no_secret_of_an_answer_is_kept_for_its_idempotency_key(admin: httpx.Client, console: Console) -> None:
    headers = {"Idempotency-Key": "made-once"}
    assert admin.post("/api/v1/people", json=WU, headers=headers).status_code == 201
    assert console.store.documents("answers").find(Find()).items == []
