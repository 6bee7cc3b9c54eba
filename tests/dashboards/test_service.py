from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

import pytest

from dashboards import audit
from dashboards.auth.people import Role
from enrich.notify.deliveries import Delivery
from enrich.notify.notice import Kind
from tests.dashboards.site import form_token, sign_in
from wardwatch import service_levels
from wardwatch.alert import Severity
from wardwatch.event import rfc3339
from wardwatch.service_levels import Calendar
from wardwatch.store import Find

if TYPE_CHECKING:
    import httpx

    from dashboards.console import Console

CHANNEL = {"kind": "slack", "url": "https://hooks.slack.example/T0/B0/s3cr3t"}


@pytest.fixture
def lead(client: httpx.Client, console: Console) -> httpx.Client:
    """A client of a shift lead who sees every hospital."""
    console.people.change("lin", lambda lin: replace(lin, roles=frozenset({Role.LEAD})))
    sign_in(client, "lin")
    return client


def put(client: httpx.Client, table: str, key: str, of: str = "", **fields: str | list[str]) -> httpx.Response:
    """Fill in the form of a row; a field's dots are written as two underscores."""
    csrf = form_token(client.get(f"/service/{table}").text)
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return client.post(f"/service/{table}", data={"csrf": csrf, "key": key, "of": of, **named})


MINUTES = {
    f"{what}__{severity}": str(minutes)
    for what, each in (("acknowledge", (5, 30, 120, 480)), ("decide", (60, 120, 480, 1440)))
    for severity, minutes in zip(("critical", "high", "medium", "low"), each, strict=True)
}


def test_a_hospitals_service_level_is_written_by_a_form_and_is_in_force(lead: httpx.Client, console: Console) -> None:
    answer = put(
        lead,
        "service_levels",
        "default",
        "renai",
        **MINUTES,
        calendar__weekdays=["1", "2", "3", "4", "5"],
        calendar__opens="08:00",
        calendar__closes="18:00",
        calendar__holidays="2026-10-01\n2026-10-02",
        around_the_clock=["critical"],
    )
    assert answer.status_code == 303
    policy = service_levels.policy_of(console.tables.rows("service_levels", "renai"))
    assert (policy.acknowledge.critical, policy.decide.low, policy.by) == (5, 1440, "lin")
    assert policy.calendar == Calendar(
        weekdays=frozenset(range(1, 6)),
        opens=time(8),
        closes=time(18),
        holidays=frozenset([date(2026, 10, 1), date(2026, 10, 2)]),
    )
    assert policy.around_the_clock == {Severity.CRITICAL}
    assert service_levels.policy_of(console.tables.rows("service_levels", "zhongxin")) == service_levels.DEFAULT
    (entry,) = console.store.documents("audit").find(Find({"action": "service_put"})).items
    assert (entry.doc["tenant"], audit.details(entry.doc)["table"]) == ("renai", "service_levels")
    page = lead.get("/service/service_levels?tenant=renai").text
    assert "<dd>Monday, Tuesday, Wednesday, Thursday, Friday</dd>" in page


def test_a_shift_is_typed_in_the_hospitals_time(lead: httpx.Client, console: Console) -> None:
    assert put(lead, "on_call", "night", "renai", person="lin", starts="2026-11-24T18:00", ends="2026-11-25T08:00")
    row = console.tables.rows("on_call", "renai")["night"]
    assert datetime.fromisoformat(row["starts"]) == datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    assert 'value="2026-11-24T18:00"' in lead.get("/service/on_call?key=night&of=renai").text


def test_the_steps_of_a_chain_are_lines_of_the_form(lead: httpx.Client, console: Console) -> None:
    steps = {"steps__0__to": "on_call", "steps__1__after_minutes": "15", "steps__1__to": "person:wang, channel:soc"}
    answer = put(lead, "escalations", "default", severities=["high", "critical"], **steps)
    assert answer.status_code == 303
    row = console.tables.rows("escalations", "")["default"]
    assert row["steps"] == [{"to": ["on_call"]}, {"after_minutes": 15, "to": ["person:wang", "channel:soc"]}]


@pytest.mark.parametrize(
    ("table", "fields", "wrong"),
    [
        ("routes", {"to": "nobody"}, "to"),
        ("routes", {"to": "on_call", "severity": "urgent"}, "severity"),
        ("service_levels", {**MINUTES, "acknowledge__high": "soon"}, "acknowledge.high"),
        ("service_levels", {**MINUTES, "calendar__opens": "19:00", "calendar__closes": "18:00"}, None),
        ("service_levels", {**MINUTES, "calendar__holidays": "tomorrow"}, "calendar.holidays"),
        ("escalations", {"steps__0__to": "on_call", "steps__1__after_minutes": "5"}, "steps.1.to"),
        ("on_call", {"person": "lin", "starts": "at noon", "ends": "2026-11-25T08:00"}, "starts"),
        ("contacts", {}, "channel"),
    ],
)
def test_a_wrong_row_is_shown_again_by_its_field_with_what_was_typed_and_not_written(
    lead: httpx.Client, console: Console, table: str, fields: dict[str, str], wrong: str | None
) -> None:
    answer = put(lead, table, "day", **fields)
    assert answer.status_code == 422
    assert 'role="alert" id="wrong-row">' in answer.text
    marked = re.findall(r'name="([^"]+)"[^>]*aria-invalid="true"', answer.text)
    assert marked == ([wrong] if wrong else [])
    for value in fields.values():
        assert html.escape(value) in answer.text or f'value="{value}"' in answer.text or value == "urgent"
    assert console.tables.rows(table, "") == {}


def test_a_channels_secrets_are_never_shown_and_stay_when_it_is_changed(lead: httpx.Client, console: Console) -> None:
    console.tables.put("channels", "", "soc", dict(CHANNEL))
    for path in ("/service/channels", "/service/channels?key=soc&of="):
        assert "s3cr3t" not in lead.get(path).text
    assert (
        'name="url" type="text" autocomplete="new-password" value="(hidden)"'
        in lead.get("/service/channels?key=soc&of=").text
    )
    assert put(lead, "channels", "soc", kind="slack", url="(hidden)", lang="en", enabled="on").status_code == 303
    kept = console.tables.rows("channels", "")["soc"]
    assert (kept["url"], kept["lang"]) == (CHANNEL["url"], "en")
    for item in console.store.documents("audit").find(Find()).items:
        assert "s3cr3t" not in str(item.doc)
    (told,) = lead.get("/api/v1/service/channels").json()
    assert told["value"]["url"] == "(hidden)"


def test_a_kept_password_goes_to_no_other_server(lead: httpx.Client, console: Console) -> None:
    mail = {
        "kind": "email",
        "host": "mail.example.org",
        "user": "soc",
        "password": "s3cr3t",
        "sender": "soc@example.org",
    }
    console.tables.put("channels", "", "mail", dict(mail))
    kept = {**mail, "password": "(hidden)", "enabled": "on"}
    moved = put(lead, "channels", "mail", **{**kept, "host": "mail.evil.example"})
    assert moved.status_code == 422
    assert "give password again" in moved.text
    assert put(lead, "channels", "mail", **{**kept, "user": "other"}).status_code == 303
    assert console.tables.rows("channels", "")["mail"] == {**mail, "user": "other", "by": "lin"}


def test_a_test_message_is_asked_of_the_scheduler_and_listed(lead: httpx.Client, console: Console) -> None:
    console.tables.put("channels", "", "soc", dict(CHANNEL))
    csrf = form_token(lead.get("/service/channels").text)
    answer = lead.post("/service/channels/try", data={"csrf": csrf, "key": "soc", "of": ""})
    assert answer.headers["location"].startswith("/service/deliveries")
    (item,) = console.store.documents("deliveries").find(Find({"state": "waiting"})).items
    delivery = Delivery.model_validate(item.doc)
    assert (delivery.channel, delivery.kind, delivery.actor) == ("soc", Kind.TRIAL, "lin")
    assert "test message" in lead.get("/service/deliveries").text
    assert lead.post("/service/channels/try", data={"csrf": csrf, "key": "other", "of": ""}).status_code == 404


def test_a_lead_of_one_hospital_names_no_file_of_the_provider(client: httpx.Client, console: Console) -> None:
    console.people.change("ren", lambda ren: replace(ren, roles=frozenset({Role.LEAD})))
    sign_in(client, "ren")
    client.cookies.set("wardwatch_lang", "zh")
    answer = put(client, "channels", "own", "renai", kind="slack", url="file:soc-robot")
    assert answer.status_code == 422
    assert "只有可查看全部医院的人员才能引用密钥文件" in answer.text
    assert console.tables.rows("channels", "renai") == {}


def test_a_lead_of_one_hospital_writes_its_rows_alone(client: httpx.Client, console: Console) -> None:
    console.people.change("ren", lambda ren: replace(ren, roles=frozenset({Role.LEAD})))
    console.tables.put("routes", "", "all", {"to": ["on_call"]})
    console.tables.put("routes", "zhongxin", "theirs", {"to": ["on_call"]})
    sign_in(client, "ren")
    assert put(client, "routes", "ours", "renai", to="on_call").status_code == 303
    assert put(client, "routes", "all", to="on_call").status_code == 403
    assert put(client, "routes", "ours", "zhongxin", to="on_call").status_code == 404
    page = client.get("/service/routes").text
    assert "theirs" not in page
    assert page.count("/service/routes/delete") == 1
    assert {each["key"] for each in client.get("/api/v1/service/routes").json()} == {"all", "ours"}


def test_the_log_says_what_became_of_each_notification(lead: httpx.Client, console: Console) -> None:
    now = rfc3339(datetime.now(UTC))
    for number, (tenant, state) in enumerate((("renai", "sent"), ("zhongxin", "failed"), ("zhongxin", "waiting"))):
        delivery = Delivery(
            id=str(number),
            at=now,
            tenant=tenant,
            channel=f"channel-{number}",
            kind=Kind.NEW,
            severity=Severity.HIGH,
            not_before=now,
            state=state,
            error="it answered 403" if state == "failed" else "",
        )
        console.store.documents("deliveries").create(delivery.id, delivery.model_dump(mode="json"))
    assert all(f"channel-{number}" in lead.get("/service/deliveries").text for number in range(3))
    failed = lead.get("/service/deliveries?state=failed").text
    assert ("channel-1" in failed, "channel-0" in failed, "it answered 403" in failed) == (True, False, True)
    assert lead.get("/api/v1/service/deliveries", params={"tenant": "renai"}).json()["total"] == 1
    console.people.change("ren", lambda ren: replace(ren, roles=frozenset({Role.LEAD})))
    sign_in(lead, "ren")
    seen = [
        lead.get("/api/v1/service/deliveries", params={"tenant": each}).json()["total"] for each in ("", "zhongxin")
    ]
    assert seen == [1, 0]
