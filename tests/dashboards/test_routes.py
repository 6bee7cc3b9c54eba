"""Every route × who asks: a route without a row fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from fastapi.routing import iter_route_contexts

from dashboards import workflow
from dashboards.app import create
from dashboards.bulk import Order
from dashboards.queue import Desk
from tests.dashboards.site import PASSWORD, VIP, console_over, form_token, sign_in, visiting
from tests.dashboards.test_case_routes import ROWS as CASES
from wardwatch.alert import Verdict
from wardwatch.testing.ports import wait_until

if TYPE_CHECKING:
    import httpx

    from dashboards.auth.people import Person
    from dashboards.console import Console
    from wardwatch.store import Store

OWN, OTHER, VIEWER = "lin", "ren", "zhou"
"""An analyst of every hospital, an analyst of another hospital than the alert's, a viewer of the alert's hospital."""


@dataclass(frozen=True)
class Row:
    """Expected status per visitor; ``form`` is what a change sends, ``json`` the API's body."""

    anonymous: int
    own: int
    other: int
    viewer: int
    form: dict[str, str] = field(default_factory=dict)


ALERT = f"/alerts/{VIP.id}"
_PAGE, _ALERT = Row(303, 200, 200, 200), Row(303, 200, 404, 200)
_CHANGE = Row(303, 303, 404, 403)
_JSON, _JSON_ALERT, _JSON_CHANGE = Row(401, 200, 200, 200), Row(401, 200, 404, 200), Row(401, 200, 404, 403)

ROWS: dict[str, Row] = {
    "GET /login": Row(200, 200, 200, 200),
    "POST /login": Row(403, 403, 403, 403),  # without the form's own token; test_sign_in has the rest
    "POST /logout": Row(303, 303, 303, 303),
    "POST /preferences": Row(303, 303, 303, 303),
    "GET /": _PAGE,
    "GET /alerts/{alert}": _ALERT,
    "GET /alerts/{alert}/panel": _ALERT,
    "GET /alerts/{alert}/tab/{tab}": _ALERT,
    "POST /alerts/{alert}/acknowledge": _CHANGE,
    "POST /alerts/{alert}/close": _CHANGE,
    "POST /alerts/{alert}/reopen": _CHANGE,
    "POST /alerts/{alert}/assign": _CHANGE,
    "GET /alerts/{alert}/suppress": _ALERT,
    "GET /alerts/{alert}/suppress/count": _ALERT,
    "POST /alerts/{alert}/suppress": _CHANGE,
    "GET /suppressions": _PAGE,
    "POST /suppressions/{tenant}/{identifier}/end": Row(303, 303, 404, 403),
    "POST /alerts/{alert}/pause": _CHANGE,
    "POST /alerts/{alert}/resume": _CHANGE,
    "GET /alerts/{alert}/people": _ALERT,
    "POST /alerts/{alert}/escalate": _CHANGE,
    "POST /alerts/{alert}/undo": Row(303, 303, 404, 404),  # one can only undo one's own change
    "GET /api/v1/alerts": _JSON,
    "GET /api/v1/alerts/counts": _JSON,
    "GET /api/v1/alerts/{alert}": _JSON_ALERT,
    "POST /api/v1/alerts/{alert}/acknowledge": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/close": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/reopen": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/assign": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/suppress": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/pause": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/resume": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/undo": Row(401, 200, 404, 404),
    "POST /bulk": Row(303, 303, 303, 403),
    "GET /jobs/{job}": Row(303, 200, 404, 404),
    "POST /jobs/{job}/cancel": Row(303, 303, 404, 404),
    "POST /jobs/{job}/undo": Row(303, 303, 404, 403),
    "POST /api/v1/bulk": Row(401, 202, 202, 403),
    "GET /api/v1/jobs/{job}": Row(401, 200, 404, 404),
    "POST /api/v1/jobs/{job}/cancel": Row(401, 200, 404, 404),
    "POST /api/v1/jobs/{job}/undo": Row(401, 202, 404, 403),
    "GET /api/v1/openapi.json": Row(200, 200, 200, 200),
    "GET /api/v1/me": _JSON,
    "GET /api/v1/stream": Row(401, 200, 200, 200),
}
VISITORS = ("anonymous", "own", "other", "viewer")
NAMES = {"own": OWN, "other": OTHER, "viewer": VIEWER}


def routes(console: Console) -> set[str]:
    found = [context for context in iter_route_contexts(create(console).routes) if context.methods]
    return {f"{method} {context.path}" for context in found for method in context.methods or () if method != "HEAD"}


def test_every_route_has_a_row(console: Console) -> None:
    assert len(routes(console)) > 15
    assert routes(console) == set(ROWS) | set(CASES)


@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize("route", sorted(ROWS))
def test_a_route_answers_by_who_asks(route: str, visitor: str, store: Store, console: Console) -> None:
    console.feed.close()  # so that the stream ends at once
    lin = console.people.get(OWN)
    state = workflow.state_of(workflow.read(store, lin, VIP.id).doc)
    body = {"verdict": Verdict.BENIGN_POSITIVE.value, "audit_id": "none", "reason": "known", "rule": "true"}
    console.tables.put("suppressions", VIP.tenant, "s1", {"by": "lin", "reason": "known", "rule": "r"})
    if route.endswith(("reopen", "undo")):
        done = workflow.close(store, lin, VIP.id, state, Verdict.DUPLICATE)
        state, body["audit_id"] = workflow.state_of(done.alert.doc), done.audit_id
    elif route.endswith("resume"):
        state = workflow.state_of(workflow.pause(store, lin, VIP.id, state).alert.doc)
    job = ended_job(console, lin) if "{job}" in route else ""
    with visiting(console) as client:
        token = ""
        if visitor != "anonymous":
            sign_in(client, NAMES[visitor])
            token = client.get("/api/v1/me").json()["csrf"]
        status = ask(client, route.replace("{job}", job), {**body, "state": state}, token)
    console.jobs.close()
    assert status == getattr(ROWS[route], visitor)


def ended_job(console: Console, person: Person) -> str:
    """Return a job that has ended and belongs to a person."""
    desk = Desk(console.store, person, datetime.now(UTC))
    job = console.jobs.start(desk, Order(key="ended-job", action="acknowledge", alerts=["none"]))
    wait_until(lambda: console.jobs.get(person, job.id).ended, what="job")
    return job.id


def ask(client: httpx.Client, route: str, body: dict[str, str], token: str) -> int:
    method, path = route.split(" ")
    path = path.replace("{alert}", VIP.id).replace("{tab}", "evidence").replace("{tenant}", VIP.tenant)
    path = path.replace("{identifier}", "s1")
    headers = {"X-CSRF-Token": token, "Idempotency-Key": "asked-by-a-test"}
    if method == "GET":
        return client.get(path).status_code
    if path.startswith("/api/"):
        order = {"key": "asked-by-a-test", "action": "acknowledge", "alerts": [VIP.id]}
        sent = order if path.endswith("/bulk") else body
        return client.post(path, json=sent, headers=headers).status_code
    more = {"name": "lin", "password": PASSWORD, "key": "asked-by-a-test", "action": "acknowledge", "alert": VIP.id}
    return client.post(path, data={**body, **more}, headers=headers).status_code


@pytest.mark.parametrize("route", sorted(name for name in ROWS if name.startswith("POST") and "login" not in name))
def test_a_change_without_the_sessions_token_is_refused_and_audited(
    route: str, client: httpx.Client, store: Store
) -> None:
    sign_in(client, OWN)
    before = workflow.read(store, console_over(store).people.get(OWN), VIP.id).version
    for token in ("", "wrong", form_token(client.get("/login").text)):
        assert ask(client, route, {"state": "x", "verdict": "duplicate", "audit_id": "x"}, token) == 403
    assert workflow.read(store, console_over(store).people.get(OWN), VIP.id).version == before


def test_lists_and_counts_hold_only_ones_own_hospitals(client: httpx.Client) -> None:
    sign_in(client, OTHER)
    listed = client.get("/api/v1/alerts?status=any").json()
    assert {alert["document"]["organization"]["id"] for alert in listed["alerts"]} == {"renai"}
    assert client.get("/api/v1/alerts?tenant=zhongxin&status=any").json()["total"] == 0
    assert client.get("/api/v1/alerts/counts").json() == {"critical": 0, "high": 1, "medium": 1, "low": 0}
    page = client.get("/?status=any").text
    assert VIP.id not in page
    assert "Central Hospital" not in page
