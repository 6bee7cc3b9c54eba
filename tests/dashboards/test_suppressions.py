"""Suppress like this: the row is one that the alerter takes, and is gone when it is taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import suppressions, workflow
from dashboards.workflow import Done
from detections.control.rows import SuppressionRow, parse
from tests.dashboards.site import STORIES, VIP, Story, document
from wardwatch.alert import AlertDocument, Verdict, alert_id
from wardwatch.errors import Conflict, Forbidden, NotFound, RecordError
from wardwatch.store import AlertWrite, Scope, Store

if TYPE_CHECKING:
    from dashboards.auth.people import Person
    from dashboards.console import Console


@pytest.fixture
def lin(console: Console) -> Person:
    return console.people.get("lin")


def suppress(console: Console, person: Person, story: Story = VIP, **more: Any) -> Done:
    doc = workflow.read(console.store, person, story.id).doc
    order = {"rule": True, "fields": ["user.id"], "days": 7, "reason": "second opinion", **more}
    return suppressions.suppress(console.store, console.tables, person, story.id, workflow.state_of(doc), **order)


def rows(console: Console, tenant: str = VIP.tenant) -> dict[str, Any]:
    return dict(console.tables.rows("suppressions", tenant))


def status(store: Store, story: Story = VIP) -> str:
    own = store.alerts.get(Scope("test"), [story.id])[story.id].doc["wardwatch"]["alert"]
    return str(own["status"])


def test_the_row_is_one_that_the_alerter_takes_and_the_alert_is_hidden_with_it(console: Console, lin: Person) -> None:
    done = suppress(console, lin)
    ((identifier, value),) = rows(console).items()
    row = parse(("suppressions", VIP.tenant, identifier), value)
    assert isinstance(row, SuppressionRow)
    assert (row.by, row.reason, row.rule, row.where) == ("lin", "second opinion", VIP.rule, {"user.id": "st_9f2a"})
    assert timedelta(days=7) - (row.expires - datetime.now(UTC)) < timedelta(minutes=1)
    assert rows(console, "renai") == {}
    own = done.alert.doc["wardwatch"]["alert"]
    assert (own["status"], own["suppression_id"], own.get("due_at")) == ("suppressed", identifier, None)


def test_undo_takes_the_row_back_too(console: Console, lin: Person) -> None:
    done = suppress(console, lin)
    suppressions.undo(console.store, console.tables, lin, VIP.id, done.audit_id)
    assert rows(console) == {}
    assert status(console.store) == "new"


def test_undo_of_another_change_leaves_the_rows_alone(console: Console, lin: Person) -> None:
    suppress(console, lin, STORIES[1], fields=[])
    doc = workflow.read(console.store, lin, VIP.id).doc
    done = workflow.close(console.store, lin, VIP.id, workflow.state_of(doc), Verdict.DUPLICATE)
    suppressions.undo(console.store, console.tables, lin, VIP.id, done.audit_id)
    assert len(rows(console)) == 1


def test_somebody_who_was_faster_leaves_no_row(console: Console, lin: Person) -> None:
    old = workflow.state_of(workflow.read(console.store, lin, VIP.id).doc)
    workflow.acknowledge(console.store, lin, VIP.id, old)
    with pytest.raises(Conflict):
        suppressions.suppress(
            console.store, console.tables, lin, VIP.id, old, rule=True, fields=[], days=7, reason="late"
        )
    assert rows(console) == {}


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"reason": "  "}, "say why"),
        ({"reason": "x" * 501}, "say why"),
        ({"days": 3650}, "ends in"),
        ({"rule": False, "fields": []}, "silence everything"),
        ({"fields": ["organization.id"]}, "has no 'organization.id'"),
    ],
)
def test_an_order_without_reason_end_or_scope_is_refused(
    order: dict[str, Any], why: str, console: Console, lin: Person
) -> None:
    with pytest.raises(RecordError, match=why):
        suppress(console, lin, **order)
    assert rows(console) == {}


def test_a_viewer_and_another_hospital_may_not(console: Console) -> None:
    with pytest.raises(Forbidden):
        suppress(console, console.people.get("zhou"))
    with pytest.raises(NotFound):
        suppress(console, console.people.get("ren"))


def recent(number: int, user: str, *, days_ago: float = 1, tenant: str = VIP.tenant) -> AlertWrite:
    """Return an alert of the VIP rule of another user and time."""
    start = datetime.now(UTC) - timedelta(days=days_ago)
    story = replace(VIP, tenant=tenant, group=f"r{number}", entities={"user": {"id": user}})
    doc: AlertDocument = document(story)
    identifier = alert_id(tenant, VIP.rule, f"r{number}", start)
    doc["event"] |= {"id": identifier, "created": start.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    return AlertWrite(identifier, doc)


def test_the_back_test_counts_the_hospitals_alerts_of_seven_days_that_it_would_hide(
    console: Console, store: Store, lin: Person
) -> None:
    alike = [recent(n, "ST_9F2A") for n in range(3)]
    others = [recent(10, "st_other"), recent(11, "st_9f2a", days_ago=8), recent(12, "st_9f2a", tenant="renai")]
    store.alerts.write([*alike, *others])
    doc = workflow.read(store, lin, VIP.id).doc

    def hidden(rule: bool, **fields: str) -> tuple[int, int]:
        found = suppressions.backtest(store, lin.scope, doc, rule, fields)
        assert found.all_seen
        return found.hidden, found.looked

    assert hidden(True, **{"user.id": "st_9f2a"}) == (4, 5)
    assert hidden(True) == (5, 5)
    assert hidden(False, **{"user.id": "st_other"}) == (1, 6)


def test_the_list_shows_ones_own_hospitals_and_ends_a_row(console: Console, lin: Person) -> None:
    suppress(console, lin)
    console.tables.put("suppressions", "", "all", {"by": "ops", "reason": "r", "rule": "x", "expires": "garbled"})
    names = ["renai", "zhongxin"]
    every = suppressions.every(console.tables, lin.scope, names)
    assert [(each.tenant, each.by) for each in every] == [("", "ops"), ("zhongxin", "lin")]
    ren = console.people.get("ren")
    assert [each.tenant for each in suppressions.every(console.tables, ren.scope, names)] == [""]
    identifier = every[1].id
    with pytest.raises(NotFound):
        suppressions.end(console.store, console.tables, ren, "zhongxin", identifier)
    with pytest.raises(NotFound):
        suppressions.end(console.store, console.tables, lin, "zhongxin", "all")
    suppressions.end(console.store, console.tables, lin, "zhongxin", identifier)
    assert rows(console).keys() == {"all"}
