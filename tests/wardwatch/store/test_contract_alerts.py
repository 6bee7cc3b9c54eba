"""Alerts: what every store must do, whichever adapter it is."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from tests.wardwatch.store.samples import EVERYBODY, START, alert, settle
from wardwatch.alert import OPEN, AlertDocument, Severity, Status, Verdict
from wardwatch.errors import Conflict, NotFound, RecordError, RejectedByStore
from wardwatch.store import AlertQuery, AlertSort, AlertWrite, Outcome, Result, Scope, Store, Stored, WorkflowChange

STORED, CONFLICT = Result(Outcome.STORED), Result(Outcome.CONFLICT)


def create(store: Store, *writes: AlertWrite) -> list[str]:
    """Write new alerts and return their ids."""
    assert store.alerts.write(writes) == [STORED] * len(writes)
    settle(store)
    return [write.id for write in writes]


def read(store: Store, identifier: str) -> Stored:
    """Return one alert."""
    return store.alerts.get(EVERYBODY, [identifier])[identifier]


def own(stored: Stored) -> dict[str, Any]:
    """Return the part of an alert under ``wardwatch.alert``."""
    fields: dict[str, Any] = stored.doc["wardwatch"]["alert"]
    return fields


def found(store: Store, query: AlertQuery, scope: Scope = EVERYBODY) -> list[str]:
    """Return the ids on the first page."""
    return [item.doc["event"]["id"] for item in store.alerts.search(scope, query).items]


def of(*tenants: str) -> AlertQuery:
    """Return the query for all alerts of these tenants."""
    return AlertQuery(tenants=frozenset(tenants))


def test_a_created_alert_is_new_and_can_be_read_at_once(store: Store, tenant: str) -> None:
    write = alert(tenant)
    assert store.alerts.write([write]) == [STORED]
    stored = read(store, write.id)
    assert own(stored)["status"] == "new"
    del own(stored)["status"]
    assert stored.doc == write.doc


def test_a_created_alert_has_the_workflow_it_is_made_with_and_a_later_write_keeps_it(store: Store, tenant: str) -> None:
    write = replace(alert(tenant), workflow={"status": "suppressed", "suppression_id": "s1"})
    create(store, write)
    again = replace(write, version=read(store, write.id).version, workflow={"status": "new"})
    assert store.alerts.write([again]) == [STORED]
    settle(store)
    assert (own(read(store, write.id))["status"], own(read(store, write.id))["suppression_id"]) == ("suppressed", "s1")
    assert found(store, replace(of(tenant), statuses=frozenset({Status.SUPPRESSED}))) == [write.id]


def test_creating_an_alert_twice_is_a_conflict_and_changes_nothing(store: Store, tenant: str) -> None:
    write = alert(tenant)
    again = alert(tenant, count=7)
    assert store.alerts.write([write, again]) == [STORED, CONFLICT]
    assert own(read(store, write.id))["count"] == 1


def test_a_write_with_the_current_version_replaces_what_detection_knows(store: Store, tenant: str) -> None:
    write = alert(tenant)
    create(store, write)
    later = alert(tenant, count=9, priority=80, last_seen="2026-03-10T03:00:00.000Z")
    assert store.alerts.write([replace(later, version=read(store, write.id).version)]) == [STORED]
    assert own(read(store, write.id)) == {**own(Stored(later.doc, "")), "status": "new"}


def test_what_detection_writes_no_more_is_gone_and_the_workflow_stays(store: Store, tenant: str) -> None:
    first = alert(tenant, user="st_old", group_by={"host.name": "his-ws-07"}, window_s=3600)
    first.doc["host"]["asset"] = {"id": "A-1", "clinical": True}
    (identifier,) = create(store, first)
    changes = {"status": "in_progress", "assignee": "li", "verdict": None}
    changed = store.alerts.workflow(EVERYBODY, identifier, changes, version=read(store, identifier).version)
    later = replace(alert(tenant, user="st_new", count=2, group_by={"user.id": "st_new"}), version=changed.version)
    del later.doc["related"]
    assert store.alerts.write([later]) == [STORED]
    own(Stored(later.doc, "")).update(status="in_progress", assignee="li")
    assert read(store, identifier).doc == later.doc
    settle(store)
    assert found(store, replace(of(tenant), entity="st_old")) == []
    assert found(store, replace(of(tenant), entity="st_new", assignee="li")) == [identifier]


def test_a_write_with_an_old_version_or_of_an_absent_alert_is_a_conflict(store: Store, tenant: str) -> None:
    write, absent = alert(tenant, 1), alert(tenant, 2)
    create(store, write)
    version = read(store, write.id).version
    update = replace(write, version=version)
    assert store.alerts.write([update]) == [STORED]
    stale = replace(alert(tenant, 1, count=99), version=version)
    garbled = replace(stale, version="never/read")
    assert store.alerts.write([stale, replace(absent, version=version), garbled]) == [CONFLICT] * 3
    assert store.alerts.get(EVERYBODY, [absent.id]) == {}


def test_a_workflow_change_is_searchable_on_return_and_leaves_detection_alone(store: Store, tenant: str) -> None:
    (identifier,) = create(store, alert(tenant, count=3))
    before = read(store, identifier)
    changes = {"status": "closed", "verdict": "benign_positive", "reason": "每日巡检", "assignee": "li"}
    after = store.alerts.workflow(EVERYBODY, identifier, changes, version=before.version)
    assert own(after) == {**own(before), **changes}
    assert read(store, identifier) == after
    assert found(store, replace(of(tenant), statuses=frozenset({Status.CLOSED}))) == [identifier]


def test_a_workflow_change_with_an_old_version_is_a_conflict(store: Store, tenant: str) -> None:
    (identifier,) = create(store, alert(tenant))
    version = read(store, identifier).version
    store.alerts.workflow(EVERYBODY, identifier, {"status": "acknowledged"}, version=version)
    for old in (version, "", "1", "x/y", "99/99"):
        with pytest.raises(Conflict):
            store.alerts.workflow(EVERYBODY, identifier, {"status": "closed"}, version=old)
    assert own(read(store, identifier))["status"] == "acknowledged"


def test_none_removes_a_workflow_field(store: Store, tenant: str) -> None:
    (identifier,) = create(store, alert(tenant))
    changes = {"assignee": "li", "verdict": "duplicate"}
    stored = store.alerts.workflow(EVERYBODY, identifier, changes, version=read(store, identifier).version)
    stored = store.alerts.workflow(EVERYBODY, identifier, {"assignee": None, "verdict": None}, version=stored.version)
    assert not {"assignee", "verdict"} & set(own(stored))
    assert not {"assignee", "verdict"} & set(own(read(store, identifier)))
    assert found(store, replace(of(tenant), assignee="")) == [identifier]
    assert store.alerts.count(EVERYBODY, of(tenant), "verdict") == {}


def test_people_cant_change_what_detection_owns(store: Store, tenant: str) -> None:
    (identifier,) = create(store, alert(tenant))
    with pytest.raises(RejectedByStore, match="no workflow field: count"):
        store.alerts.workflow(EVERYBODY, identifier, {"count": 0}, version=read(store, identifier).version)


def test_detection_cant_change_what_people_own(store: Store, tenant: str) -> None:
    (identifier,) = create(store, alert(tenant, status="closed"))
    assert own(read(store, identifier))["status"] == "new"
    sneaky = replace(alert(tenant, status="closed", assignee="me"), version=read(store, identifier).version)
    assert store.alerts.write([sneaky]) == [STORED]
    assert own(read(store, identifier)) == {"count": 1, "priority": 50, "status": "new"}


@pytest.mark.parametrize("seed", range(3))
def test_both_owners_keep_their_fields_in_any_interleaving(store: Store, tenant: str, seed: int) -> None:
    chance = random.Random(seed)
    (identifier,) = create(store, alert(tenant))
    detection: dict[str, Any] = {"count": 1, "priority": 50}
    workflow = {"status": "new"}
    for step in range(12):
        version = read(store, identifier).version
        if chance.random() < 0.5:
            detection = {"count": step, "priority": chance.randrange(100)}
            assert store.alerts.write([replace(alert(tenant, **detection), version=version)]) == [STORED]
        else:
            change: dict[str, Any] = {chance.choice(["status", "assignee", "reason"]): f"v{step}"}
            workflow |= change
            store.alerts.workflow(EVERYBODY, identifier, change, version=version)
    assert own(read(store, identifier)) == detection | workflow


def test_parallel_writers_never_lose_an_update(store: Store, tenant: str) -> None:
    (identifier,) = create(store, alert(tenant, count=0))

    def add_one() -> None:
        while True:
            stored = read(store, identifier)
            more = alert(tenant, count=own(stored)["count"] + 1)
            if store.alerts.write([replace(more, version=stored.version)]) == [STORED]:
                return

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(add_one) for _ in range(20)]:
            done.result()
    assert own(read(store, identifier))["count"] == 20


def test_an_alert_of_another_tenant_does_not_exist(store: Store, tenant: str) -> None:
    other = f"{tenant}x"
    mine, theirs = create(store, alert(tenant), alert(other))
    scope = Scope("viewer", frozenset({tenant}))
    assert set(store.alerts.get(scope, [mine, theirs])) == {mine}
    assert found(store, AlertQuery(rules=frozenset({"vip_lookup"})), scope) == [mine]
    assert found(store, of(other), scope) == []
    assert store.alerts.count(scope, of(other), "status") == {}
    assert store.alerts.count(scope, AlertQuery(), "tenant") == {tenant: 1}
    with pytest.raises(NotFound):
        store.alerts.workflow(scope, theirs, {"status": "closed"}, version=read(store, theirs).version)
    assert own(read(store, theirs))["status"] == "new"


def test_a_scope_without_tenants_sees_nothing(store: Store, tenant: str) -> None:
    (identifier,) = create(store, alert(tenant))
    nobody = Scope("stranger", frozenset())
    assert store.alerts.get(nobody, [identifier]) == {}
    assert store.alerts.search(nobody, AlertQuery()).total == 0
    assert store.alerts.count(nobody, AlertQuery(), "tenant") == {}


@pytest.mark.parametrize("identifier", ["", "x", "a-202603-", "A-202603-00", "a-2026xx-00", "a/../b-202603-1", "*"])
def test_an_id_that_is_none_is_not_found(store: Store, identifier: str) -> None:
    assert store.alerts.get(EVERYBODY, [identifier]) == {}
    with pytest.raises(NotFound):
        store.alerts.workflow(EVERYBODY, identifier, {"status": "closed"}, version="1")


def test_without_any_alert_a_page_is_empty(store: Store, tenant: str) -> None:
    page = store.alerts.search(EVERYBODY, of(tenant))
    assert (page.items, page.total, page.after) == ([], 0, None)
    assert store.alerts.count(EVERYBODY, of(tenant), "severity") == {}
    assert store.alerts.expire(tenant, START) == 0


def walk(store: Store, query: AlertQuery, sort: AlertSort, arrive: Callable[[], None]) -> Iterator[str]:
    """Yield the ids of every page, letting more alerts arrive between two pages."""
    after = None
    while True:
        page = store.alerts.search(EVERYBODY, query, sort=sort, after=after, limit=3)
        yield from (item.doc["event"]["id"] for item in page.items)
        if page.after is None:
            return
        after = page.after
        arrive()


@pytest.mark.parametrize("sort", ["newest", "priority"])
def test_paging_shows_every_alert_once_while_new_ones_arrive(store: Store, tenant: str, sort: AlertSort) -> None:
    first = create(store, *(alert(tenant, number, priority=number % 3 * 10) for number in range(10)))
    numbers = iter(range(100, 200))

    def arrive() -> None:
        create(store, alert(tenant, next(numbers), priority=20))

    seen = Counter(walk(store, of(tenant), sort, arrive))
    assert set(first) <= set(seen)
    assert set(seen.values()) == {1}


def test_the_last_page_has_no_next_even_when_it_is_full(store: Store, tenant: str) -> None:
    create(store, *(alert(tenant, number) for number in range(4)))
    first = store.alerts.search(EVERYBODY, of(tenant), limit=2)
    second = store.alerts.search(EVERYBODY, of(tenant), limit=2, after=first.after)
    assert (len(first.items), first.total, len(second.items), second.total) == (2, 4, 2, 4)
    assert second.after is None


def test_alerts_are_sorted_newest_first_or_by_priority_and_age(store: Store, tenant: str) -> None:
    chance = random.Random(5)
    writes = [alert(tenant, number, priority=chance.choice([0, 40, 80.5])) for number in range(12)]
    same_time = [alert(tenant, number, created=START, priority=40) for number in range(20, 24)]
    ids = create(store, *writes, *same_time)
    docs = {name: read(store, name).doc for name in ids}

    def created(name: str) -> float:
        return datetime.fromisoformat(docs[name]["event"]["created"]).timestamp()

    assert found(store, of(tenant)) == sorted(ids, key=lambda name: (-created(name), name))
    page = store.alerts.search(EVERYBODY, of(tenant), sort="priority")
    assert [item.doc["event"]["id"] for item in page.items] == sorted(
        ids, key=lambda name: (-docs[name]["wardwatch"]["alert"]["priority"], created(name), name)
    )


@pytest.fixture
def mixed(store: Store, tenant: str) -> list[AlertDocument]:
    """Eight alerts that differ in everything that can be filtered."""
    severities = [Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL]
    ids = create(
        store,
        *(
            alert(
                tenant,
                number,
                severity=severities[number % 4],
                rule=("vip_lookup", "tongfang_shape")[number % 2],
                ip=f"10.3.1.{number % 3}",
                host=f"host-{number % 3}",
                user=f"st_{number}",
                patient_token=f"pt_{number}",
            )
            for number in range(8)
        ),
    )
    for number, identifier in enumerate(ids[:4]):
        closed_at = (START + timedelta(hours=number)).isoformat()
        changes: dict[str, Any] = {
            "status": "closed",
            "verdict": list(Verdict)[number],
            "assignee": "li",
            "closed_at": closed_at,
        }
        store.alerts.workflow(EVERYBODY, identifier, changes, version=read(store, identifier).version)
    return [read(store, name).doc for name in ids]


FILTERS: list[tuple[AlertQuery, Callable[[AlertDocument], bool]]] = [
    (
        AlertQuery(statuses=frozenset({Status.CLOSED, Status.ESCALATED})),
        lambda doc: doc["wardwatch"]["alert"]["status"] == "closed",
    ),
    (
        AlertQuery(severities=frozenset({Severity.HIGH, Severity.CRITICAL})),
        lambda doc: doc["event"]["severity"] in (73, 99),
    ),
    (AlertQuery(severities=frozenset({Severity.INFORMATIONAL})), lambda doc: doc["event"]["severity"] == 21),
    (
        AlertQuery(verdicts=frozenset({Verdict.TRUE_POSITIVE})),
        lambda doc: doc["wardwatch"]["alert"].get("verdict") == "true_positive",
    ),
    (AlertQuery(rules=frozenset({"tongfang_shape"})), lambda doc: doc["rule"]["id"] == "tongfang_shape"),
    (AlertQuery(assignee="li"), lambda doc: doc["wardwatch"]["alert"].get("assignee") == "li"),
    (AlertQuery(assignee=""), lambda doc: "assignee" not in doc["wardwatch"]["alert"]),
    (AlertQuery(entity="10.3.1.1"), lambda doc: doc["related"]["ip"] == ["10.3.1.1"]),
    (AlertQuery(entity="host-2"), lambda doc: doc["host"]["name"] == "host-2"),
    (AlertQuery(entity="st_5"), lambda doc: doc["user"]["id"] == "st_5"),
    (AlertQuery(entity="pt_6"), lambda doc: doc["wardwatch"]["alert"]["patient_token"] == "pt_6"),
    (AlertQuery(entity="10.3.1"), lambda _: False),
    (AlertQuery(text="host-1"), lambda doc: doc["host"]["name"] == "host-1"),
    (
        AlertQuery(created_from=START + timedelta(minutes=2), created_to=START + timedelta(minutes=5)),
        lambda doc: doc["event"]["created"][14:16] in ("02", "03", "04"),
    ),
    (
        AlertQuery(closed_from=START + timedelta(hours=2)),
        lambda doc: doc["wardwatch"]["alert"].get("closed_at", "")[11:13] in ("04", "05"),
    ),
    (
        AlertQuery(rules=frozenset({"vip_lookup"}), statuses=frozenset({Status.NEW}), text="VIP patient"),
        lambda doc: doc["rule"]["id"] == "vip_lookup" and doc["wardwatch"]["alert"]["status"] == "new",
    ),
]


def test_each_filter_finds_exactly_the_alerts_that_meet_it(
    store: Store, tenant: str, mixed: list[AlertDocument]
) -> None:
    for query, meets in FILTERS:
        expected = {doc["event"]["id"] for doc in mixed if meets(doc)}
        page = store.alerts.search(EVERYBODY, replace(query, tenants=frozenset({tenant})))
        assert {item.doc["event"]["id"] for item in page.items} == expected, query
        assert page.total == len(expected), query


@pytest.mark.parametrize(
    ("by", "value"),
    [
        ("severity", lambda doc: {21: "low", 47: "medium", 73: "high", 99: "critical"}[doc["event"]["severity"]]),
        ("status", lambda doc: doc["wardwatch"]["alert"]["status"]),
        ("tenant", lambda doc: doc["organization"]["id"]),
        ("rule", lambda doc: doc["rule"]["id"]),
        ("verdict", lambda doc: doc["wardwatch"]["alert"].get("verdict")),
        ("assignee", lambda doc: doc["wardwatch"]["alert"].get("assignee")),
    ],
)
def test_counts_add_up_by_each_field(
    store: Store,
    tenant: str,
    mixed: list[AlertDocument],
    by: Literal["severity", "status", "tenant", "rule", "verdict", "assignee"],
    value: Callable[[AlertDocument], str | None],
) -> None:
    expected = Counter(name for doc in mixed if (name := value(doc)) is not None)
    assert store.alerts.count(EVERYBODY, of(tenant), by) == expected


def test_totals_are_what_a_search_of_each_query_counts(store: Store, tenant: str, mixed: list[AlertDocument]) -> None:
    now = datetime.now(UTC)
    queries = [
        of(tenant),
        AlertQuery(tenants=frozenset([tenant]), statuses=OPEN, heads=True),
        AlertQuery(tenants=frozenset([tenant]), statuses=OPEN, heads=True, assignee=""),
        AlertQuery(tenants=frozenset([tenant]), statuses=OPEN, heads=True, severities=frozenset([Severity.HIGH])),
        AlertQuery(tenants=frozenset([tenant]), statuses=OPEN, heads=True, due_before=now + timedelta(days=9)),
        AlertQuery(tenants=frozenset([tenant]), statuses=frozenset([Status.CLOSED])),
        AlertQuery(tenants=frozenset(["nobody"])),
        of(tenant),
    ]
    searched = [store.alerts.search(EVERYBODY, query).total for query in queries]
    assert searched[0] == len(mixed)
    assert store.alerts.totals(EVERYBODY, queries) == searched
    assert store.alerts.totals(Scope("li.na", frozenset(["other"])), queries) == [0] * len(queries)
    assert store.alerts.totals(EVERYBODY, []) == []


WORDS = [
    ("患者", 1),
    ("非授权", 1),
    ("查阅", 1),
    ("患", 1),
    ("VIP患者", 1),
    ("vip", 1),
    ("VIP 查阅", 1),
    ("患阅", 0),
    ("统方", 0),
    ("10.3.1.5", 1),
    ("st_4f2a", 1),
    ("WARD", 1),
    ("ward missing", 0),
    ("  ", 1),
]


def test_text_finds_words_of_both_languages(store: Store, tenant: str) -> None:
    create(store, alert(tenant, message="非授权查阅VIP患者病历", reason="A nurse of another ward read it"))
    for text, hits in WORDS:
        assert len(found(store, replace(of(tenant), text=text))) == hits, text


HOSTILE = [
    '" OR 1=1',
    "*",
    "AND (",
    "NOT",
    '"',
    "'; DROP TABLE alerts; --",
    "{}[]()~^:\\/",
    "NEAR(a b)",
    "text:a",
    "-zz",
]


def test_hostile_text_finds_nothing_and_fails_nothing(store: Store, tenant: str) -> None:
    create(store, alert(tenant))
    for text in [*HOSTILE, "-zz", "a* OR b", "🔥", "a\0b", "\ud800", "x\ud800y", "x" * 10_000, "( " * 500]:
        assert found(store, replace(of(tenant), text=text)) == [], text
    assert found(store, replace(of(tenant), entity="'\" OR 1=1 --")) == []


GARBLED = ["", "x", "!!!", "bnVsbA", "WzFd", "WyIxIiwyXQ", "é", "WzFlNDAwLCJhIl0", "[]"]


@pytest.mark.parametrize("sort", ["newest", "priority"])
def test_a_garbled_page_key_is_a_clear_error(store: Store, tenant: str, sort: AlertSort) -> None:
    for cursor in GARBLED:
        with pytest.raises(RecordError, match="the page's key is garbled"):
            store.alerts.search(EVERYBODY, of(tenant), sort=sort, after=cursor)


def test_whole_months_expire(store: Store, tenant: str) -> None:
    months = [datetime(2026, month, 20, tzinfo=UTC) for month in (1, 2, 3)]
    ids = create(store, *(alert(tenant, created=month) for month in months))
    other = create(store, alert(f"{tenant}x", created=months[0]))
    assert store.alerts.expire(tenant, datetime(2026, 3, 25, tzinfo=UTC)) == 2
    assert set(store.alerts.get(EVERYBODY, ids + other)) == {ids[2], *other}
    assert found(store, of(tenant)) == [ids[2]]
    assert found(store, replace(of(tenant), text="VIP")) == [ids[2]]
    assert store.alerts.expire(tenant, datetime(2026, 3, 25, tzinfo=UTC)) == 0


def test_only_the_poisonous_alerts_of_a_batch_are_rejected(store: Store, tenant: str) -> None:
    good = [alert(tenant, number) for number in range(3)]
    poison = [
        AlertWrite("no alert id", good[0].doc),
        AlertWrite(good[0].id[:-1] + "x", good[0].doc),
        alert(tenant, 10, priority="high"),
        alert(tenant, 11, priority=float("nan")),
        alert(tenant, 12, note="\ud800"),
        alert(tenant, 13, huge=2**70),
        replace(alert(tenant, 14), doc={**alert(tenant, 14).doc, "wardwatch": "none"}),
    ]
    for name in ("created", "severity"):
        bad = alert(tenant, 15)
        bad.doc["event"][name] = "soon"
        poison.append(bad)
    results = store.alerts.write([good[0], *poison[:4], good[1], *poison[4:], good[2]])
    outcomes = [result.outcome for result in results]
    assert outcomes.count(Outcome.STORED) == 3
    assert outcomes.count(Outcome.REJECTED) == len(poison)
    assert all(result.reason for result in results if result.outcome is Outcome.REJECTED)
    assert set(store.alerts.get(EVERYBODY, [write.id for write in good])) == {write.id for write in good}


def test_repeating_a_change_is_a_change(store: Store, tenant: str) -> None:
    (identifier,) = create(store, alert(tenant))
    first = read(store, identifier).version
    second = store.alerts.workflow(EVERYBODY, identifier, {"status": "new"}, version=first).version
    assert store.alerts.write([replace(alert(tenant), version=second)]) == [STORED]
    assert len({first, second, read(store, identifier).version}) == 3


def test_any_field_name_and_type_lives_beside_any_other(store: Store, tenant: str) -> None:
    group = {"a": 1, "a.b": "x", "'; --": True, "x" * 300: "long", "病区": "ICU", "$": {"deep": ["y"]}}
    first = alert(tenant, 1, group_by=group)
    second = alert(tenant, 2, group_by={"a": {"b": {"c": 1}}, "$": 7})
    many = alert(tenant, 3, group_by={f"name{number}": number for number in range(3000)})
    ids = create(store, first, second, many)
    assert [own(read(store, name))["group_by"] for name in ids] == [
        own(Stored(write.doc, ""))["group_by"] for write in (first, second, many)
    ]


def with_due(store: Store, tenant: str, *dues: str | None) -> list[str]:
    """Create alerts of one priority, numbered in order of creation, with these deadlines."""
    writes = [
        replace(alert(tenant, number), workflow={"status": "new", **({"due_at": due} if due else {})})
        for number, due in enumerate(dues)
    ]
    return create(store, *writes)


@pytest.mark.parametrize("sort", ["priority", "due"])
def test_of_one_priority_the_nearest_deadline_comes_first_over_all_pages(
    store: Store, tenant: str, sort: AlertSort
) -> None:
    late, none, soon, also_none, same = with_due(
        store, tenant, "2026-03-11T02:00:00.000Z", None, "2026-03-10T02:15:00.000Z", None, "2026-03-11T02:00:00.000Z"
    )
    seen: list[str] = []
    after: str | None = None
    while True:
        page = store.alerts.search(EVERYBODY, of(tenant), sort=sort, after=after, limit=2)
        seen += [item.doc["event"]["id"] for item in page.items]
        if (after := page.after) is None:
            break
    assert seen == [soon, late, same, none, also_none]


def test_alerts_are_found_by_their_deadline(store: Store, tenant: str) -> None:
    soon, later, _ = with_due(store, tenant, "2026-03-10T02:15:00.000Z", "2026-03-10T02:30:00.000Z", None)
    moment = datetime(2026, 3, 10, 2, 30, tzinfo=UTC)
    assert found(store, replace(of(tenant), due_before=moment)) == [soon]
    assert set(found(store, replace(of(tenant), due_before=moment + timedelta(seconds=1)))) == {soon, later}


def test_alerts_whose_deadline_was_told_are_left_out(store: Store, tenant: str) -> None:
    due = "2026-03-10T02:15:00.000Z"
    states = ("soon", "breached", None)
    soon, breached, untold = create(
        store,
        *(
            replace(
                alert(tenant, n), workflow={"status": "new", "due_at": due, **({"sla_state": state} if state else {})}
            )
            for n, state in enumerate(states)
        ),
    )
    query = replace(of(tenant), due_before=datetime(2026, 3, 10, 3, tzinfo=UTC))
    assert set(found(store, replace(query, untold=frozenset({"breached"})))) == {soon, untold}
    assert found(store, replace(query, untold=frozenset({"soon", "breached"}))) == [untold]
    assert set(found(store, query)) == {soon, breached, untold}


def test_alerts_are_found_by_criticality_series_and_case(store: Store, tenant: str) -> None:
    first, second, third = (
        replace(alert(tenant, number, asset_criticality=name)) for number, name in enumerate(("therapy", "office", ""))
    )
    create(store, first)
    create(store, replace(second, workflow={"status": "new", "continues": first.id, "case_id": "c1"}), third)
    assert found(store, replace(of(tenant), criticalities=frozenset({"therapy", "diagnostic"}))) == [first.id]
    assert set(found(store, replace(of(tenant), heads=True))) == {first.id, third.id}
    series = replace(of(tenant), series=frozenset({first.id, third.id}))
    assert found(store, series) == [second.id]
    assert store.alerts.count(EVERYBODY, series, "series") == {first.id: 1}
    assert found(store, replace(of(tenant), case="c1")) == [second.id]


def test_many_workflows_are_changed_each_by_itself(store: Store, tenant: str) -> None:
    writes = [alert(tenant, number) for number in range(4)]
    create(store, *writes)
    before = [read(store, write.id) for write in writes]
    store.alerts.workflow(EVERYBODY, writes[1].id, {"assignee": "lin"}, version=before[1].version)
    closing = {"status": "closed", "verdict": "duplicate"}
    absent = Stored(alert(tenant, 99).doc, before[0].version)
    changes = [WorkflowChange(each, closing) for each in [*before, absent]]
    results = store.alerts.workflows(EVERYBODY, changes)
    assert results == [STORED, CONFLICT, STORED, STORED, CONFLICT]
    assert set(found(store, replace(of(tenant), verdicts=frozenset({Verdict.DUPLICATE})))) == {
        writes[0].id,
        writes[2].id,
        writes[3].id,
    }
    assert own(read(store, writes[1].id))["status"] == "new"


def test_many_workflows_are_changed_and_nothing_else_of_their_alerts(store: Store, tenant: str) -> None:
    write = alert(tenant, host="his-ws-09")
    create(store, write)
    first = read(store, write.id)
    store.alerts.workflows(EVERYBODY, [WorkflowChange(first, {"assignee": "lin", "verdict": "duplicate"})])
    second = read(store, write.id)
    store.alerts.workflows(EVERYBODY, [WorkflowChange(second, {"assignee": None})])
    third = read(store, write.id)
    assert third.doc == {**first.doc, "wardwatch": {"alert": {**own(first), "verdict": "duplicate"}}}
    for query in (AlertQuery(text="his-ws-09"), AlertQuery(entity="his-ws-09"), AlertQuery(text="VIP")):
        assert found(store, replace(query, tenants=frozenset({tenant}))) == [write.id]


def test_many_workflows_are_changed_only_in_scope(store: Store, tenant: str) -> None:
    write = alert(tenant)
    create(store, write)
    change = WorkflowChange(read(store, write.id), {"assignee": "ren"})
    assert store.alerts.workflows(Scope("ren", frozenset({f"{tenant}x"})), [change]) == [CONFLICT]
    assert "assignee" not in own(read(store, write.id))
    with pytest.raises(RejectedByStore, match="count"):
        store.alerts.workflows(EVERYBODY, [replace(change, changes={"count": 5})])
