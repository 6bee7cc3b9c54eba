from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from dashboards import audit
from dashboards.auth.people import Role
from dashboards.service import EXAMPLES, TABLES
from enrich.notify.deliveries import Delivery
from enrich.notify.notice import Kind
from tests.dashboards.site import form_token, sign_in
from wardwatch import service_levels
from wardwatch.alert import Severity
from wardwatch.event import rfc3339
from wardwatch.store import Find
from wardwatch.table_rows import CHECKS, check

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


def put(client: httpx.Client, table: str, key: str, row: str, of: str = "") -> httpx.Response:
    csrf = form_token(client.get(f"/service/{table}").text)
    return client.post(f"/service/{table}", data={"csrf": csrf, "key": key, "row": row, "of": of})


@pytest.mark.parametrize("table", TABLES)
def test_the_example_of_each_table_is_a_row_that_it_takes(table: Any) -> None:
    assert set(TABLES) == set(CHECKS)
    check(table, EXAMPLES[table])


def test_a_hospitals_service_level_is_written_by_a_form_and_is_in_force(lead: httpx.Client, console: Console) -> None:
    row = """{"acknowledge": {"critical": 5, "high": 30, "medium": 120, "low": 480},
      "decide": {"critical": 60, "high": 120, "medium": 480, "low": 1440}}"""
    assert put(lead, "service_levels", "default", row, "renai").status_code == 303
    policy = service_levels.policy_of(console.tables.rows("service_levels", "renai"))
    assert policy.acknowledge.critical == 5
    assert policy.by == "lin"
    assert service_levels.policy_of(console.tables.rows("service_levels", "zhongxin")) == service_levels.DEFAULT
    (entry,) = console.store.documents("audit").find(Find({"action": "service_put"})).items
    assert (entry.doc["tenant"], audit.details(entry.doc)["table"]) == ("renai", "service_levels")
    page = lead.get("/service/service_levels?tenant=renai").text
    assert "&#34;critical&#34;: 5" in page


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ('{"to": ["nobody"]}', "to.0"),
        ('{"to": ["on_call"], "severity": "urgent"}', "severity"),
        ('{"to": ["on_call"], "more": 1}', "more"),
        ("{", ""),
        ("[]", ""),
    ],
)
def test_a_wrong_row_is_shown_again_with_what_is_wrong_and_not_written(
    lead: httpx.Client, console: Console, row: str, wrong: str
) -> None:
    answer = put(lead, "routes", "day", row)
    assert answer.status_code == 422
    assert f'role="alert" id="wrong-row">{wrong}' in answer.text
    assert html.escape(row, quote=False) in answer.text.replace("&#34;", '"')
    assert console.tables.rows("routes", "") == {}


def test_a_channels_secrets_are_never_shown_and_stay_when_it_is_changed(lead: httpx.Client, console: Console) -> None:
    console.tables.put("channels", "", "soc", dict(CHANNEL))
    for path in ("/service/channels", "/service/channels?key=soc&of="):
        assert "s3cr3t" not in lead.get(path).text
    shown = re.search(r"<textarea[^>]*>(.*?)</textarea>", lead.get("/service/channels?key=soc&of=").text, re.DOTALL)
    assert shown
    row = html.unescape(shown[1]).replace('"kind"', '"lang": "en", "kind"')
    assert put(lead, "channels", "soc", row).status_code == 303
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
    kept = {**mail, "password": "(hidden)"}
    moved = put(lead, "channels", "mail", orjson.dumps({**kept, "host": "mail.evil.example"}).decode())
    assert moved.status_code == 422
    assert "give password again" in moved.text
    assert put(lead, "channels", "mail", orjson.dumps({**kept, "user": "other"}).decode()).status_code == 303
    assert console.tables.rows("channels", "")["mail"]["password"] == "s3cr3t"


def test_a_lead_of_one_hospital_names_no_file_of_the_provider(client: httpx.Client, console: Console) -> None:
    console.people.change("ren", lambda ren: replace(ren, roles=frozenset({Role.LEAD})))
    sign_in(client, "ren")
    client.cookies.set("wardwatch_lang", "zh")
    answer = put(client, "channels", "own", '{"kind": "slack", "url": "file:soc-robot"}', "renai")
    assert answer.status_code == 422
    assert "只有可查看全部医院的人员才能引用密钥文件" in answer.text
    assert console.tables.rows("channels", "renai") == {}


def test_a_lead_of_one_hospital_writes_its_rows_alone(client: httpx.Client, console: Console) -> None:
    console.people.change("ren", lambda ren: replace(ren, roles=frozenset({Role.LEAD})))
    console.tables.put("routes", "", "all", {"to": ["on_call"]})
    console.tables.put("routes", "zhongxin", "theirs", {"to": ["on_call"]})
    sign_in(client, "ren")
    row = '{"to": ["on_call"]}'
    assert put(client, "routes", "ours", row, "renai").status_code == 303
    assert put(client, "routes", "all", row).status_code == 403
    assert put(client, "routes", "ours", row, "zhongxin").status_code == 404
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
