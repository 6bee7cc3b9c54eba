from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dashboards.api.once import BROKEN_OFF, COLLECTION
from dashboards.auth.people import Right
from tests.dashboards.site import STORIES, VIP
from wardwatch.errors import StoreUnavailable
from wardwatch.event import rfc3339
from wardwatch.store import Find

if TYPE_CHECKING:
    import httpx

    from dashboards.console import Console
    from wardwatch.store import Store

KEY = "close-vip-0001"


@pytest.fixture
def asking(client: httpx.Client, console: Console) -> httpx.Client:
    token, _ = console.tokens.add("lin", "program", frozenset({Right.WORK}), None, 1)
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def close(client: httpx.Client, key: str = KEY, **body: Any) -> httpx.Response:
    state = body.pop("state", None) or client.get(f"/api/v1/alerts/{VIP.id}").json()["state"]
    sent = {"state": state, "verdict": "benign_positive", **body}
    return client.post(f"/api/v1/alerts/{VIP.id}/close", json=sent, headers={"Idempotency-Key": key})


def made(store: Store) -> int:
    return store.documents("audit").find(Find({"action": "close"})).total


def test_a_change_that_is_sent_twice_is_made_once_and_answered_alike(asking: httpx.Client, store: Store) -> None:
    state = asking.get(f"/api/v1/alerts/{VIP.id}").json()["state"]
    first, again = close(asking, state=state), close(asking, state=state)
    assert (first.status_code, again.status_code, made(store)) == (200, 200, 1)
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_a_key_of_another_request_is_refused(asking: httpx.Client, store: Store) -> None:
    state = asking.get(f"/api/v1/alerts/{VIP.id}").json()["state"]
    close(asking, state=state).raise_for_status()
    other = close(asking, state=state, note="other")
    assert (other.status_code, made(store)) == (422, 1)
    assert other.json()["detail"] == "Idempotency-Key: was used for another request"
    assert close(asking, key="short").status_code == 422


def test_keys_are_each_persons_own(asking: httpx.Client, console: Console) -> None:
    close(asking).raise_for_status()
    token, _ = console.tokens.add("ren", "program", frozenset({Right.WORK}), None, 1)
    asking.headers["Authorization"] = f"Bearer {token}"
    renai = STORIES[2].id
    state = asking.get(f"/api/v1/alerts/{renai}").json()["state"]
    body = {"state": state, "verdict": "duplicate"}
    answer = asking.post(f"/api/v1/alerts/{renai}/close", json=body, headers={"Idempotency-Key": KEY})
    assert answer.json()["alert"]["document"]["event"]["id"] == renai


def test_a_refused_change_frees_its_key(asking: httpx.Client, store: Store) -> None:
    assert close(asking, state="older").status_code == 409
    assert close(asking).status_code == 200
    assert made(store) == 1


def test_a_change_that_an_absent_store_broke_off_may_be_sent_again(
    asking: httpx.Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    state = asking.get(f"/api/v1/alerts/{VIP.id}").json()["state"]
    with monkeypatch.context() as patch:
        patch.setattr(store.alerts, "workflow", absent)
        assert close(asking, state=state).status_code == 503
    assert close(asking, state=state).status_code == 200


def test_a_first_request_that_is_at_work_holds_its_key_for_a_minute(asking: httpx.Client, store: Store) -> None:
    state = asking.get(f"/api/v1/alerts/{VIP.id}").json()["state"]
    close(asking, state=state).raise_for_status()
    documents = store.documents(COLLECTION)
    (kept,) = documents.find(Find()).items
    at_work = {**kept.doc, "status": 0, "body": ""}
    documents.replace(kept.doc["id"], at_work, version=kept.version)
    assert close(asking, state=state).status_code == 409
    stale = {**at_work, "at": rfc3339(datetime.now(UTC) - BROKEN_OFF - timedelta(seconds=1))}
    documents.replace(kept.doc["id"], stale, version=documents.get(kept.doc["id"]).version)
    taken_over = close(asking, state=state)
    assert taken_over.status_code == 409  # the change had been made: its state is no longer the present one
    assert "it is closed now" in taken_over.json()["detail"]
    assert made(store) == 1


def test_each_answer_to_a_token_says_how_many_requests_are_left(asking: httpx.Client) -> None:
    asked = [asking.get("/api/v1/me").headers for _ in range(2)]
    assert [each["ratelimit-policy"] for each in asked] == ['"token";q=600;w=60'] * 2
    left = [int(each["ratelimit"].split(";")[1].removeprefix("r=")) for each in asked]
    assert left[0] - left[1] == 1
    assert "ratelimit" in asking.get("/api/v1/alerts/none").headers
