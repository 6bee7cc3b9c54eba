"""From what happens to what arrives: routes, steps, digests, retries and restarts on the embedded bus and store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import orjson
import pytest

from dashboards import workflow
from dashboards.auth.people import Person, Role
from enrich.jobs.notifications import Notifications
from enrich.jobs.service_levels import ServiceLevels
from enrich.notify.deliveries import try_channel
from tests.enrich.notify.servers import Web, web
from wardwatch import topics
from wardwatch.alert import Finding, Severity, Verdict, machine_alert, new_workflow, news
from wardwatch.bus import Bus, open_bus
from wardwatch.errors import PeerUnavailable, StoreUnavailable
from wardwatch.event import rfc3339
from wardwatch.outbound import Outbound
from wardwatch.service_levels import DEFAULT, Clock
from wardwatch.settings import OutboundSettings
from wardwatch.store import AlertWrite, Find, Scope, Store, open_store
from wardwatch.tables import Tables

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)  # a Tuesday, 10:00 in Shanghai
SCOPE = Scope("test")


class Site:
    """One scheduler over real bus, store and tables, and a server that takes what it sends."""

    def __init__(self, bus: Bus, store: Store, tables: Tables, server: Web) -> None:
        self.bus, self.store, self.tables, self.server = bus, store, tables, server
        self.now = NOW
        self.start()

    def start(self) -> None:
        """Begin anew, as after a restart."""
        outbound = Outbound(OutboundSettings(allow=(ip_network("127.0.0.1/32"),)))
        self.notifications = Notifications(self.bus, self.store, self.tables, outbound, lambda: self.now)
        self.levels = ServiceLevels(
            self.store,
            self.notifications.deliveries.plan,
            now=lambda: self.now,
            policy=lambda _: DEFAULT,
            zone=lambda _: UTC,
            tenants=lambda: iter(["ward"]),
        )

    def restart(self) -> None:
        self.notifications.close()
        self.start()

    def row(self, table: str, key: str, value: dict[str, Any], tenant: str = "") -> None:
        self.tables.put(table, tenant, key, value)
        self.tables.catch_up()

    def channel(self, name: str = "soc", **row: Any) -> None:
        self.row("channels", name, {"kind": "slack", "lang": "en", "url": f"{self.server.url}/{name}", **row})

    def route(self, *to: str, key: str = "all", **row: Any) -> None:
        self.row("routes", key, {"to": list(to) or ["channel:soc"], **row})

    def alert(self, number: int = 0, *, severity: Severity = Severity.HIGH, announce: bool = True, **more: Any) -> str:
        """Create an alert as the alerter does and return its id."""
        identifier = f"ward-202611-{number:024x}"
        doc = machine_alert(
            Finding(
                id=identifier,
                tenant="ward",
                organization="Ward",
                rule=more.pop("rule", "failed_logins"),
                severity=severity,
                title={"en": f"Alert {number}"},
                sentence={"en": "It happened."},
                response={"en": ""},
                group={"user.name": "tok"},
                priority_reasons=[{"term": "severity", "value": 1.0, "points": 61.0}],
                first_seen=rfc3339(self.now),
                last_seen=rfc3339(self.now),
            ),
            created=rfc3339(self.now),
            **more,
        )
        clock = Clock(DEFAULT, severity, UTC).started(self.now)
        self.store.alerts.write([AlertWrite(identifier, doc, workflow=new_workflow(clock))])
        if announce:
            self.announce(news(doc, "created"), identifier)
        return identifier

    def announce(self, value: bytes, key: str) -> None:
        producer = self.bus.producer()
        producer.send(topics.ALERTS.name, value, key=key, headers={"tenant": "ward"})
        producer.flush()
        producer.close()

    def pass_time(self, **time: float) -> None:
        self.now += timedelta(**time)

    def tick(self) -> None:
        self.levels()
        self.notifications()

    def got(self) -> list[tuple[str, str]]:
        """Return path and headline of what arrived."""
        bodies = [(request.path[1:], orjson.loads(request.body)) for request in self.server.requests]
        return [(path, body["blocks"][0]["text"]["text"]) for path, body in bodies]

    def deliveries(self) -> list[dict[str, Any]]:
        return [item.doc for item in self.store.documents("deliveries").find(Find()).items]

    def states(self) -> list[str]:
        return sorted(doc["state"] for doc in self.deliveries())

    def own(self, identifier: str) -> dict[str, Any]:
        doc = self.store.alerts.get(SCOPE, [identifier])[identifier].doc
        own: dict[str, Any] = doc["wardwatch"]["alert"]
        return own

    def state(self, identifier: str) -> str:
        return workflow.state_of(self.store.alerts.get(SCOPE, [identifier])[identifier].doc)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    bus, store = open_bus(f"sqlite:///{tmp_path / 'bus.sqlite'}"), open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    bus.ensure_topics(topics.shared())
    store.setup()
    tables = Tables(bus)
    tables.catch_up()
    with web() as server:
        site = Site(bus, store, tables, server)
        yield site
        site.notifications.close()
    tables.close()
    store.close()
    bus.close()


def person(name: str) -> Person:
    return Person(name, name, "", frozenset({Role.LEAD}), None)


def test_a_channel_that_is_tried_gets_a_test_message_and_the_log_says_so(site: Site) -> None:
    site.channel("soc")
    try_channel(site.store, "", "soc", "lin", site.now)
    try_channel(site.store, "", "gone", "lin", site.now)
    site.tick()
    assert site.got() == [("soc", "Test message")]
    assert {doc["channel"]: doc["state"] for doc in site.deliveries()} == {"soc": "sent", "gone": "failed"}


def test_a_new_alert_is_told_once_over_its_route(site: Site) -> None:
    site.channel()
    site.route(severity="high")
    site.alert(1)
    site.alert(2, severity=Severity.MEDIUM)
    site.tick()
    site.tick()
    assert site.got() == [("soc", "[high] New alert: Alert 1")]
    assert site.states() == ["sent"]


def test_the_same_announcement_again_tells_nobody_again_also_after_a_restart(site: Site) -> None:
    site.channel()
    site.route()
    identifier = site.alert(1)
    site.tick()
    doc = site.store.alerts.get(SCOPE, [identifier])[identifier].doc
    site.announce(news(doc, "updated"), identifier)
    site.restart()
    site.tick()
    assert len(site.got()) == 1


def test_what_was_announced_while_no_scheduler_ran_is_told_when_one_does(site: Site) -> None:
    site.channel()
    site.route()
    site.tick()
    site.notifications.close()
    site.alert(1)
    site.start()
    site.tick()
    assert site.got() == [("soc", "[high] New alert: Alert 1")]


def test_a_store_that_fails_while_planning_loses_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.channel()
    site.route()
    site.alert(1)

    def fails(*_: object) -> None:
        raise StoreUnavailable("gone", step="store")

    with monkeypatch.context() as broken:
        broken.setattr(type(site.store.documents("deliveries")), "create", fails)
        with pytest.raises(StoreUnavailable):
            site.tick()
    assert site.got() == []
    site.tick()
    assert len(site.got()) == 1


def test_a_scheduler_that_ends_between_sending_and_marking_sends_again_under_the_same_id(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.channel(kind="webhook", secret="whsec_" + "QUFB" * 10)
    site.route()
    site.alert(1)

    def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone", step="store")

    with monkeypatch.context() as broken:
        broken.setattr(type(site.store.documents("deliveries")), "replace", fails)
        with pytest.raises(StoreUnavailable):
            site.tick()
    site.restart()
    site.tick()
    first, second = (request.headers["webhook-id"] for request in site.server.requests)
    assert first == second == site.deliveries()[0]["id"]


def test_garbage_on_the_topic_stops_nobody(site: Site) -> None:
    site.channel()
    site.route()
    for value in (b"", b"{", b"[]", b'{"id": 7}', b'{"id": "../x"}', b'{"id": "ward-202611-ffffffffffffffffffffffff"}'):
        site.announce(value, "k")
    site.alert(1)
    site.tick()
    assert len(site.got()) == 1


def test_an_alert_that_was_closed_before_it_was_told_is_not_told(site: Site) -> None:
    site.channel()
    site.route()
    identifier = site.alert(1)
    site.server.answers.append((503, b"", {}))
    with pytest.raises(PeerUnavailable):
        site.tick()
    workflow.close(site.store, person("wang"), identifier, site.state(identifier), Verdict.DUPLICATE)
    site.pass_time(minutes=1)
    with pytest.raises(PeerUnavailable):
        site.tick()
    assert (len(site.server.requests), site.states()) == (1, ["cancelled"])


def test_a_server_that_is_away_gets_it_later_and_the_tries_are_counted(site: Site) -> None:
    site.channel()
    site.route()
    site.alert(1)
    site.server.answers.extend([(503, b"", {}), (429, b"", {})])
    for minutes in (0, 1, 2):
        site.pass_time(minutes=minutes)
        if minutes < 2:
            with pytest.raises(PeerUnavailable, match="it answered"):
                site.tick()
            with pytest.raises(PeerUnavailable):
                site.tick()  # not yet: nothing is sent
        else:
            site.tick()
    assert len(site.server.requests) == 3
    assert [(doc["state"], doc["tries"]) for doc in site.deliveries()] == [("sent", 3)]


def test_a_refusal_ends_it_with_the_reason_in_the_log(site: Site) -> None:
    site.channel()
    site.route()
    site.alert(1)
    site.server.answers.append((403, b"", {}))
    with pytest.raises(PeerUnavailable, match="403"):
        site.tick()
    assert [(doc["state"], doc["error"]) for doc in site.deliveries()] == [("failed", "it answered 403")]


def test_a_channel_that_does_not_exist_or_is_wrong_is_told_in_the_log(site: Site) -> None:
    site.row("channels", "wrong", {"kind": "slack"})
    site.route("channel:absent", "channel:wrong", "person:nobody")
    site.alert(1)
    site.tick()
    assert site.states() == ["failed"] * 3
    assert {doc["error"] for doc in site.deliveries()} == {
        "nobody has no row in contacts",
        "there is no channel 'absent'",
        "slack.url: Field required",
    }


def test_many_at_once_are_one_digest(site: Site) -> None:
    site.channel()
    site.route()
    for number in range(30):
        site.alert(number)
    site.tick()
    ((_, headline),) = site.got()
    assert headline == "wardwatch: 30 notices: New alert 30"
    assert len({doc["digest"] for doc in site.deliveries()}) == 1
    assert set(site.states()) == {"sent"}


def test_a_webhook_gets_each_notice_within_its_rate(site: Site) -> None:
    site.channel(kind="webhook", secret="whsec_" + "QUFB" * 10, per_minute=10)
    site.route()
    for number in range(25):
        site.alert(number)
    for arrived in (10, 10, 20, 20, 25):
        site.tick()
        assert len(site.server.requests) == arrived
        site.pass_time(seconds=31)
    assert len({request.headers["webhook-id"] for request in site.server.requests}) == 25


def test_a_restart_does_not_forget_the_rate(site: Site) -> None:
    site.channel(per_minute=1)
    site.route()
    site.alert(1)
    site.tick()
    site.alert(2)
    site.restart()
    site.tick()
    assert len(site.got()) == 1
    site.pass_time(seconds=61)
    site.tick()
    assert len(site.got()) == 2


def test_routes_keep_to_business_time_and_night(site: Site) -> None:
    minutes = {"critical": 15, "high": 30, "medium": 120, "low": 480}
    calendar = {"weekdays": [1, 2, 3, 4, 5], "opens": "08:00", "closes": "18:00"}
    site.row("service_levels", "default", {"acknowledge": minutes, "decide": minutes, "calendar": calendar}, "ward")
    site.channel("day")
    site.channel("night")
    site.route("channel:day", key="day", when="business", events=["new"])
    site.route("channel:night", key="night", when="off_hours", events=["new"])
    site.alert(1)
    site.tick()
    site.pass_time(hours=12)
    site.alert(2)
    site.tick()
    assert [path for path, _ in site.got()] == ["day", "night"]


def test_who_is_on_call_is_told_over_their_own_channel(site: Site) -> None:
    site.channel("chat")
    for name, start in (("lin", -1), ("wang", 1)):
        shift = {"person": name, "starts": rfc3339(NOW + timedelta(hours=start)), "ends": rfc3339(NOW + timedelta(9))}
        site.row("on_call", name, shift if name == "wang" else {**shift, "ends": rfc3339(NOW + timedelta(hours=1))})
        site.row("contacts", name, {"channel": "chat", "address": f"U{name}"})
    site.route("on_call", events=["new"])
    site.alert(1)
    site.tick()
    site.pass_time(hours=2)
    site.alert(2)
    site.tick()
    mentions = [orjson.loads(request.body)["blocks"][-1]["text"]["text"] for request in site.server.requests]
    assert mentions == ["<@Ulin>", "<@Uwang>"]


def test_a_hospitals_channel_hides_the_shared_one_from_its_alerts_only(site: Site) -> None:
    site.channel()
    site.row("channels", "soc", {"kind": "slack", "lang": "en", "url": f"{site.server.url}/own"}, "ward")
    site.row("channels", "soc", {"kind": "slack", "lang": "en", "url": f"{site.server.url}/other"}, "other")
    site.route()
    site.alert(1)
    site.tick()
    assert [path for path, _ in site.got()] == ["own"]


def test_the_assignee_is_told_by_whom_and_nobody_who_took_it_alone(site: Site) -> None:
    site.channel("chat")
    for name in ("lin", "wang"):
        site.row("contacts", name, {"channel": "chat", "address": f"U{name}"})
    site.now = datetime.now(UTC)  # the console's clock is the real one
    site.start()
    given, taken = site.alert(1, announce=False), site.alert(2, announce=False)
    able = [person("lin"), person("wang")]
    workflow.assign(site.store, person("wang"), given, site.state(given), "lin", able)
    workflow.acknowledge(site.store, person("wang"), taken, site.state(taken))
    site.pass_time(seconds=5)
    site.tick()
    site.restart()
    site.tick()
    ((_, headline),) = site.got()
    assert headline == "[high] Assigned to you: Alert 1"
    assert "By: wang" in site.server.requests[0].body.decode()


@pytest.mark.parametrize(
    ("verdict", "headline"),
    [
        (Verdict.FALSE_POSITIVE_LOGIC, "[high] False positive: the rule's logic: Alert 1"),
        (Verdict.FALSE_POSITIVE_DATA, "[high] False positive: the source's data: Alert 1"),
    ],
)
def test_a_false_positive_goes_to_those_who_mend_what_was_at_fault(site: Site, verdict: Verdict, headline: str) -> None:
    site.channel("owners")
    site.row("routes", "owners", {"to": ["channel:owners"], "events": ["rule_fault", "data_fault"]})
    site.now = datetime.now(UTC)
    site.start()
    faulty, fine = site.alert(1, announce=False), site.alert(2, announce=False)
    workflow.close(site.store, person("wang"), faulty, site.state(faulty), verdict)
    workflow.close(site.store, person("wang"), fine, site.state(fine), Verdict.BENIGN_POSITIVE)
    site.pass_time(seconds=5)
    site.tick()
    assert site.got() == [("owners", headline)]


def test_an_assignment_that_was_taken_back_is_not_told(site: Site) -> None:
    site.channel("chat")
    site.row("contacts", "lin", {"channel": "chat"})
    site.now = datetime.now(UTC)
    site.start()
    identifier = site.alert(1, announce=False)
    done = workflow.assign(site.store, person("wang"), identifier, site.state(identifier), "lin", [person("lin")])
    workflow.undo(site.store, person("wang"), identifier, done.audit_id)
    site.pass_time(seconds=5)
    site.tick()
    assert (site.got(), site.states()) == ([], ["cancelled"])


def test_a_request_of_a_hospital_and_an_escalation_are_told(site: Site) -> None:
    site.channel()
    site.route()
    identifier = site.alert(1, announce=False)
    audit = site.store.documents("audit")
    found = site.store.alerts.get(SCOPE, [identifier])[identifier]
    site.store.alerts.workflow(SCOPE, identifier, {"status": "escalated"}, version=found.version)
    change = {"before": '{"status":"new"}', "after": '{"status":"escalated"}'}
    entry = {"at": rfc3339(NOW), "actor": "wang", "tenant": "ward", "alert": identifier, "action": "escalate", **change}
    audit.create("e1", {"id": "e1", **entry})
    asked = orjson.dumps({"requests": [{"to": "provider", "text": "who?"}]}).decode()
    case = {"at": rfc3339(NOW), "actor": "it", "tenant": "ward", "case": "ward-1", "action": "case_ask"}
    audit.create("e2", {"id": "e2", "before": "{}", "after": asked, **case})
    audit.create("e3", {"id": "e3", "before": "{}", "after": '{"requests": [{"to": "hospital"}]}', **case})
    audit.create("e4", {"id": "e4", "before": "{", "after": "[]", **case, "alert": "x"})
    site.tick()
    site.tick()
    assert sorted(headline for _, headline in site.got()) == [
        "[high] Escalated: Alert 1",
        "[high] Request from the hospital",
    ]


def test_silence_and_its_end_are_told(site: Site) -> None:
    site.channel()
    site.route(events=["silent", "recovered"])
    site.alert(1)
    site.alert(2, rule="silent_source", severity=Severity.MEDIUM)
    site.alert(3, rule="silent_source", severity=Severity.MEDIUM, recovered_at=rfc3339(NOW))
    site.tick()
    assert sorted(headline for _, headline in site.got()) == [
        "[medium] Log source heard again: Alert 3",
        "[medium] Log source silent: Alert 2",
    ]


def test_a_deadline_is_told_when_it_is_near_and_when_it_has_passed_each_once(site: Site) -> None:
    site.channel()
    site.route(events=["soon", "breached"])
    identifier = site.alert(1)  # high: 30 minutes to take
    for minutes, state, headlines in (
        (22, None, []),
        (1, "soon", ["Deadline near"]),
        (6, "soon", ["Deadline near"]),
        (2, "breached", ["Deadline near", "Deadline passed"]),
        (60, "breached", ["Deadline near", "Deadline passed"]),
    ):
        site.pass_time(minutes=minutes)
        site.restart()
        site.tick()
        site.tick()
        assert site.own(identifier).get("sla_state") == state
        assert [headline.partition("] ")[2].partition(":")[0] for _, headline in site.got()] == headlines


def test_a_taken_alert_has_its_next_deadline_told(site: Site) -> None:
    site.channel()
    site.route(events=["soon", "breached"])
    identifier = site.alert(1)
    site.pass_time(minutes=31)
    site.tick()
    workflow.acknowledge(site.store, person("wang"), identifier, site.state(identifier))
    assert "sla_state" not in site.own(identifier)
    site.pass_time(minutes=60)  # 91 of 120 minutes to decide
    site.tick()
    assert site.own(identifier)["sla_state"] == "soon"
    assert [headline.partition("] ")[2] for _, headline in site.got()] == [
        "Deadline passed: Alert 1",
        "Deadline near: Alert 1",
    ]


def test_a_paused_or_closed_alert_is_not_told_of(site: Site) -> None:
    site.channel()
    site.route(events=["soon", "breached"])
    waits, done = site.alert(1), site.alert(2)
    workflow.pause(site.store, person("wang"), waits, site.state(waits))
    workflow.close(site.store, person("wang"), done, site.state(done), Verdict.DUPLICATE)
    site.pass_time(hours=5)
    site.tick()
    assert site.got() == []


def test_what_the_scheduler_writes_takes_nobodys_form_away(site: Site) -> None:
    identifier = site.alert(1)
    shown = site.state(identifier)
    site.pass_time(minutes=31)
    site.tick()
    assert site.own(identifier)["sla_state"] == "breached"
    workflow.acknowledge(site.store, person("wang"), identifier, shown)


def test_a_breach_goes_up_the_chain_until_somebody_acts(site: Site) -> None:
    for name in ("team", "lead", "chief"):
        site.channel(name)
    steps = [
        {"to": ["channel:team"]},
        {"after_minutes": 10, "to": ["channel:lead"]},
        {"after_minutes": 30, "to": ["channel:chief"]},
    ]
    site.row("escalations", "default", {"severities": ["high", "critical"], "steps": steps})
    identifier = site.alert(1)
    site.alert(2, severity=Severity.LOW)
    site.pass_time(minutes=31)
    site.tick()
    assert [path for path, _ in site.got()] == ["team"]
    site.pass_time(minutes=11)
    site.restart()
    site.tick()
    assert [path for path, _ in site.got()] == ["team", "lead"]
    workflow.acknowledge(site.store, person("wang"), identifier, site.state(identifier))
    site.pass_time(minutes=20)
    site.tick()
    assert [path for path, _ in site.got()] == ["team", "lead"]
    assert site.states() == ["cancelled", "sent", "sent"]


def test_an_old_alert_is_not_told_to_those_who_begin_today(site: Site) -> None:
    site.channel()
    site.route(events=["new"])
    site.alert(1)
    site.pass_time(hours=25)
    site.tick()
    assert site.got() == []


def test_a_wrong_row_of_a_route_does_not_stop_the_others(site: Site) -> None:
    site.channel()
    site.route()
    site.row("routes", "wrong", {"to": ["everybody"]})
    site.alert(1)
    site.tick()
    assert len(site.got()) == 1
