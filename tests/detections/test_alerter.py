"""The alerter on a real store: one alert per group and window, however its matches arrive."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from detections import matches
from detections.alerter import Alerter
from detections.control.state import State
from detections.correlation.correlator import Correlator
from detections.fold import FOLDED, SAMPLES
from detections.sigma import Ruleset
from detections.sigma.ruleset import ZONE
from detections.sigma.view import View
from detections.tenants import Tenants
from tests.detections.rules_under_test import event, load, rule_document
from wardwatch.alert import AlertDocument
from wardwatch.bus import Record
from wardwatch.errors import StoreUnavailable
from wardwatch.event import Event, rfc3339
from wardwatch.settings import AlerterSettings
from wardwatch.store import AlertQuery, AlertWrite, Outcome, Result, Scope, Store, open_store
from wardwatch.worker import Rejects

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
EVERYBODY = Scope("test")
OWN = {
    "group_by": ["user.id"],
    "title": {"en": "VIP record opened", "zh": "贵宾病历被打开"},
    "reason": {
        "en": "{user.id} opened {hospital.patient.id_token}",
        "zh": "{user.id} 打开 {hospital.patient.id_token}",
    },
    "response": {"en": "Call the ward.", "zh": "致电病区。"},
}


class Sent:
    """A producer that keeps what it was given."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | None, str | None]] = []

    def send(
        self, topic: str, value: bytes | None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.records.append((topic, value, key))

    def flush(self, timeout_s: float = 30.0) -> None: ...

    def close(self) -> None: ...


@contextmanager
def opened() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/store.sqlite")
        store.setup()
        yield store
        store.close()


@pytest.fixture
def store() -> Iterator[Store]:
    with opened() as found:
        yield found


@pytest.fixture(scope="module")
def ruleset(tmp_path_factory: pytest.TempPathFactory) -> Ruleset:
    document = rule_document(
        {"event.action": "read"},
        level="high",
        status="stable",
        tags=["attack.collection", "attack.t1213.006"],
        falsepositives=["A ward's own consultation"],
        wardwatch=OWN,
    )
    return load(tmp_path_factory.mktemp("rules"), document)


def alerter(store: Store, producer: Sent | None = None, state: State | None = None) -> Alerter:
    names = {"hospital_a": {"name": {"en": "First Hospital", "zh": "第一医院"}}}
    tenants = Tenants(lambda: names)
    settings = AlerterSettings(console_url="https://soc.example")
    live = SimpleNamespace(state=state or State())
    correlator = Correlator(lambda *_: (), lateness_ms=0, limit=10, longest_ms=lambda: 0)
    return Alerter(store, producer or Sent(), tenants, settings, live, correlator, now=lambda: NOW)


def read_event(number: int, *, user: str = "st_1", minute: float = 0.0, more: Mapping[str, Any] | None = None) -> Event:
    moment = rfc3339(START + timedelta(minutes=minute))
    return event(
        {"event.id": f"e{number}", "@timestamp": moment, "event.action": "read", "user.id": user, **(more or {})}
    )


def record(ruleset: Ruleset, found: Event, offset: int, *, taken_ms: int | None = None) -> Record:
    (match,) = ruleset.match(found)
    value = matches.of_event(match, found, View(found.doc, ZONE))
    taken = offset if taken_ms is None else taken_ms
    return Record("matches", 0, offset, value.key, matches.encode(value), value.headers(), taken)


def handled(
    store: Store, records: Sequence[Record], producer: Sent | None = None, state: State | None = None
) -> Rejects:
    rejects = Rejects("alerter", [])
    alerter(store, producer, state)(records, rejects)
    return rejects


def alerts(store: Store) -> list[AlertDocument]:
    page = store.alerts.search(EVERYBODY, AlertQuery(), limit=100)
    return sorted((stored.doc for stored in page.items), key=lambda doc: str(doc["event"]["id"]))


def own(doc: AlertDocument) -> dict[str, Any]:
    found: dict[str, Any] = doc["wardwatch"]["alert"]
    return found


def test_matches_of_one_group_and_window_are_one_alert_that_counts(store: Store, ruleset: Ruleset) -> None:
    records = [record(ruleset, read_event(n, minute=n), n) for n in range(5)]
    handled(store, records)
    (alert,) = alerts(store)
    assert own(alert)["count"] == 5
    assert (own(alert)["first_seen"], own(alert)["last_seen"]) == (
        "2026-03-01T02:00:00.000Z",
        "2026-03-01T02:04:00.000Z",
    )
    assert own(alert)["group_by"] == {"user.id": "st_1"}
    assert [each["id"] for each in own(alert)["source_events"]] == [f"e{n}" for n in range(5)]


def test_other_groups_windows_and_tenants_are_other_alerts(store: Store, ruleset: Ruleset) -> None:
    other_tenant = replace(read_event(4), tenant="hospital_b")
    events = [read_event(1), read_event(2, user="st_2"), read_event(3, minute=61), other_tenant]
    handled(store, [record(ruleset, each, n) for n, each in enumerate(events)])
    assert [own(each)["count"] for each in alerts(store)] == [1, 1, 1, 1]


def test_a_new_alert_has_the_deadlines_of_its_hospital(store: Store, ruleset: Ruleset) -> None:
    handled(store, [record(ruleset, read_event(1), 0)])
    (alert,) = alerts(store)
    assert own(alert)["ack_due"] == own(alert)["due_at"] == rfc3339(NOW + timedelta(minutes=30))
    assert own(alert)["decide_due"] == rfc3339(NOW + timedelta(minutes=120))


@pytest.mark.parametrize("together", [True, False])
def test_a_window_goes_on_with_the_open_alert_of_the_one_before(store: Store, ruleset: Ruleset, together: bool) -> None:
    records = [record(ruleset, read_event(n, minute=60 * n), n) for n in range(3)]
    sent = Sent()
    for batch in [records] if together else [[each] for each in records]:
        handled(store, batch, sent)
    first, *later = sorted(alerts(store), key=lambda doc: str(own(doc)["window_start"]))
    assert [own(each)["continues"] for each in later] == [first["event"]["id"]] * 2
    assert ["due_at" in own(each) for each in (first, *later)] == [True, False, False]
    told = [orjson.loads(value or b"") for topic, value, _ in sent.records if topic == "alerts"]
    assert {each["id"]: each["kind"] for each in told} == {
        first["event"]["id"]: "created",
        **{each["event"]["id"]: "updated" for each in later},
    }


def test_a_window_after_a_closed_alert_or_a_gap_begins_a_series(store: Store, ruleset: Ruleset) -> None:
    handled(store, [record(ruleset, read_event(1), 0)])
    (first,) = store.alerts.search(EVERYBODY, AlertQuery()).items
    closed = {"status": "closed", "verdict": "duplicate"}
    store.alerts.workflow(EVERYBODY, first.doc["event"]["id"], closed, version=first.version)
    handled(store, [record(ruleset, read_event(2, minute=60), 1), record(ruleset, read_event(3, minute=180), 2)])
    assert ["continues" in own(each) for each in alerts(store)] == [False, False, False]


def test_an_alert_has_every_field_that_elastic_security_and_the_console_read(store: Store, ruleset: Ruleset) -> None:
    found = read_event(
        1,
        more={
            "event.category": ["database"],
            "source.ip": "10.1.1.1",
            "source.asset.criticality": "his_core",
            "host.name": "his-db",
            "hospital.patient.id_token": "pt_7",
            "hospital.patient.vip": True,
        },
    )
    handled(store, [record(ruleset, found, 0)])
    (alert,) = alerts(store)
    ours, happened = own(alert), alert["event"]
    assert (happened["kind"], happened["severity"], happened["category"]) == ("alert", 73, ["database"])
    assert alert["message"] == "VIP record opened"
    assert happened["reason"] == ours["sentence"]["en"] == "st_1 opened pt_7"
    assert ours["sentence"]["zh"] == "st_1 打开 pt_7"
    assert happened["url"] == f"https://soc.example/alerts/{happened['id']}"
    assert alert["organization"] == {"id": "hospital_a", "name": "First Hospital"}
    assert alert["labels"]["tenant"] == "hospital_a"
    assert alert["threat"]["tactic"][0]["id"] == "TA0009"
    assert alert["threat"]["technique"][0]["subtechnique"][0]["name"] == "Databases"
    assert alert["related"] == {"ip": ["10.1.1.1"], "user": ["st_1"], "hosts": ["his-db"]}
    assert alert["source"] == {"ip": "10.1.1.1", "asset": {"criticality": "his_core"}}
    assert (ours["asset_criticality"], ours["patient_token"]) == ("his_core", "pt_7")
    assert ours["matched"] == [{"field": "event.action", "values": ["read"]}]
    assert ours["response"] == OWN["response"]
    assert ours["false_positives"] == ["A ward's own consultation"]
    assert alert["@timestamp"] == "2026-03-01T02:00:00.000Z"
    assert happened["created"] == rfc3339(NOW)
    assert "data_stream" not in alert
    # 35·0.75 + 25·0.9 + 15·5/5 + 10·0 + 10·1 + 5·1/5, worked out by hand
    assert (ours["priority"], ours["priority_level"]) == (75, "P2")
    assert sum(each["points"] for each in ours["priority_reasons"]) == pytest.approx(74.75)
    assert happened["risk_score"] == 75


def test_a_vip_or_a_life_support_device_is_at_least_p2(store: Store, ruleset: Ruleset) -> None:
    events = [
        read_event(1),
        read_event(2, user="st_2", more={"hospital.patient.vip": True}),
        read_event(3, user="st_3", more={"source.asset.criticality": "life_support"}),
    ]
    handled(store, [record(ruleset, each, n) for n, each in enumerate(events)])
    levels = {own(each)["group_by"]["user.id"]: own(each)["priority"] for each in alerts(store)}
    assert levels["st_1"] < 60
    assert levels["st_2"] >= 60
    assert levels["st_3"] >= 60


def test_a_late_event_counts_but_does_not_replace_the_newest(store: Store, ruleset: Ruleset) -> None:
    newest = read_event(1, minute=30, more={"host.name": "new"})
    late = read_event(2, minute=5, more={"host.name": "old"})
    handled(store, [record(ruleset, newest, 0), record(ruleset, late, 1)])
    (alert,) = alerts(store)
    assert alert["host"] == {"name": "new"}
    assert alert["related"]["hosts"] == ["new", "old"]
    assert own(alert)["first_seen"] == "2026-03-01T02:05:00.000Z"
    assert alert["@timestamp"] == "2026-03-01T02:30:00.000Z"


def test_an_event_from_the_future_is_an_alert_of_its_own_and_leaves_that_of_now_as_it_is(
    store: Store, ruleset: Ruleset
) -> None:
    ahead, now = read_event(1, minute=24 * 60), [read_event(number, minute=number) for number in (2, 3)]
    handled(store, [record(ruleset, each, offset) for offset, each in enumerate([ahead, *now])])
    found = {own(each)["last_seen"]: own(each)["count"] for each in alerts(store)}
    assert found == {"2026-03-02T02:00:00.000Z": 1, "2026-03-01T02:03:00.000Z": 2}


def test_the_first_and_the_latest_source_events_are_kept(store: Store, ruleset: Ruleset) -> None:
    handled(store, [record(ruleset, read_event(n), n) for n in range(50)])
    (alert,) = alerts(store)
    expected = [f"e{n}" for n in (*range(SAMPLES), *range(50 - SAMPLES, 50))]
    assert [each["id"] for each in own(alert)["source_events"]] == expected
    assert own(alert)["source_events"][0]["index"].startswith("logs-wardwatch.event-hospital_a-2")


def test_a_flood_of_matches_is_one_write(store: Store, ruleset: Ruleset) -> None:
    sent = Sent()
    handled(store, [record(ruleset, read_event(n), n) for n in range(500)], sent)
    assert [orjson.loads(value or b"")["kind"] for _, value, _ in sent.records] == ["created"]
    assert len(orjson.dumps(alerts(store)[0])) < 64_000


def test_remembered_event_ids_are_bounded_and_redelivery_still_counts_once(store: Store, ruleset: Ruleset) -> None:
    records = [record(ruleset, read_event(n), n) for n in range(FOLDED + 200)]
    for _ in range(2):
        handled(store, records)
    (alert,) = alerts(store)
    assert own(alert)["count"] == FOLDED + 200
    assert len(own(alert)["folded"]) == FOLDED


def test_the_same_event_matched_again_further_on_counts_once(store: Store, ruleset: Ruleset) -> None:
    handled(store, [record(ruleset, read_event(1), 0), record(ruleset, read_event(1), 7)])
    assert own(alerts(store)[0])["count"] == 1


def test_a_topic_created_again_is_noticed_and_its_matches_count(store: Store, ruleset: Ruleset) -> None:
    handled(store, [record(ruleset, read_event(1), 5_000, taken_ms=1_000)])
    handled(store, [record(ruleset, read_event(2), 3, taken_ms=2_000)])
    assert own(alerts(store)[0])["count"] == 2


def test_what_people_wrote_survives_and_the_matches_are_folded_again(store: Store, ruleset: Ruleset) -> None:
    handled(store, [record(ruleset, read_event(1), 0)])
    (alert,) = alerts(store)
    identifier = str(alert["event"]["id"])
    write = store.alerts.write

    def raced(writes: Sequence[AlertWrite]) -> list[Result]:
        if own(alerts(store)[0])["status"] == "new":
            version = store.alerts.get(EVERYBODY, [identifier])[identifier].version
            store.alerts.workflow(EVERYBODY, identifier, {"status": "acknowledged"}, version=version)
        return write(writes)

    store.alerts.write = raced  # type: ignore[method-assign]
    handled(store, [record(ruleset, read_event(2), 1)])
    (alert,) = alerts(store)
    assert (own(alert)["count"], own(alert)["status"]) == (2, "acknowledged")


def test_an_alert_that_never_stops_changing_is_tried_again_later(store: Store, ruleset: Ruleset) -> None:
    store.alerts.write = lambda writes: [Result(Outcome.CONFLICT) for _ in writes]  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        handled(store, [record(ruleset, read_event(1), 0)])


@pytest.mark.parametrize("poison", [b"", b"{", b"[]", b"null", b'{"tenant": 1}', b"\xff", b'{"tenant": "a"}'])
def test_a_poisonous_match_is_a_dead_letter_and_the_others_go_on(store: Store, ruleset: Ruleset, poison: bytes) -> None:
    good = record(ruleset, read_event(1), 1)
    rejects = handled(store, [structs.replace(good, offset=0, value=poison), good])
    assert len(rejects) == 1
    assert own(alerts(store)[0])["count"] == 1


def test_an_alert_that_the_store_refuses_is_a_dead_letter_per_match(store: Store, ruleset: Ruleset) -> None:
    write = store.alerts.write

    def refuse_the_second_user(writes: Sequence[AlertWrite]) -> list[Result]:
        kept = [each for each in writes if own(each.doc)["group_by"]["user.id"] == "st_1"]
        results = dict(zip((each.id for each in kept), write(kept), strict=True))
        return [results.get(each.id, Result(Outcome.REJECTED, "no")) for each in writes]

    store.alerts.write = refuse_the_second_user  # type: ignore[method-assign]
    events = [read_event(1), read_event(2, user="st_2"), read_event(3, user="st_2")]
    rejects = handled(store, [record(ruleset, each, n) for n, each in enumerate(events)])
    assert len(rejects) == 2
    assert len(alerts(store)) == 1


def test_every_stored_alert_is_announced_for_the_console(store: Store, ruleset: Ruleset) -> None:
    sent = Sent()
    handled(store, [record(ruleset, read_event(1), 0)], sent)
    handled(store, [record(ruleset, read_event(2), 1)], sent)
    news = [orjson.loads(value or b"") for _, value, _ in sent.records]
    assert [topic for topic, _, _ in sent.records] == ["alerts", "alerts"]
    assert [each["kind"] for each in news] == ["created", "updated"]
    (alert,) = alerts(store)
    assert news[1] == {
        "id": alert["event"]["id"],
        "tenant": "hospital_a",
        "severity": "high",
        "priority": own(alert)["priority"],
        "title": own(alert)["title"],
        "created": rfc3339(NOW),
        "kind": "updated",
    }


@settings(max_examples=40)
@given(data=st.data())
def test_any_chunking_redelivery_and_restart_gives_the_same_alerts(ruleset: Ruleset, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 15), min_size=1, max_size=25))
    events = [read_event(n, user=f"st_{n % 3}", minute=n * 9, more={"host.name": f"h{n % 5}"}) for n in numbers]
    records = [record(ruleset, each, offset) for offset, each in enumerate(events)]
    with opened() as calm, opened() as rough:
        handled(calm, records)
        committed = 0
        while committed < len(records):
            end = data.draw(st.integers(committed + 1, len(records)))
            handled(rough, records[committed:end])
            if data.draw(st.booleans()):  # killed before the commit: the next alerter gets the batch again
                handled(rough, records[committed : data.draw(st.integers(committed, len(records)))])
            committed = end
        assert alerts(rough) == alerts(calm)
        assert sum(own(each)["count"] for each in alerts(calm)) == len(set(numbers))


def test_a_suppressed_alert_is_made_and_counted_but_rings_nobody(store: Store, ruleset: Ruleset) -> None:
    row = {"by": "lin", "reason": "drill", "expires": rfc3339(START), "where": {"user.id": "ST_1"}}
    state = State().change({("suppressions", "hospital_a", "drill"): row})
    before, at_expiry = int(START.timestamp() * 1000) - 1, int(START.timestamp() * 1000)
    sent = Sent()
    records = [
        record(ruleset, read_event(1), 1, taken_ms=before),
        record(ruleset, read_event(2, minute=1), 2, taken_ms=at_expiry),
        record(ruleset, read_event(3, user="st_2"), 3, taken_ms=before),
        record(ruleset, read_event(4, minute=120), 4, taken_ms=at_expiry),
    ]
    handled(store, records, sent, state)
    handled(store, records, sent, State())  # delivered again when the row is gone
    found = {(own(each)["group_by"]["user.id"], own(each)["first_seen"][11:13]): own(each) for each in alerts(store)}
    assert {key: each["status"] for key, each in found.items()} == {
        ("st_1", "02"): "suppressed",
        ("st_2", "02"): "new",
        ("st_1", "04"): "new",
    }
    suppressed = found["st_1", "02"]
    assert (suppressed["count"], suppressed["suppression_id"]) == (2, "drill")
    assert suppressed["reason"] == f"drill (lin, until {rfc3339(START)})"
    kinds: dict[str | None, str] = {}
    for _, value, key in sent.records:
        kinds.setdefault(key, orjson.loads(value or b"")["kind"])
    assert sorted(kinds.values()) == ["created", "created", "updated"]
