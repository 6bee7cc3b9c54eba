from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dashboards.presence import HOLDS
from tests.dashboards.site import STORIES, VIP, console_over, sign_in
from wardwatch.event import rfc3339

if TYPE_CHECKING:
    import httpx

    from dashboards.console import Console
    from wardwatch.store import Store


def test_two_analysts_on_one_alert_see_each_other_over_any_console(console: Console, store: Store) -> None:
    lin, ren = console.people.get("lin"), console.people.get("ren")
    assert console.presence.look(lin, VIP.id) == []
    other = console_over(store)
    assert other.presence.look(replace(ren, display="任"), VIP.id) == ["林"]
    assert console.presence.look(lin, VIP.id) == ["任"]
    assert console.presence.look(lin, STORIES[1].id) == []
    assert other.presence.look(ren, VIP.id) == []


def test_two_who_are_called_alike_see_each_other(console: Console) -> None:
    lin, ren = console.people.get("lin"), console.people.get("ren")
    console.presence.look(lin, VIP.id)
    assert console.presence.look(replace(ren, display=lin.display), VIP.id) == [lin.display]


def test_who_went_away_is_not_shown_any_more(console: Console, store: Store) -> None:
    doc = {
        "at": rfc3339(datetime.now(UTC) - HOLDS - timedelta(seconds=1)),
        "tenant": "zhongxin",
        "alert": VIP.id,
        "name": "gone",
        "person": "gone",
    }
    store.documents("presence").create("gone", doc)
    assert console.presence.look(console.people.get("lin"), VIP.id) == []


def test_an_open_alert_says_when_somebody_else_changed_it(client: httpx.Client) -> None:
    sign_in(client, "lin")
    me = client.get("/api/v1/me").json()
    state = client.get(f"/api/v1/alerts/{VIP.id}").json()["state"]
    assert "changed" not in client.get(f"/alerts/{VIP.id}/look", params={"state": state}).text
    headers = {"X-CSRF-Token": me["csrf"]}
    client.post(f"/api/v1/alerts/{VIP.id}/acknowledge", json={"state": state}, headers=headers).raise_for_status()
    said = client.get(f"/alerts/{VIP.id}/look", params={"state": state}).text
    assert "It has changed: taken, owner lin." in said
