"""Events: what every store must do, whichever adapter it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.wardwatch.store.samples import EVERYBODY, START, event, settle
from wardwatch.errors import NotFound, RecordError
from wardwatch.event import LOGSOURCE, MAX_BYTES, Document, Event, LogSource, encode, rfc3339
from wardwatch.store import Kinds, Outcome, Page, Result, Scope, Store
from wardwatch.store.reading import event_day

STORED, THERE = Result(Outcome.STORED), Result(Outcome.ALREADY_THERE)


def archive(store: Store, *events: Event) -> None:
    """Write new events."""
    assert store.events.write(events) == [STORED] * len(events)
    settle(store)


def kept(event: Event) -> Document:
    """Return the document that a store has of an event."""
    return event.doc | event.logsource.archived()


def ids(page: Page | list[Document]) -> list[int]:
    """Return the numbers of the events on a page or in a list."""
    docs = page if isinstance(page, list) else [item.doc for item in page.items]
    return [int(doc["event.id"], 16) for doc in docs]


def test_an_event_is_stored_once_however_often_it_is_delivered(store: Store, tenant: str) -> None:
    one, two = event(tenant, 1), event(tenant, 2)
    assert store.events.write([one, two, one]) == [STORED, STORED, THERE]
    assert store.events.write([two, event(tenant, 1, message="changed")]) == [THERE, THERE]
    settle(store)
    assert store.events.count(tenant) == 2
    assert store.events.get(EVERYBODY, tenant, [one.id]) == [kept(one)]


def test_an_event_keeps_the_log_source_of_its_envelope_whatever_its_document_claims(store: Store, tenant: str) -> None:
    one = replace(event(tenant, 1), logsource=LogSource("fortinet", "", "event"))
    two = replace(event(tenant, 2, wardwatch__logsource__product="fortinet"), logsource=LogSource("linux"))
    archive(store, one, two)
    found = store.events.search(EVERYBODY, tenant, fields={"wardwatch.logsource.product": "fortinet"})
    names = dict(zip(LOGSOURCE, ("fortinet", "", "event"), strict=True))
    assert [item.doc for item in found.items] == [one.doc | names]
    assert store.events.tally(EVERYBODY, tenant, LOGSOURCE) == {("fortinet", "", "event"): 1, ("linux", "", ""): 1}
    kinds = Kinds(LOGSOURCE, frozenset({("linux", "", "")}))
    assert ids(list(store.events.scan(EVERYBODY, tenant, kinds=kinds))) == [2]
    assert ids(store.events.search(EVERYBODY, tenant, text="event")) == []


def test_the_largest_event_of_the_bus_is_archived_with_its_log_source(store: Store, tenant: str) -> None:
    room = MAX_BYTES - len(encode(event(tenant, 1, message="").doc))
    largest = replace(event(tenant, 1, message="x" * room), logsource=LogSource("fortinet", "firewall", "event"))
    archive(store, largest)
    assert len(encode(largest.doc)) == MAX_BYTES


def test_one_id_in_two_tenants_is_two_events(store: Store, tenant: str) -> None:
    other = f"{tenant}x"
    archive(store, event(tenant, 1, message="mine"), event(other, 1, message="theirs"))
    assert [doc["message"] for doc in store.events.get(EVERYBODY, tenant, [event(tenant, 1).id])] == ["mine"]
    assert (store.events.count(tenant), store.events.count(other)) == (1, 1)


def test_events_are_read_oldest_first_and_absent_ones_left_out(store: Store, tenant: str) -> None:
    archive(store, *(event(tenant, number) for number in (3, 1, 2)))
    wanted = [event(tenant, number).id for number in (2, 9, 3, 1, 1)]
    assert ids(store.events.get(EVERYBODY, tenant, wanted)) == [1, 2, 3]
    assert store.events.get(EVERYBODY, tenant, []) == []


def test_a_tenant_out_of_scope_is_not_found(store: Store, tenant: str) -> None:
    archive(store, event(tenant, 1))
    scope = Scope("viewer", frozenset({"other"}))
    with pytest.raises(NotFound):
        store.events.get(scope, tenant, [event(tenant, 1).id])
    with pytest.raises(NotFound):
        store.events.search(scope, tenant)
    with pytest.raises(NotFound):
        list(store.events.scan(scope, tenant))
    with pytest.raises(NotFound):
        store.events.tally(scope, tenant, ["host.name"])


def test_a_tenant_without_events_has_an_empty_page(store: Store, tenant: str) -> None:
    assert store.events.search(EVERYBODY, tenant) == Page([], 0, None)
    assert store.events.get(EVERYBODY, tenant, ["x"]) == []
    assert store.events.count(tenant) == 0
    assert store.events.expire(tenant, START) == 0


FIELDS: list[tuple[dict[str, Any], dict[str, str], bool]] = [
    ({"user__name": "li.wei"}, {"user.name": "li.wei"}, True),
    ({"user__name": "li.wei"}, {"user.name": "li"}, False),
    ({"user__name": "Li"}, {"user.name": "li"}, False),
    ({"related__user": ["a", "b c"]}, {"related.user": "b c"}, True),
    ({"dicom__instances": 1503}, {"dicom.instances": "1503"}, True),
    ({"destination__port": 2575}, {"destination.port": "2575"}, True),
    ({"destination__port": 2575}, {"destination.port": "http"}, False),
    ({"hospital__patient__vip": True}, {"hospital.patient.vip": "true"}, True),
    ({"hospital__patient__vip": True}, {"hospital.patient.vip": "false"}, False),
    ({"destination__ip": "10.0.0.1"}, {"destination.ip": "10.0.0.1"}, True),
    ({"destination__ip": "10.0.0.1"}, {"destination.ip": "not an address"}, False),
    ({"user__name": "患者甲"}, {"user.name": "患者甲"}, True),
    ({"user__name": "---"}, {"user.name": "---"}, True),
    ({"user__name": "a"}, {"user.name": "a", "message": "other"}, False),
    ({"user__name": "a"}, {"": "a", '"': "'", "user.*": "a", "\0": "x"}, False),
    ({"user__name": "a"}, {"user.name": "x" * 40_000}, False),
]


def test_fields_are_exact_values(store: Store, tenant: str) -> None:
    archive(store, *(event(tenant, number, **doc) for number, (doc, _, _) in enumerate(FIELDS)))
    for number, (_, fields, meets) in enumerate(FIELDS):
        assert (number in ids(store.events.search(EVERYBODY, tenant, fields=fields))) is meets, fields


SEARCHES = {"撤销": True, "powershell.exe": True, "ENC": True, "撤销 enc": True, "患者": False, "enc missing": False}
HOSTILE = ("*", '" OR 1=1', "AND (", "a\0b", "\ud800", "event_text:x")


def test_text_finds_words_in_any_value(store: Store, tenant: str) -> None:
    words: dict[str, Any] = {
        "process__command_line": "powershell.exe -enc AAAA",
        "winlog__event_data__Reason": "已撤销授权",
    }
    archive(store, event(tenant, 1, **words))
    for text, meets in [*SEARCHES.items(), *((text, False) for text in HOSTILE)]:
        assert ids(store.events.search(EVERYBODY, tenant, text=text)) == ([1] if meets else []), text


def test_a_time_range_holds_its_start_but_not_its_end(store: Store, tenant: str) -> None:
    archive(store, *(event(tenant, number) for number in range(5)))
    start, end = START + timedelta(seconds=1), START + timedelta(seconds=3)
    assert ids(store.events.search(EVERYBODY, tenant, start=start, end=end)) == [2, 1]


def test_paging_shows_every_event_once_newest_first(store: Store, tenant: str) -> None:
    archive(store, *(event(tenant, number, at=START + timedelta(seconds=number // 3)) for number in range(10)))
    seen: list[int] = []
    after = None
    while True:
        page = store.events.search(EVERYBODY, tenant, after=after, limit=4)
        assert page.total == 10
        seen += ids(page)
        if (after := page.after) is None:
            break
    assert seen == sorted(range(10), key=lambda number: (-(number // 3), number))


def test_a_scan_yields_every_event_of_the_range_once_oldest_first(store: Store, tenant: str) -> None:
    many = [event(tenant, number, at=START + timedelta(seconds=number // 400)) for number in range(1300)]
    archive(store, *reversed(many), event(f"{tenant}x", 1))
    start, end = START + timedelta(seconds=1), START + timedelta(seconds=3)
    assert ids(list(store.events.scan(EVERYBODY, tenant))) == list(range(1300))
    assert ids(list(store.events.scan(EVERYBODY, tenant, start=start, end=end))) == list(range(400, 1200))


def test_a_scan_of_kinds_yields_the_events_that_hold_one_of_the_combinations(store: Store, tenant: str) -> None:
    docs: list[dict[str, Any]] = [
        {"event__dataset": "linux.sshd"},
        {"event__dataset": "windows.sysmon", "winlog__channel": "Sysmon", "winlog__event_id": 1},
        {"event__dataset": "windows.sysmon", "winlog__channel": "Sysmon", "winlog__event_id": 3},
        {"event__dataset": ["linux.sshd", "linux.auth"]},
        {},
    ]
    archive(store, *(event(tenant, number, **doc) for number, doc in enumerate(docs)))
    fields = ("event.dataset", "winlog.channel", "winlog.event_id")
    wanted = {
        frozenset({("windows.sysmon", "Sysmon", "1")}): [1],
        frozenset({("linux.sshd", None, None), ("windows.sysmon", "Sysmon", "3")}): [0, 2, 3],
        frozenset({(None, None, None)}): [4],
        frozenset({("linux", None, None)}): [],
    }
    for values, found in wanted.items():
        assert ids(list(store.events.scan(EVERYBODY, tenant, kinds=Kinds(fields, values)))) == found, values
    assert store.events.tally(EVERYBODY, tenant, fields) == {
        ("linux.sshd", None, None): 2,
        ("linux.auth", None, None): 1,
        ("windows.sysmon", "Sysmon", "1"): 1,
        ("windows.sysmon", "Sysmon", "3"): 1,
        (None, None, None): 1,
    }
    end = START + timedelta(seconds=1)
    assert store.events.tally(EVERYBODY, tenant, fields[:1], start=START, end=end) == {("linux.sshd",): 1}


def test_a_tally_holds_any_number_of_combinations(store: Store, tenant: str) -> None:
    archive(store, *(event(tenant, number, host__name=f"h{number}") for number in range(1100)))
    counts = store.events.tally(EVERYBODY, tenant, ["host.name"])
    assert counts == {(f"h{number}",): 1 for number in range(1100)}


def test_tenants_are_those_with_events(store: Store, tenant: str) -> None:
    archive(store, event(tenant, 1), event(f"{tenant}_x", 1))
    assert [name for name in store.events.tenants() if name.startswith(tenant)] == [tenant, f"{tenant}_x"]
    assert store.events.tally(EVERYBODY, "nobody", ["host.name"]) == {}
    assert list(store.events.scan(EVERYBODY, "nobody")) == []


def test_a_garbled_page_key_is_a_clear_error(store: Store, tenant: str) -> None:
    for cursor in ("", "x", "WzFd", "é"):
        with pytest.raises(RecordError, match="the page's key is garbled"):
            store.events.search(EVERYBODY, tenant, after=cursor)


def test_whole_days_expire(store: Store, tenant: str) -> None:
    days = [START - timedelta(days=number) for number in range(4)]
    archive(store, *(event(tenant, number, at=day) for number, day in enumerate(days)))
    assert store.events.expire(tenant, days[1] + timedelta(hours=3)) == 2
    assert ids(store.events.search(EVERYBODY, tenant)) == [0, 1]
    assert ids(store.events.search(EVERYBODY, tenant, text="record")) == [0, 1]
    assert store.events.count(tenant) == 2


def test_only_the_poisonous_events_of_a_batch_are_rejected(store: Store, tenant: str) -> None:
    good = [event(tenant, number) for number in range(1, 4)]
    poison = [
        event(tenant, 11, note="\ud800"),
        event(tenant, 12, size=float("inf")),
        event(tenant, 13, size=2**70),
        event(tenant, 14, payload="x" * 1_000_000),
        replace(good[0], doc={**good[0].doc, "@timestamp": "yesterday"}),
        replace(good[0], doc={**good[0].doc, "@timestamp": 7}),
        replace(good[0], doc={**good[0].doc, "event.id": ""}),
        replace(good[0], doc={**good[0].doc, "event.id": "i" * 513}),
    ]
    results = store.events.write([good[0], *poison[:4], good[1], *poison[4:], good[2]])
    assert Counter(result.outcome for result in results) == {Outcome.STORED: 3, Outcome.REJECTED: len(poison)}
    assert all(result.reason for result in results if result.outcome is Outcome.REJECTED)
    settle(store)
    assert ids(store.events.search(EVERYBODY, tenant)) == [3, 2, 1]


def test_hostile_field_names_and_types_spoil_no_other_event(store: Store, tenant: str) -> None:
    names: list[dict[str, Any]] = [
        {"source": "a word", "source__ip": "not an address", "user": {"name": {"first": "x"}}},
        {f"name{number}": number for number in range(3000)},
        {"x" * 2000: 1, "'; --": 2, "病区": 3, "a": [1, "two", None, {"b": True}]},
        {"wardwatch__search": "x", "source__port": "http", "a": None, "deep": [[[[1]]]]},
    ]
    hostile = [event(tenant, number, **fields) for number, fields in enumerate(names)]
    good = event(tenant, 5, source__port=514, user__name="li", new__field="fresh", winlog__event_data__A="1")
    archive(store, *hostile, good)
    wanted = [item.id for item in (*hostile, good)]
    assert store.events.get(EVERYBODY, tenant, wanted) == [kept(item) for item in (*hostile, good)]
    assert ids(store.events.search(EVERYBODY, tenant, fields={"source.port": "514", "user.name": "li"})) == [5]


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (START, "2026-03-10"),
        (START - timedelta(days=31), "2026-02-07"),
        (START - timedelta(days=32), "2026-03-10"),
        (START + timedelta(days=2), "2026-03-12"),
        (START + timedelta(days=3), "2026-03-10"),
        (datetime(1, 1, 1, tzinfo=UTC), "2026-03-10"),
        (datetime(9999, 12, 31, tzinfo=UTC), "2026-03-10"),
    ],
)
def test_a_hostile_clock_opens_no_partition_of_its_own(store: Store, tenant: str, at: datetime, day: str) -> None:
    one = event(tenant, 1, at=at)
    assert event_day(one).isoformat() == day
    archive(store, one)
    assert store.events.get(EVERYBODY, tenant, [one.id])[0]["@timestamp"] == rfc3339(at)
