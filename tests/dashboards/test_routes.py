"""Every route × six roles × the hospital of what is asked for, another one, nobody: a route without a row fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from dashboards import workflow
from dashboards.app import create
from dashboards.auth import second_factor
from dashboards.auth.people import Person, Right, Role, new_person
from dashboards.bulk import Order
from dashboards.console import Console
from dashboards.queue import Desk
from dashboards.reviews import is_sampled
from dashboards.visitor import SESSION_COOKIE
from tests.dashboards.site import PASSWORD, STORIES, VIP, Story, console_over, form_token, seed, serving, sign_in, write
from tests.dashboards.test_case_routes import ROWS as CASES
from wardwatch.alert import Verdict
from wardwatch.errors import NotFound
from wardwatch.event import Document
from wardwatch.store import Find, Store, open_store
from wardwatch.testing.ports import wait_until

OWN, OTHER = "zhongxin", "renai"
OWNER = f"analyst-{OWN}"
"""Whose change is taken back and whose job is shown."""


@dataclass(frozen=True)
class Row:
    """The status of who may: has the ``right`` and sees what it is ``about``; ``form`` is what is sent beside.

    An alert and a person are seen within their hospital, a change and a job by OWNER alone.
    """

    status: int
    right: Right | None = None
    about: Literal["", "alert", "person", "owner"] = ""


_PAGE, _ALERT, _PEOPLE = Row(200), Row(200, about="alert"), Row(200, Right.PEOPLE)
_CHANGE, _JSON_CHANGE = Row(303, Right.WORK, "alert"), Row(200, Right.WORK, "alert")
_PERSON, _JSON_PERSON = Row(303, Right.PEOPLE, "person"), Row(204, Right.PEOPLE, "person")

PUBLIC: dict[str, int] = {
    "GET /login": 200,
    "POST /login": 403,  # without the form's own token; test_sign_in has the rest
    "GET /oidc": 404,  # without a provider; test_oidc has the rest
    "GET /oidc/callback": 404,
    "GET /api/v1/openapi.json": 200,
}
ROWS: dict[str, Row] = {
    "GET /login/code": _PAGE,
    "POST /login/code": Row(401),  # test_second_factor has the rest
    "POST /logout": Row(303),
    "POST /preferences": Row(303),
    "GET /": _PAGE,
    "GET /alerts/{alert}": _ALERT,
    "GET /alerts/{alert}/panel": _ALERT,
    "GET /alerts/{alert}/tab/{tab}": _ALERT,
    "GET /alerts/{alert}/people": _ALERT,
    "GET /alerts/{alert}/verdicts": _ALERT,
    "GET /alerts/{alert}/markdown": _ALERT,
    "GET /alerts/{alert}/look": _ALERT,
    "GET /rows": _PAGE,
    "GET /figures": _PAGE,
    "GET /tuning": _PAGE,
    "GET /reports": _PAGE,
    "GET /reports/{tenant}/{month}": _ALERT,
    "GET /reports/{tenant}/{month}/export/{kind}": _ALERT,
    "GET /api/v1/reports/{tenant}/{month}": _ALERT,
    "GET /api/v1/reports/{tenant}/{month}/export/{kind}": _ALERT,
    "GET /reviews": Row(200, Right.WORK),
    "GET /api/v1/reviews": Row(200, Right.WORK),
    "POST /alerts/{alert}/review": Row(303, Right.WORK, "alert"),
    "POST /api/v1/alerts/{alert}/review": Row(204, Right.WORK, "alert"),
    "GET /api/v1/figures": _PAGE,
    "GET /api/v1/tuning": _PAGE,
    "POST /alerts/{alert}/acknowledge": _CHANGE,
    "POST /alerts/{alert}/close": _CHANGE,
    "POST /alerts/{alert}/reopen": _CHANGE,
    "POST /alerts/{alert}/assign": _CHANGE,
    "GET /alerts/{alert}/suppress": _ALERT,
    "GET /alerts/{alert}/suppress/count": _ALERT,
    "POST /alerts/{alert}/suppress": Row(303, Right.SUPPRESS, "alert"),
    "GET /suppressions": _PAGE,
    "POST /views": Row(303),
    "POST /views/delete": Row(303),
    "POST /suppressions/{tenant}/{identifier}/end": Row(303, Right.SUPPRESS, "alert"),
    "POST /alerts/{alert}/pause": _CHANGE,
    "POST /alerts/{alert}/resume": _CHANGE,
    "POST /alerts/{alert}/escalate": _CHANGE,
    "POST /alerts/{alert}/undo": Row(303, Right.WORK, "owner"),
    "POST /bulk": Row(303, Right.WORK),
    "GET /jobs/{job}": Row(200, about="owner"),
    "POST /jobs/{job}/cancel": Row(303, about="owner"),
    "POST /jobs/{job}/undo": Row(303, Right.WORK, "owner"),
    "GET /account": _PAGE,
    "POST /account/password": Row(303),
    "GET /account/second-factor": _PAGE,
    "POST /account/second-factor": _PAGE,
    "POST /account/second-factor/remove": Row(422),  # there is none to remove
    "POST /account/sessions": Row(303),
    "POST /account/tokens": _PAGE,
    "POST /account/tokens/revoke": Row(303),
    "GET /people": _PEOPLE,
    "GET /people/+new": _PEOPLE,
    "POST /people": Row(303, Right.PEOPLE),
    "GET /people/{name}": Row(200, Right.PEOPLE, "person"),
    "POST /people/{name}": _PERSON,
    "POST /people/{name}/password": _PERSON,
    "POST /people/{name}/second-factor": _PERSON,
    "POST /people/{name}/sessions": _PERSON,
    "POST /people/{name}/tokens": _PERSON,
    "GET /api/v1/people": _PEOPLE,
    "POST /api/v1/people": Row(201, Right.PEOPLE),
    "GET /api/v1/people/{name}": Row(200, Right.PEOPLE, "person"),
    "PUT /api/v1/people/{name}": Row(200, Right.PEOPLE, "person"),
    "PUT /api/v1/people/{name}/password": _JSON_PERSON,
    "DELETE /api/v1/people/{name}/second-factor": _JSON_PERSON,
    "DELETE /api/v1/people/{name}/sessions": _JSON_PERSON,
    "DELETE /api/v1/people/{name}/sessions/{session}": _JSON_PERSON,
    "POST /api/v1/people/{name}/tokens/{token}/revoke": Row(200, Right.PEOPLE, "person"),
    "GET /api/v1/account": _PAGE,
    "PUT /api/v1/account/password": Row(204),
    "GET /api/v1/account/second-factor": _PAGE,
    "PUT /api/v1/account/second-factor": _PAGE,
    "POST /api/v1/account/second-factor/remove": Row(422),  # there is none to remove
    "DELETE /api/v1/account/sessions": Row(204),
    "DELETE /api/v1/account/sessions/{session}": Row(204),
    "GET /audit": Row(200, Right.AUDIT),
    "GET /api/v1/audit/{kind}": Row(200, Right.AUDIT),
    "GET /api/v1/alerts": _PAGE,
    "GET /api/v1/alerts/counts": _PAGE,
    "GET /api/v1/alerts/{alert}": _ALERT,
    "POST /api/v1/alerts/{alert}/acknowledge": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/close": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/reopen": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/assign": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/suppress": Row(200, Right.SUPPRESS, "alert"),
    "POST /api/v1/alerts/{alert}/pause": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/resume": _JSON_CHANGE,
    "POST /api/v1/alerts/{alert}/undo": Row(200, Right.WORK, "owner"),
    "POST /api/v1/bulk": Row(202, Right.WORK),
    "GET /api/v1/jobs/{job}": Row(200, about="owner"),
    "POST /api/v1/jobs/{job}/cancel": Row(200, about="owner"),
    "POST /api/v1/jobs/{job}/undo": Row(202, Right.WORK, "owner"),
    **{
        f"GET /api/v1/alerts/{{alert}}/{name}": _ALERT
        for name in ("events", "processes", "related", "history", "verdicts", "people", "markdown", "backtest")
    },
    "GET /api/v1/suppressions": _PAGE,
    "DELETE /api/v1/suppressions/{tenant}/{identifier}": Row(204, Right.SUPPRESS, "alert"),
    "GET /service/deliveries": Row(200, Right.SERVICE),
    "GET /service/{table}": Row(200, Right.SERVICE),
    "POST /service/{table}": Row(303, Right.SERVICE, "alert"),
    "POST /service/channels/try": Row(303, Right.SERVICE, "alert"),
    "POST /service/{table}/delete": Row(303, Right.SERVICE, "alert"),
    "GET /api/v1/service/deliveries": Row(200, Right.SERVICE),
    "GET /api/v1/service/{table}": Row(200, Right.SERVICE),
    "PUT /api/v1/service/{table}/{key}": Row(204, Right.SERVICE, "alert"),
    "POST /api/v1/service/channels/{key}/try": Row(202, Right.SERVICE, "alert"),
    "DELETE /api/v1/service/{table}/{key}": Row(204, Right.SERVICE, "alert"),
    "GET /api/v1/me": _PAGE,
    "GET /api/v1/views": _PAGE,
    "POST /api/v1/views": Row(200),
    "DELETE /api/v1/views/{name}": Row(200),
    "GET /api/v1/stream": _PAGE,
    "GET /api/v1/tokens": _PAGE,
    "POST /api/v1/tokens": Row(201),
    "POST /api/v1/tokens/{token}/revoke": _PAGE,
}
CHANGES = sorted(route for route in ROWS if not route.startswith("GET"))
VISITORS = [(role, tenant) for role in Role for tenant in (OWN, OTHER)]


def expected(row: Row, role: Role, tenant: str) -> set[int]:
    """Return what a visitor may be answered; whether a right or the sight is missed first is not told."""
    may = row.right is None or Person("x", "x", "", frozenset({role}), None).may(row.right)
    seen = {"": True, "alert": tenant == OWN, "person": tenant == OWN, "owner": f"{role}-{tenant}" == OWNER}[row.about]
    if may and seen:
        return {row.status}
    return ({403} if not may else set()) | ({404} if not seen else set())


class Site:
    """One console for all rows: each request has an alert, a job, an account and a token of its own."""

    def __init__(self, console: Console, client: httpx.Client) -> None:
        self.console = console
        self.client = client
        self._numbers = count()

    def ask(self, route: str, visitor: str = "", csrf: str | None = None) -> int:
        """Ask as a visitor, with their session's token unless another is given, and return the status."""
        console, key = self.console, f"asked-by-{next(self._numbers):06d}"
        console.throttle.passed(visitor, "code")
        session = console.sessions.open(visitor) if visitor else ""
        kept = console.sessions.get(session)
        token = csrf if csrf is not None else kept.csrf if kept else ""
        self.client.cookies.clear()
        headers = {"cookie": f"{SESSION_COOKIE}={session}", "X-CSRF-Token": token, "Idempotency-Key": key}
        method, path = route.split(" ")
        path, body = self._about(path, visitor, key)
        if method in ("POST", "PUT") and path.startswith("/api/"):
            return self.client.request(method, path, json=body, headers=headers).status_code
        data = body if method == "POST" else None
        return self.client.request(method, path, data=data, headers=headers).status_code

    def _about(self, path: str, visitor: str, key: str) -> tuple[str, dict[str, Any]]:
        console = self.console
        owner = console.people.get(OWNER)
        story = replace(VIP, group=key)
        body: dict[str, Any] = {"verdict": Verdict.BENIGN_POSITIVE.value, "key": key, "action": "acknowledge"}
        body |= {"name": "lin", "password": PASSWORD}
        if "{alert}" in path or "bulk" in path:
            if path.endswith("review"):
                drawn = (replace(VIP, group=f"{key} {each}") for each in range(1000))
                story = next(each for each in drawn if is_sampled(each.id))
            body |= self._alert(path, story, owner) | {"alert": story.id, "alerts": [story.id]}
        if "suppress" in path:
            body |= {"reason": "known", "rule": "true"}
            console.tables.put("suppressions", OWN, key, {"by": "lin", "reason": "known", "rule": "r"})
            path = path.replace("{tenant}", OWN).replace("{identifier}", key)
        if "{job}" in path:
            path = path.replace("{job}", self._ended_job(owner, key))
        if "/people" in path:
            body = self._account(key, visitor)
            path = path.replace("{name}", key).replace("{token}", body["token"])
            path = path.replace("{session}", self._session(key))
        elif "token" in path:
            body |= self._token(visitor)
            path = path.replace("{token}", body["token"])
        if "second-factor" in path or "code" in path:
            body["secret"] = secret = second_factor.new_secret()
            code = second_factor.code_at(secret, int(time.time()) // second_factor.STEP_S)
            body["code"] = "000000" if path.endswith(("remove", "/login/code")) else code
            with suppress(NotFound):
                console.people.change(visitor, second_factor.without)
        if "service" in path:
            console.tables.put("routes", OWN, key, {"to": ["on_call"]})
            console.tables.put("channels", OWN, key, {"kind": "slack", "url": "https://hooks.slack.example/T0"})
            body |= {"of": OWN, "to": "on_call", "value": {"to": ["on_call"]}}
            path = path.replace("{table}", "routes").replace("{key}/try", f"{key}/try?tenant={OWN}")
            path = path.replace("{key}", f"{key}?tenant={OWN}")
        if "/reports" in path:
            path = path.replace("{tenant}", OWN).replace("{month}", "2026-10").replace("{kind}", "markdown")
        if path == "/rows":
            path = f"/rows?alert={VIP.id}"
        if "/views" in path:
            body["filter"] = {"assignee": "me"}
            path = path.replace("{name}", "mine")
        if path.endswith("/account/password"):
            body |= {"old": PASSWORD, "new": PASSWORD}
        path = path.replace("{session}", self._session(visitor))
        return path.replace("{alert}", story.id).replace("{tab}", "evidence").replace("{kind}", "csv"), body

    def _alert(self, path: str, story: Story, owner: Person) -> dict[str, str]:
        """Write an alert that is as the path needs it; return its state and the id of its change."""
        store = self.console.store
        write(store, story)
        state = workflow.state_of(workflow.read(store, owner, story.id).doc)
        if path.endswith("resume"):
            done = workflow.pause(store, owner, story.id, state)
        elif path.endswith(("reopen", "undo", "review")):
            closer = self.console.people.get("lin") if path.endswith("review") else owner
            done = workflow.close(store, closer, story.id, state, Verdict.BENIGN_POSITIVE)
        else:
            return {"state": state}
        return {"state": workflow.state_of(done.alert.doc), "audit_id": done.audit_id}

    def _ended_job(self, owner: Person, key: str) -> str:
        jobs = self.console.jobs
        order = Order(key=key, action="acknowledge", alerts=["none"])
        job = jobs.start(Desk(self.console.store, owner, datetime.now(UTC)), order)
        wait_until(lambda: jobs.get(owner, job.id).ended, what="job")
        return job.id

    def _account(self, key: str, visitor: str) -> Document:
        people = self.console.people
        people.add(new_person(key, PASSWORD, Role.VIEWER, [OWN]))
        version = people.read(key)[1]
        tenant = visitor.rpartition("-")[2] or OWN
        token = self.console.tokens.add(key, key, frozenset(), None, 1)[1]
        return {
            "account": f"new-{key}",
            "name": f"new-{key}",
            "password": PASSWORD,
            "role": "viewer",
            "roles": ["viewer"],
            "tenant": tenant,
            "tenants": [tenant],
            "version": version,
            "token": token.id,
        }

    def _session(self, name: str) -> str:
        kept = self.console.sessions.get(self.console.sessions.open(name))
        assert kept
        return kept.id

    def _token(self, visitor: str) -> dict[str, Any]:
        token = self.console.tokens.add(visitor, "asked", frozenset(), None, 1)[1]
        return {"token": token.id, "label": "asked", "days": 1}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('site') / 'store.sqlite'}")
    seed(store)
    console = console_over(store)
    lin = console.people.get("lin")
    for role, tenant in VISITORS:
        name = f"{role}-{tenant}"
        console.people.add(replace(lin, name=name, roles=frozenset({role}), tenants=frozenset({tenant})))
    with serving(console) as address, httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        console.feed.close()  # so that streams end at once
        yield Site(console, client)
    console.close()
    store.close()


def routes(console: Console) -> set[str]:
    found = [context for context in iter_route_contexts(create(console).routes) if context.methods]
    return {f"{method} {context.path}" for context in found for method in context.methods or () if method != "HEAD"}


def test_every_route_has_a_row(site: Site) -> None:
    assert routes(site.console) == {*ROWS, *CASES, *PUBLIC}


@pytest.mark.parametrize("route", sorted(PUBLIC))
def test_a_public_route_answers_everybody_alike(route: str, site: Site) -> None:
    answers = {site.ask(route, visitor) for visitor in ("", *(f"{role}-{tenant}" for role, tenant in VISITORS))}
    assert answers == {PUBLIC[route]}


@pytest.mark.parametrize("route", sorted(ROWS))
def test_a_route_answers_by_who_asks(route: str, site: Site) -> None:
    assert site.ask(route) == (401 if "/api/" in route else 303)
    answers = {(role, tenant): site.ask(route, f"{role}-{tenant}") for role, tenant in VISITORS}
    wrong = {who: status for who, status in answers.items() if status not in expected(ROWS[route], *who)}
    assert wrong == {}


@pytest.mark.parametrize("route", CHANGES)
def test_a_change_without_the_sessions_token_is_refused_and_audited(route: str, site: Site) -> None:
    foreign = site.console.sessions.get(site.console.sessions.open("lin"))
    assert foreign
    before = denials(site.console.store)
    assert [site.ask(route, OWNER, token) for token in ("", "wrong", foreign.csrf)] == [403] * 3
    assert denials(site.console.store) == before + 3


def denials(store: Store) -> int:
    return store.documents("audit").find(Find(fields={"action": "denied", "actor": OWNER})).total


def test_lists_and_counts_hold_only_ones_own_hospitals(client: httpx.Client) -> None:
    sign_in(client, "ren")
    listed = client.get("/api/v1/alerts?status=any").json()
    assert {alert["document"]["organization"]["id"] for alert in listed["alerts"]} == {"renai"}
    assert client.get("/api/v1/alerts?tenant=zhongxin&status=any").json()["total"] == 0
    assert client.get("/api/v1/alerts/counts").json() == {"critical": 0, "high": 1, "medium": 1, "low": 0}
    assert client.get("/rows", params={"alert": [VIP.id, STORIES[3].id]}).json().keys() == {STORIES[3].id}
    page = client.get("/?status=any").text
    assert VIP.id not in page
    assert "Central Hospital" not in page
    assert form_token(page)
