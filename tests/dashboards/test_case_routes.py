"""Every route of cases × the six roles, in the case's hospital and in another, and nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dashboards import workflow
from dashboards.auth.people import Role, new_person
from dashboards.cases import case as cases
from dashboards.cases import evidence, report, requests, work
from dashboards.cases.case import Case, Operator, RequestKind
from dashboards.cases.report import Written
from dashboards.cases.work import AlertRef
from tests.dashboards.site import PASSWORD, STORIES, VIP, Story, sign_in, visiting
from wardwatch.alert import Verdict
from wardwatch.event import parse_time

if TYPE_CHECKING:
    from dashboards.auth.people import Person
    from dashboards.console import Console

READ = set(Role)
WORK = {Role.ADMIN, Role.LEAD, Role.ANALYST}
ANSWER = WORK | {Role.ENGINEER, Role.VIEWER}
ASK = WORK | {Role.VIEWER}
PROVIDER = ANSWER - {Role.VIEWER}

_PARTS: dict[str, set[Role]] = {
    "POST edit": WORK,
    "POST notes": ANSWER,
    "POST tasks": WORK,
    "POST tasks/{task}": WORK,
    "POST close": WORK,
    "POST reopen": WORK,
    "POST merge": WORK,
    "POST split": WORK,
    "POST link": WORK,
    "POST requests": ASK,
    "POST requests/{item}/answer": ANSWER,
    "POST requests/{item}/withdraw": PROVIDER,
    "POST files": ANSWER,
    "GET files/{file}": READ,
    "POST report": ANSWER,
    "POST report/sent": ANSWER,
    "GET export/{kind}": READ,
}
ROWS: dict[str, set[Role]] = {
    f"{part.split(' ')[0]} {root}/{{case}}/{part.split(' ')[1]}": roles
    for part, roles in _PARTS.items()
    for root in ("/cases", "/api/v1/cases")
}
ROWS |= {f"GET {root}{path}": READ for root in ("/cases", "/api/v1/cases") for path in ("", "/{case}")}
ROWS |= {f"POST {root}": WORK for root in ("/cases", "/api/v1/cases")}
LISTS = ("GET /cases", "GET /api/v1/cases")
"""Who may; a list answers everybody, with what is theirs."""


def opened(console: Console, person: Person, story: Story) -> Case:
    state = workflow.state_of(workflow.read(console.store, person, story.id).doc)
    return work.escalate(console.store, person, [AlertRef(story.id, state)], console.clock, "en").case


def prepared(console: Console, route: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the parts of the address of a case as the route needs it, and what to send."""
    store, lin = console.store, console.people.get("lin")
    case, other = opened(console, lin, VIP), opened(console, lin, STORIES[1])
    requests.ask(store, lin, case.id, RequestKind.QUESTION, "Who?", console.clock)
    evidence.add(store, lin, case.id, "a.txt", b"seen")
    known = parse_time("2026-11-26T01:00:00Z")
    case = report.write(store, lin, case.id, "", Written(Operator.OTHER, known, "It happened."))
    if route.endswith("reopen"):
        case = work.close(store, lin, case.id, case.state, Verdict.DUPLICATE)
    fresh = workflow.state_of(workflow.read(store, lin, VIP.id).doc)
    body: dict[str, Any] = {
        "state": case.state,
        "title": "A title",
        "severity": "high",
        "verdict": "duplicate",
        "text": "words",
        "other": other.id,
        "kind": "question",
        "operator": "other",
        "known_at": "2026-11-26T09:00:00Z" if "/api/" in route else "2026-11-26T09:00",
        "with_alerts": True,
        "alerts": [VIP.id],
        "alert": [VIP.id],
    }
    if "{task}" in route:
        body["state"] = case.tasks[0].state
    if "report" in route:
        body["state"] = report.state_of(case)
    if route == "POST /api/v1/cases":
        body["alerts"] = [{"id": VIP.id, "state": fresh}]
    parts = {"case": case.id, "task": case.tasks[0].id, "item": case.requests[0].id, "file": case.files[0].id}
    return parts | {"kind": "markdown"}, body


def ask(client: httpx.Client, route: str, path: str, body: dict[str, Any], token: str) -> int:
    headers = {"X-CSRF-Token": token}
    if route.startswith("GET"):
        return client.get(path).status_code
    if route.endswith("/files"):
        return client.post(path, files={"file": ("b.txt", b"more")}, headers=headers).status_code
    if "/api/" in route:
        return client.post(path, json=body, headers=headers).status_code
    return client.post(path, data=body, headers=headers).status_code


def expected(route: str, role: Role | None, *, own: bool) -> set[int]:
    """Return the answers that are right; of two who may, the second may find the work done already."""
    if role is None:
        return {401 if "/api/" in route else 303}
    if route in LISTS:
        return {200}
    may = role in ROWS[route]
    if not own:
        return {404} if may else {403, 404}
    done = 303 if route.startswith("POST") and "/api/" not in route else 200
    return {done, *_LATE.get(route.rpartition("/")[2], ())} if may else {403}


_OVERTAKEN = ("edit", "close", "reopen", "merge", "split", "answer", "withdraw", "report", "sent", "{task}", "cases")
_LATE = {name: {409} for name in _OVERTAKEN} | {"files": {400}, "split": {400, 409}}


@pytest.mark.parametrize("route", sorted(ROWS))
def test_a_route_of_cases_answers_by_role_and_hospital(route: str, console: Console) -> None:
    for role in Role:
        for where, tenant in (("own", "zhongxin"), ("other", "jishuitan")):
            console.people.add(new_person(f"{role}-{where}", PASSWORD, role, [tenant]))
    parts, body = prepared(console, route)
    path = route.split(" ")[1].format(**parts)
    wrong = []
    with visiting(console) as client:
        status = ask(client, route, path, body, "")
        wrong += [] if status in expected(route, None, own=False) else [f"nobody: {status}"]
        answered = set()
        for role in Role:
            for where in ("other", "own"):
                client.cookies.clear()
                sign_in(client, f"{role}-{where}")
                token = client.get("/api/v1/me").json()["csrf"]
                status = ask(client, route, path, body, token)
                want = expected(route, role, own=where == "own")
                answered |= {status} if where == "own" else set()
                wrong += [] if status in want else [f"{role} {where}: {status}, not {want}"]
    assert wrong == []
    assert answered & {200, 303}


def test_a_change_of_a_case_without_the_sessions_token_is_refused(console: Console) -> None:
    lin = console.people.get("lin")
    with visiting(console) as client:
        sign_in(client, "lin")
        parts, body = prepared(console, "any")
        before = cases.listed(console.store, lin, limit=100)
        for route in sorted(route for route in ROWS if route.startswith("POST")):
            for token in ("", "wrong"):
                assert ask(client, route, route.split(" ")[1].format(**parts), body, token) == 403, route
        upload = client.post(
            f"/cases/{parts['case']}/files", files={"file": ("b.txt", b"more")}, data={"csrf": "wrong"}
        )
        assert upload.status_code == 403
    assert cases.listed(console.store, lin, limit=100) == before
