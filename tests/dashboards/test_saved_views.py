from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dashboards import saved_views
from dashboards.queue import Desk, QueueFilter
from dashboards.saved_views import SavedView
from tests.dashboards.site import VIP, form_token, sign_in
from wardwatch.errors import Conflict, RecordError
from wardwatch.store import Find

if TYPE_CHECKING:
    import httpx

    from dashboards.console import Console
    from wardwatch.event import Document
    from wardwatch.store import Documents, Store


@pytest.fixture
def desk(console: Console) -> Desk:
    return Desk(console.store, console.people.get("lin"), datetime.now(UTC))


def names(desk: Desk) -> list[str]:
    return [view.name for view in saved_views.of(desk.store, desk.person.name)]


def test_a_view_is_kept_listed_with_its_count_and_forgotten(client: httpx.Client) -> None:
    sign_in(client, "lin")
    page = client.get("/?severity=critical").text
    form = {"csrf": form_token(page), "name": "  VIP   only ", "filters": "?severity=critical"}
    answer = client.post("/views", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?severity=critical")
    page = client.get("/?severity=critical").text
    assert '<a class="own" href="/?severity=critical" aria-current="page">VIP only<em>2</em></a>' in page
    assert VIP.id in page
    client.post("/views/delete", data={**form, "name": "VIP only"})
    assert "VIP only" not in client.get("/").text


def test_the_api_keeps_replaces_and_forgets(client: httpx.Client) -> None:
    sign_in(client, "lin")
    headers = {"X-CSRF-Token": client.get("/api/v1/me").json()["csrf"]}
    night = {"name": "night", "filter": {"assignee": "-", "sort": "due"}}
    assert client.post("/api/v1/views", json=night, headers=headers).json() == [night]
    night["filter"] = {"due": "soon"}
    assert client.post("/api/v1/views", json=night, headers=headers).json() == [night]
    assert client.get("/api/v1/views").json() == [night]
    assert client.delete("/api/v1/views/night", headers=headers).json() == []


def test_views_are_ones_own_and_leave_the_shipped_ones_alone(desk: Desk, console: Console) -> None:
    saved_views.save(desk, "Open", QueueFilter(severity="high"))
    others = Desk(desk.store, console.people.get("ren"), desk.midnight)
    assert (names(desk), names(others)) == (["Open"], [])
    actions = [item.doc["action"] for item in desk.store.documents("audit").find(Find()).items]
    assert actions == ["view_saved"]


@pytest.mark.parametrize(
    ("name", "address", "told"),
    [
        ("", "?", "1 to 40 characters"),
        ("x" * 41, "?", "1 to 40 characters"),
        ("x", "?nonsense=1", "no filter: nonsense"),
        ("x", "?severity=enormous", "no severity"),
        ("x", "?sort=sideways", "no order"),
    ],
)
def test_what_is_no_view_is_refused_by_its_reason(desk: Desk, name: str, address: str, told: str) -> None:
    with pytest.raises(RecordError, match=told):
        saved_views.save(desk, name, saved_views.filter_from(address))
    assert names(desk) == []


def test_twenty_views_are_kept_and_a_known_one_may_still_change(desk: Desk) -> None:
    for number in range(saved_views.MOST):
        saved_views.save(desk, f"view {number}", QueueFilter())
    with pytest.raises(RecordError, match="20 views"):
        saved_views.save(desk, "one more", QueueFilter())
    saved_views.save(desk, "view 3", QueueFilter(severity="low"))
    assert saved_views.of(desk.store, "lin")[3] == SavedView(name="view 3", filter={"severity": "low"})


def test_a_view_that_is_no_longer_understood_is_left_out_and_stops_nobody(client: httpx.Client, store: Store) -> None:
    views = '[{"name":"old","filter":{"gone":"x"}},{"name":"good","filter":{}}]'
    store.documents("views").create("lin", {"id": "lin", "at": "2026-03-01T00:00:00Z", "views": views})
    sign_in(client, "lin")
    page = client.get("/").text
    assert ">good<em>" in page
    assert ">old<em>" not in page


def test_views_saved_in_two_windows_at_once_both_stay(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    saved_views.save(desk, "first", QueueFilter())
    documents: Documents = desk.store.documents("views")
    replace, late = documents.replace, ["second"]

    def overtaken(identifier: str, doc: Document, *, version: str) -> object:
        if late:
            saved_views.save(desk, late.pop(), QueueFilter())
            raise Conflict("changed meanwhile", step="store")
        return replace(identifier, doc, version=version)

    monkeypatch.setattr(type(documents), "replace", lambda _, *args, **named: overtaken(*args, **named))
    saved_views.save(desk, "third", QueueFilter())
    assert names(desk) == ["first", "second", "third"]
