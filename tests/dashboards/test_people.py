from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
from markupsafe import escape

from dashboards.auth.people import Role
from dashboards.console import Console
from dashboards.i18n import LANGUAGES, catalogue
from dashboards.visitor import SESSION_COOKIE
from tests.dashboards.site import PASSWORD, VIP, form_token, serving, sign_in
from wardwatch.passwords import verify

NEW: dict[str, Any] = {"account": "wu", "password": PASSWORD, "role": ["analyst", "auditor"], "tenant": ["renai"]}


@pytest.fixture
def admin(client: httpx.Client, console: Console) -> httpx.Client:
    gao = replace(console.people.get("lin"), name="gao", display="高", roles=frozenset({Role.ADMIN}))
    console.people.add(gao)
    sign_in(client, "gao")
    return client


def send(client: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    return client.post(path, data={"csrf": form_token(client.get("/account").text), **fields})


def version(client: httpx.Client, name: str) -> str:
    found = re.search(r'name="version" value="([^"]+)"', client.get(f"/people/{name}").text)
    assert found
    return found[1]


def test_an_account_is_added_listed_changed_and_disabled(admin: httpx.Client, console: Console) -> None:
    assert send(admin, "/people", **NEW).headers["location"] == "/people/wu"
    wu = console.people.get("wu")
    assert (wu.roles, wu.tenants) == (frozenset({Role.ANALYST, Role.AUDITOR}), frozenset({"renai"}))
    assert verify(wu.password_hash, PASSWORD)
    assert ">wu</a>" in admin.get("/people").text
    session = console.sessions.open("wu")
    change = {"display": "吴", "role": "lead", "every": "true", "version": version(admin, "wu"), "disabled": "true"}
    assert send(admin, "/people/wu", **change).status_code == 303
    wu = console.people.get("wu")
    assert (wu.display, wu.roles, wu.tenants, wu.disabled) == ("吴", frozenset({Role.LEAD}), None, True)
    assert verify(wu.password_hash, PASSWORD)
    assert console.sessions.get(session) is None


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("wrong", "field", "key"),
    [
        ({"account": "Wu Lei"}, "name", "people.bad_name"),
        ({"account": "lin"}, "name", "people.taken"),
        ({"password": "short"}, "password", "account.bad_password"),
        ({"display": "x" * 101}, "display", "people.bad_display"),
        ({"role": []}, "role", "people.no_role"),
        ({"role": ["king"]}, "role", "people.no_role"),
        ({"tenant": []}, "tenant", "people.no_tenant"),
        ({"tenant": ["No Such"]}, "tenant", "people.no_tenant"),
    ],
)
def test_a_wrong_field_is_named_in_ones_language_and_what_was_typed_is_kept(
    wrong: dict[str, Any], field: str, key: str, lang: str, admin: httpx.Client
) -> None:
    admin.cookies.set("wardwatch_lang", lang)
    sent = {"display": "typed 名", **NEW, **wrong}
    answer = send(admin, "/people", **sent)
    assert answer.status_code == 422
    assert f'id="wrong-{field}">{catalogue(lang)[key]}<' in answer.text
    assert f'value="{sent["display"]}"' in answer.text
    assert f'value="{sent["account"]}"' in answer.text
    assert PASSWORD not in answer.text


def test_two_administrators_do_not_overwrite_each_other(admin: httpx.Client, console: Console) -> None:
    read = version(admin, "zhou")
    console.people.disable("zhou")
    answer = send(admin, "/people/zhou", role="admin", every="true", version=read)
    assert answer.status_code == 409
    assert console.people.get("zhou").roles == {Role.VIEWER}
    assert send(admin, "/people/zhou", role="admin", every="true").status_code == 409


@pytest.mark.parametrize("change", [{"disabled": "true", "role": "admin"}, {"role": "viewer"}])
def test_nobody_locks_themselves_out(change: dict[str, str], admin: httpx.Client, console: Console) -> None:
    answer = send(admin, "/people/gao", every="true", version=version(admin, "gao"), **change)
    assert (answer.status_code, str(escape(catalogue("en")["people.yourself"])) in answer.text) == (422, True)
    assert console.people.get("gao").roles == {Role.ADMIN}


def test_an_administrator_of_a_hospital_keeps_its_accounts_alone(admin: httpx.Client, console: Console) -> None:
    console.people.change("gao", lambda gao: replace(gao, tenants=frozenset({"renai"})))
    assert re.findall(r'href="/people/([a-z]+)"', admin.get("/people").text) == ["gao", "ren"]
    for name in ("lin", "zhou", "nobody"):
        assert admin.get(f"/people/{name}").status_code == 404
        assert send(admin, f"/people/{name}/password", password=PASSWORD).status_code == 404
    for given in ({"every": "true"}, {"tenant": ["renai", "zhongxin"]}):
        answer = send(admin, "/people", **{**NEW, **given})
        assert (answer.status_code, str(escape(catalogue("en")["people.foreign_tenant"])) in answer.text) == (422, True)
    assert send(admin, "/people", **NEW).status_code == 303


def test_a_password_that_is_set_ends_the_sessions(admin: httpx.Client, console: Console) -> None:
    session = console.sessions.open("zhou")
    assert send(admin, "/people/zhou/password", password="short").status_code == 422
    assert console.sessions.get(session)
    assert send(admin, "/people/zhou/password", password="another passphrase").status_code == 303
    assert console.sessions.get(session) is None
    assert verify(console.people.get("zhou").password_hash, "another passphrase")


def test_an_administrator_ends_sessions_and_tokens_of_others(admin: httpx.Client, console: Console) -> None:
    tokens = [console.sessions.open("zhou", agent="Firefox") for _ in range(3)]
    first = console.sessions.get(tokens[0])
    assert first
    api = console.tokens.add("zhou", "hers", frozenset(), None, 1)[1]
    assert admin.get("/people/zhou").text.count(">Firefox</td>") == 3
    assert send(admin, "/people/zhou/sessions", session=first.id).status_code == 303
    assert [console.sessions.get(token) is not None for token in tokens] == [False, True, True]
    assert send(admin, "/people/zhou/sessions").status_code == 303
    assert console.sessions.of("zhou") == []
    assert send(admin, "/people/zhou/tokens", token=api.id).status_code == 303
    assert console.tokens.of("zhou")[0].revoked
    assert send(admin, "/people/lin/tokens", token=api.id).status_code == 404


def test_ones_own_password_needs_the_old_one_and_ends_the_other_sessions(
    client: httpx.Client, console: Console
) -> None:
    other = console.sessions.open("lin")
    sign_in(client, "lin")
    for old, new, wrong in (("x", "another passphrase", "old"), (PASSWORD, "short", "new")):
        answer = send(client, "/account/password", old=old, new=new)
        assert (answer.status_code, f'id="wrong-{wrong}"' in answer.text) == (422, True)
    assert send(client, "/account/password", old=PASSWORD, new="another passphrase").status_code == 303
    assert client.get("/").status_code == 200
    assert console.sessions.get(other) is None
    assert sign_in(client, "lin").status_code == 401
    assert sign_in(client, "lin", "another passphrase").status_code == 303


def test_the_account_page_names_each_session_and_ends_the_others(client: httpx.Client, console: Console) -> None:
    for agent in ("Firefox", "<script>alert(1)</script>\u202e"):
        console.sessions.open("lin", address="10.0.0.9", agent=agent)
    sign_in(client, "lin")
    page = client.get("/account").text
    assert "<script>alert" not in page
    assert page.count("10.0.0.9") == 2
    assert send(client, "/account/sessions").status_code == 303
    assert len(console.sessions.of("lin")) == 1
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("header", [{"referer": "{site}/alerts/x?q=1"}, {"HX-Current-URL": "{site}/alerts/x?q=1"}])
def test_a_form_of_an_ended_session_leads_back_to_its_page(header: dict[str, str], console: Console) -> None:
    with serving(console) as address, httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        sign_in(client, "lin")
        csrf = client.get("/api/v1/me").json()["csrf"]
        console.sessions.close(client.cookies[SESSION_COOKIE])

        def back(headers: dict[str, str]) -> str:
            path = f"/alerts/{VIP.id}/close"
            return client.post(path, data={"csrf": csrf}, headers=headers).headers["location"]

        assert back({name: value.format(site=address) for name, value in header.items()}) == (
            "/login?next=/alerts/x%3Fq%3D1"
        )
        assert back({name: value.format(site="https://evil.example") for name, value in header.items()}) == (
            "/login?next=/"
        )
        assert client.get("/").headers["referrer-policy"] == "same-origin"
