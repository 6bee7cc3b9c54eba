from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

from dashboards import suppressions, workflow
from dashboards.auth.people import Role, new_person
from dashboards.cases import requests, work
from dashboards.cases.case import Case, CaseStatus, RequestKind
from dashboards.cases.work import AlertRef
from dashboards.i18n import LANGUAGES, word
from dashboards.monthly.report import MonthlyReport, before, bounds, monthly
from dashboards.monthly.sections import markdown, sections
from tests.dashboards.site import PASSWORD, VIP, document, sign_in
from wardwatch.alert import Finding, Severity, Verdict, alert_id, machine_alert, new_workflow
from wardwatch.errors import NotFound
from wardwatch.event import rfc3339
from wardwatch.service_levels import DEFAULT, Clock
from wardwatch.store import AlertWrite, Find, Outcome

if TYPE_CHECKING:
    import httpx

    from dashboards.auth.people import Person
    from dashboards.console import Console

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
START = datetime(2026, 9, 30, 16, tzinfo=UTC)
END = datetime(2026, 10, 31, 16, tzinfo=UTC)
"""October in Shanghai, which is eight hours ahead."""
_numbers = count()


@pytest.fixture
def lin(console: Console) -> Person:
    return console.people.get("lin")


def of_month(console: Console, person: Person, tenant: str = "zhongxin", month: str = "2026-10") -> MonthlyReport:
    return monthly(console.store, person.scope, console.hospitals.get(tenant), month, NOW)


def raised(console: Console, at: datetime, *, tenant: str = "zhongxin", minutes: float = 0, **flow: Any) -> str:
    """Write an alert raised then, decided so many minutes later; return its id."""
    story = replace(VIP, tenant=tenant, group=f"monthly {next(_numbers)}")
    doc = document(story)
    doc["event"]["created"] = doc["@timestamp"] = rfc3339(at)
    doc["wardwatch"]["alert"] |= {"first_seen": rfc3339(at), "last_seen": rfc3339(at)}
    own = new_workflow(Clock(DEFAULT, story.severity, UTC).started(at)) | flow
    if minutes:
        done = rfc3339(at + timedelta(minutes=minutes))
        own |= {"status": "closed", "ack_at": done, "decided_at": done, "closed_at": done}
    (result,) = console.store.alerts.write([AlertWrite(story.id, doc, None, own)])
    assert result.outcome is Outcome.STORED, result
    return story.id


def silence(console: Console, at: datetime, until: datetime | None, **changes: Any) -> None:
    """Write the alert of a source that was not heard, as its job does."""
    since = at - timedelta(minutes=30)
    finding = Finding(
        id=alert_id("zhongxin", "silent_source", "pacs", since),
        tenant="zhongxin",
        organization="Central Hospital",
        rule="silent_source",
        severity=Severity.MEDIUM,
        title={"en": "Log source silent", "zh": "日志来源静默"},
        sentence={"en": "Nothing came.", "zh": "没有日志。"},
        response={"en": "Ask.", "zh": "询问。"},
        group={"log.source": "pacs"},
        priority_reasons=[{"term": "severity", "value": 0.5, "points": 17.5}],
        first_seen=rfc3339(since),
        last_seen=rfc3339(until or since),
    )
    doc = machine_alert(finding, created=rfc3339(at), recovered_at=rfc3339(until) if until else None)
    flow = new_workflow(Clock(DEFAULT, Severity.MEDIUM, UTC).started(at)) | changes
    console.store.alerts.write([AlertWrite(finding.id, doc, None, flow)])


def case(console: Console, number: int, opened: datetime, closed: datetime | None = None, **values: Any) -> None:
    """Write a case that was opened, and closed, then."""
    fields = {
        "id": f"zhongxin-{number}",
        "tenant": "zhongxin",
        "at": rfc3339(closed or opened),
        "by": "lin",
        "change": "",
        "created_at": rfc3339(opened),
        "created_by": "lin",
        "title": f"Case {number}",
        "severity": Severity.HIGH,
        "status": CaseStatus.CLOSED if closed else CaseStatus.OPEN,
        "open": closed is None,
        "closed_at": rfc3339(closed) if closed else None,
    }
    made = Case.model_validate(fields | values)
    console.store.documents("cases").create(made.id, made.model_dump(mode="json"))


def test_a_month_is_that_of_the_hospitals_calendar(console: Console, lin: Person) -> None:
    assert bounds(console.hospitals.get("zhongxin"), "2026-10") == (START, END)
    second = timedelta(seconds=1)
    for at in (START - second, START, END - second, END):
        raised(console, at)
    found = of_month(console, lin)
    assert (found.whole.alerts, found.before.alerts) == (2, 1)
    assert (found.start, found.end) == (rfc3339(START), rfc3339(END))


@pytest.mark.parametrize(
    ("month", "back", "expected"),
    [("2026-10", 1, "2026-09"), ("2026-01", 1, "2025-12"), ("2026-12", -1, "2027-01"), ("2026-03", 15, "2024-12")],
)
def test_months_are_counted_over_the_years(month: str, back: int, expected: str) -> None:
    assert before(month, back) == expected


def test_the_figures_are_of_one_hospital_and_what_suppressions_hid_stands_apart(console: Console, lin: Person) -> None:
    at = START + timedelta(days=3)
    raised(console, at, minutes=10, verdict="true_positive", case_id="zhongxin-1")
    raised(console, at, minutes=600, verdict="benign_positive")
    raised(console, at, status="suppressed")
    raised(console, at, minutes=10, verdict="exercise")
    raised(console, at, tenant="renai")
    found = of_month(console, lin)
    assert (found.whole.alerts, found.whole.in_cases, found.hidden) == (2, 1, 1)
    assert (found.whole.precision, found.whole.decided_in_time) == (0.5, 0.5)
    assert [(each.rule, each.title["zh"], each.figures.alerts) for each in found.rules] == [
        (VIP.rule, VIP.title["zh"], 2)
    ]
    assert list(found.severities) == ["critical"]


def test_cases_are_those_that_were_open_in_the_month(console: Console, lin: Person) -> None:
    day = timedelta(days=1)
    case(console, 1, START - 40 * day)  # open since, nobody touched it
    case(console, 2, START - 40 * day, START - day, at=rfc3339(START + day))  # its lessons were written later
    case(console, 3, START - day, START + day, verdict="true_positive", lessons="Ask first.")
    case(console, 4, END - day, END + day)
    case(console, 5, END + day)
    found = of_month(console, lin)
    assert [(each.id, each.status) for each in found.cases] == [
        ("zhongxin-1", "open"),
        ("zhongxin-3", "closed"),
        ("zhongxin-4", "closed"),
    ]
    assert (found.cases[1].verdict, found.cases[1].lessons) == ("true_positive", "Ask first.")


def test_requests_to_the_hospital_without_an_answer_are_listed(console: Console, lin: Person) -> None:
    ids = [raised(console, datetime.now(UTC)) for _ in range(2)]
    refs = [AlertRef(each, workflow.state_of(workflow.read(console.store, lin, each).doc)) for each in ids]
    cases = [work.escalate(console.store, lin, [ref], console.clock, "en").case for ref in refs]
    zhou = console.people.get("zhou")
    for made, text in zip(cases, ("Is the vendor on site?", "Is it patched?"), strict=True):
        asked = requests.ask(console.store, lin, made.id, RequestKind.QUESTION, text, console.clock)
    requests.answer(console.store, zhou, asked.id, asked.requests[0].id, "Yes.", console.clock)
    requests.ask(console.store, zhou, asked.id, RequestKind.QUESTION, "When are you here?", console.clock)
    now = datetime.now(UTC)
    found = monthly(console.store, lin.scope, console.hospitals.get("zhongxin"), f"{now:%Y-%m}", now)
    assert [(each.case, each.text) for each in found.awaited] == [(cases[0].id, "Is the vendor on site?")]


def test_silences_stand_with_their_ends_even_if_expected(console: Console, lin: Person) -> None:
    silence(console, START + timedelta(days=2), None)
    silence(console, START + timedelta(days=1), START + timedelta(days=1, hours=3), status="suppressed")
    silence(console, START - timedelta(days=1), START)
    found = of_month(console, lin)
    assert [(each.source, each.since, each.until) for each in found.silences] == [
        ("pacs", "2026-10-01T15:30:00.000Z", "2026-10-01T19:00:00.000Z"),
        ("pacs", "2026-10-02T15:30:00.000Z", None),
    ]
    table = next(each for each in sections(found, console.hospitals.get("zhongxin"), "en") if "not heard" in each.title)
    assert table.rows == [
        ["pacs", "2026-10-01 23:30", "2026-10-02 03:00", "3 h 30 min"],
        ["pacs", "2026-10-02 23:30", "still not heard", "—"],
    ]


def test_a_suppression_made_from_an_alert_is_told_as_tuning(console: Console, lin: Person) -> None:
    state = workflow.state_of(workflow.read(console.store, lin, VIP.id).doc)
    store, why = console.store, "A second opinion"
    suppressions.suppress(store, console.tables, lin, VIP.id, state, rule=True, fields=[], days=7, reason=why)
    now = datetime.now(UTC)
    found = monthly(console.store, lin.scope, console.hospitals.get("zhongxin"), f"{now:%Y-%m}", now)
    assert [(each.by, each.reason) for each in found.suppressions] == [("lin", "A second opinion (lin)")]
    other = monthly(console.store, lin.scope, console.hospitals.get("renai"), f"{now:%Y-%m}", now)
    assert other.suppressions == []


def test_a_month_to_come_and_a_hospital_of_others_do_not_exist(
    client: httpx.Client, console: Console, lin: Person
) -> None:
    with pytest.raises(NotFound):
        of_month(console, lin, month="2026-12")
    with pytest.raises(NotFound):
        of_month(console, console.people.get("zhou"), "renai")
    console.people.add(new_person("chief", PASSWORD, Role.ADMIN, []))
    sign_in(client, "chief")
    paths = ("/reports/nowhere/2026-10", "/reports/renai/2099-12", "/reports/renai/2026-13", "/reports/renai/0000-01")
    for start in ("", "/api/v1"):
        assert [client.get(start + path).status_code for path in paths] == [404, 404, 422, 422]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_the_download_and_the_api_say_the_same(
    client: httpx.Client, console: Console, lin: Person, lang: str
) -> None:
    for minutes in (10, 20, 600):
        raised(console, START + timedelta(days=3), minutes=minutes, verdict="true_positive")
    client.cookies.set("wardwatch_lang", lang)
    sign_in(client, "zhou")
    told = client.get("/api/v1/reports/zhongxin/2026-10").json()
    assert (told["whole"]["alerts"], told["whole"]["verdicts"]) == (3, {"true_positive": 3})
    said = word(lang, "monthly.said_alerts", alerts=3, before=0, decided=3, true=3)
    for path in ("", "/export/html"):
        page = client.get(f"/reports/zhongxin/2026-10{path}")
        assert said in page.text
        assert VIP.title[lang].replace("'", "&#39;") in page.text
    assert "<script" not in page.text
    assert page.headers["content-security-policy"].endswith("sandbox")
    assert page.headers["content-disposition"] == "attachment; filename*=UTF-8''zhongxin-2026-10.html"
    assert "/reports/zhongxin/2026-09" in client.get("/reports").text
    assert "/reports/renai" not in client.get("/reports").text
    records = [item.doc for item in console.store.documents("audit").find(Find({"action": "export"})).items]
    assert [(each["actor"], each["what"], each["tenant"], each["month"]) for each in records] == [
        ("zhou", "report", "zhongxin", "2026-10")
    ]


def test_in_markdown_every_table_is_whole_and_what_others_wrote_stays_text(console: Console, lin: Person) -> None:
    hostile = "a | b <script>x</script> ![i](http://evil.example/i.png) `c`"
    case(console, 3, START, END - timedelta(days=1), verdict=Verdict.TRUE_POSITIVE, lessons=hostile)
    raised(console, START + timedelta(days=3), minutes=10, verdict="true_positive")
    parts = sections(of_month(console, lin), console.hospitals.get("zhongxin"), "en")
    read = MarkdownIt("commonmark").enable("table").parse(markdown("October", parts))
    kinds = [token.type for token in read]
    assert kinds.count("table_open") == sum(1 for each in parts if each.rows)
    assert kinds.count("td_open") == sum(len(row) for each in parts for row in each.rows)
    assert kinds.count("heading_open") == 1 + len(parts)
    children = [child.type for token in read for child in token.children or ()]
    assert set(children) <= {"text", "text_special"}
    assert any(token.content.replace("\\", "") == hostile for token in read if token.type == "inline")
