from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from dashboards import workflow
from dashboards.auth.people import Right
from dashboards.auth.tokens import PREFIX, Rate
from dashboards.console import Console
from tests.dashboards.site import STORIES, VIP, console_over, form_token, sign_in, visiting
from wardwatch.event import rfc3339
from wardwatch.settings import ConsoleSettings
from wardwatch.store import Find, Store
from wardwatch.testing.ports import wait_until

READ, WORK = frozenset[Right](), frozenset({Right.WORK})


def bearer(console: Console, rights: frozenset[Right], tenants: frozenset[str] | None = None) -> dict[str, str]:
    """Return the header of a new token of lin's."""
    return {"Authorization": f"Bearer {console.tokens.add('lin', 'test', rights, tenants, 1)[0]}"}


def state(console: Console, alert: str) -> str:
    return workflow.state_of(workflow.read(console.store, console.people.get("lin"), alert).doc)


def take(client: httpx.Client, console: Console, headers: dict[str, str], alert: str = VIP.id) -> int:
    body = {"state": state(console, alert)}
    return client.post(f"/api/v1/alerts/{alert}/acknowledge", json=body, headers=headers).status_code


def test_a_token_reads_and_changes_by_its_rights_without_a_form_token(client: httpx.Client, console: Console) -> None:
    assert client.get("/api/v1/alerts", headers=bearer(console, READ)).json()["total"] == len(STORIES)
    assert take(client, console, bearer(console, READ)) == 403
    assert take(client, console, bearer(console, frozenset({Right.SUPPRESS}))) == 403
    assert take(client, console, bearer(console, WORK)) == 200


def test_a_token_sees_its_hospitals_and_never_more_than_its_account(client: httpx.Client, console: Console) -> None:
    renai = bearer(console, WORK, frozenset({"renai"}))
    assert client.get("/api/v1/alerts?status=any", headers=renai).json()["total"] == 2
    assert take(client, console, renai) == 404
    console.people.change("lin", lambda lin: replace(lin, tenants=frozenset({"zhongxin"})))
    assert client.get("/api/v1/alerts?status=any", headers=renai).json()["total"] == 0
    assert client.get("/api/v1/me", headers=renai).json()["tenants"] == []


def test_a_bulk_change_of_a_token_stays_within_its_hospitals(client: httpx.Client, console: Console) -> None:
    headers = bearer(console, WORK, frozenset({"renai"}))
    order: dict[str, Any] = {"key": "all-of-renai", "action": "acknowledge", "filter": {}}
    job = client.post("/api/v1/bulk", json=order, headers=headers).json()["id"]
    wait_until(lambda: console.jobs.get(console.people.get("lin"), job).ended, what="job")
    console.close()
    listed = client.get("/api/v1/alerts?assignee=lin", headers=bearer(console, READ)).json()["alerts"]
    assert {alert["document"]["organization"]["id"] for alert in listed} == {"renai"}


def test_rights_that_the_account_lost_are_lost_to_its_tokens(client: httpx.Client, console: Console) -> None:
    headers = bearer(console, WORK)
    console.people.change("lin", lambda lin: replace(lin, roles=console.people.get("zhou").roles))
    assert take(client, console, headers) == 403
    console.people.disable("lin")
    assert client.get("/api/v1/alerts", headers=headers).status_code == 401


def test_a_token_is_refused_when_revoked_expired_or_unknown(client: httpx.Client, console: Console) -> None:
    text, token = console.tokens.add("lin", "old", READ, None, 1)
    headers = {"Authorization": f"Bearer {text}"}
    assert client.get("/api/v1/me", headers=headers).status_code == 200
    stored = console.store.documents("tokens").get(token.id)
    past = {**stored.doc, "expires": rfc3339(VIP.start)}
    console.store.documents("tokens").replace(token.id, past, version=stored.version)
    answer = client.get("/api/v1/me", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    revoked = console.tokens.add("lin", "gone", READ, None, 1)
    console.tokens.revoke("lin", revoked[1].id)
    for value in (revoked[0], PREFIX + "x" * 43, PREFIX, "x"):
        assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {value}"}).status_code == 401
    kept = console.store.documents("audit").find(Find(fields={"action": "token_refused"})).items
    assert sorted(item.doc["label"] for item in kept) == ["gone", "old"]


def test_a_token_opens_no_page_and_makes_no_token(client: httpx.Client, console: Console) -> None:
    headers = bearer(console, WORK)
    assert client.get("/", headers=headers).status_code == 303
    assert client.post("/api/v1/tokens", json={"label": "x", "days": 1}, headers=headers).status_code == 403


def test_a_token_that_reads_changes_nothing_even_where_no_right_is_asked_for(
    client: httpx.Client, console: Console
) -> None:
    mine = console.tokens.add("lin", "mine", READ, None, 1)[1]
    path = f"/api/v1/tokens/{mine.id}/revoke"
    assert [client.post(path, headers=bearer(console, rights)).status_code for rights in (READ, WORK)] == [403, 200]


def test_a_token_beside_a_session_counts_alone(client: httpx.Client, console: Console) -> None:
    sign_in(client, "lin")
    headers = bearer(console, READ, frozenset({"renai"}))
    assert client.get("/api/v1/alerts?status=any", headers=headers).json()["total"] == 2
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {PREFIX}wrong"}).status_code == 401


def test_the_text_is_shown_once_and_kept_as_a_hash(client: httpx.Client, console: Console, store: Store) -> None:
    sign_in(client, "lin")
    data = {"csrf": form_token(client.get("/account").text), "label": "export", "days": "30", "right": "work"}
    page = client.post("/account/tokens", data=data).text
    found = re.search(rf">({PREFIX}[\w-]{{43}})<", page)
    assert found
    assert take(client, console, {"Authorization": f"Bearer {found[1]}"}) == 200
    page = client.get("/account").text
    assert found[1] not in page
    assert ">never</td>" not in page
    kept = str([store.documents(name).find(Find()).items for name in ("tokens", "audit")])
    assert found[1] not in kept


def test_nobody_gives_a_token_what_they_have_not(client: httpx.Client, console: Console) -> None:
    sign_in(client, "ren")
    headers = {"X-CSRF-Token": client.get("/api/v1/me").json()["csrf"]}

    def made(**more: Any) -> int:
        return client.post("/api/v1/tokens", json={"label": "x", "days": 1, **more}, headers=headers).status_code

    assert made(rights=["people"]) == 403
    assert made(tenants=["zhongxin"]) == 403
    assert made(days=0) == made(days=400) == made(rights=["everything"]) == made(label="") == 422
    assert made(rights=["work"], tenants=["renai"]) == 201


@pytest.mark.parametrize(("field", "value"), [("label", ""), ("label", "x" * 61), ("days", "0"), ("days", "soon")])
def test_a_wrong_field_is_named_and_what_was_typed_is_kept(field: str, value: str, client: httpx.Client) -> None:
    sign_in(client, "lin")
    data = {"csrf": form_token(client.get("/account").text), "label": "mine", "days": "7", "right": "work"}
    answer = client.post("/account/tokens", data={**data, field: value})
    assert answer.status_code == 422
    assert f'aria-describedby="wrong-{field}"' in answer.text
    assert f'name="{field}" value="{value}"' in answer.text
    assert 'name="right" value="work" checked' in answer.text


def test_nobody_revokes_anothers_token_or_session(client: httpx.Client, console: Console) -> None:
    token = console.tokens.add("zhou", "hers", READ, None, 1)[1]
    session = console.sessions.get(hers := console.sessions.open("zhou"))
    assert session
    sign_in(client, "lin")
    csrf = form_token(client.get("/account").text)
    assert client.post("/account/tokens/revoke", data={"csrf": csrf, "token": token.id}).status_code == 404
    assert client.post("/account/sessions", data={"csrf": csrf, "session": session.id}).status_code == 404
    assert client.post("/account/sessions", data={"csrf": csrf}).status_code == 303
    assert console.sessions.get(hers) is not None
    assert not console.tokens.of("zhou")[0].revoked


def test_a_token_that_asks_too_often_is_told_to_wait(store: Store) -> None:
    console = console_over(store)
    console.rate = Rate(ConsoleSettings(token_rate=3).token_rate)
    with visiting(console) as client:
        busy, other = bearer(console, READ), bearer(console, READ)
        assert [client.get("/api/v1/me", headers=busy).status_code for _ in range(4)] == [200, 200, 200, 429]
        answer = client.get("/api/v1/me", headers=busy)
        assert 0 < int(answer.headers["retry-after"]) <= 61
        assert answer.headers["content-type"] == "application/problem+json"
        assert client.get("/api/v1/me", headers=other).status_code == 200


def test_a_minute_later_a_token_may_ask_again() -> None:
    now = 0.0
    rate = Rate(1, lambda: now)
    assert (rate.take("a").wait_s, rate.take("a").wait_s, rate.take("b").wait_s) == (0, 60, 0)
    now = 60.0
    assert rate.take("a").wait_s == 0
