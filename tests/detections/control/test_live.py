"""Rules change while events flow: nothing is lost, and what is bad leaves the old state in force."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
import yaml
from typer.testing import CliRunner

from detections import alerter, matcher, matches
from detections.cli import rules as commands
from detections.control.live import REJECTED
from detections.control.reports import Workers
from detections.control.rows import MODELS
from tests.detections.rules_under_test import event, rule_document
from tests.detections.test_stages import running
from wardwatch import topics
from wardwatch.bus import Bus, open_bus
from wardwatch.event import encode
from wardwatch.settings import MatcherSettings, Settings
from wardwatch.store import AlertQuery, Scope, Store, open_store
from wardwatch.tables import Tables
from wardwatch.testing.ports import wait_until

EVERY, MINE = str(UUID(int=1)), str(UUID(int=2))


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A system whose only rule file matches every event."""
    file = tmp_path / "every.yml"
    file.write_text(yaml.safe_dump(rule_document({"f": "x"}, id=EVERY)))
    bus = str(request.getfixturevalue("kafka")) if request.param == "kafka" else ""
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WARDWATCH_MATCHER__RULES", f'["{file}"]')
    monkeypatch.setenv("WARDWATCH_MATCHER__SHIPPED_RULES", "false")
    if bus:
        monkeypatch.setenv("WARDWATCH_BUS", bus)
    own = MatcherSettings(rules=(file,), shipped_rules=False)
    return Settings(data_dir=tmp_path, bus=bus, matcher=own, health_port=0)


class Flow:
    """Sends numbered events of a tenant of its own without end, and reads the matches of it."""

    def __init__(self, bus: Bus, tenant: str) -> None:
        self.tenant = tenant
        self.sent = 0
        self._bus = bus
        self._stopping = threading.Event()
        self._reader = bus.reader([topics.MATCHES.name])
        self._found: list[tuple[str, str, str]] = []
        self._thread = threading.Thread(target=self._send)
        bus.ensure_topics([*topics.shared(), *topics.of_tenant(tenant)])

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._reader.close()

    def stop(self) -> None:
        """Send no more."""
        self._stopping.set()
        self._thread.join()

    def matches(self) -> list[tuple[str, str, str]]:
        """Return rule, version and event of each match so far."""
        # one poll at a time: while events flow there is always one more
        found = [matches.decode(record.value or b"") for record in self._reader.poll(max_records=5000, timeout_s=0.1)]
        own = [each for each in found if each.tenant == self.tenant]
        self._found += [(each.rule.id, each.rule.version, each.event_id) for each in own]
        return self._found

    def events(self, rule: str) -> set[str]:
        """Return the events that the rule has matched."""
        return {event_id for rule_id, _, event_id in self.matches() if rule_id == rule}

    def later(self, rule: str, before: int) -> bool:
        """Tell whether the rule has matched an event sent after so many."""
        return any(int(event_id) >= before for event_id in self.events(rule))

    def _send(self) -> None:
        producer = self._bus.producer()
        while not self._stopping.is_set():
            for _ in range(20):
                host = f"h{self.sent // 100}"
                found = event({"event.id": str(self.sent), "f": "x", "g": "x", "host.name": host})
                producer.send(topics.events(self.tenant).name, encode(found.doc), headers=found.headers())
                self.sent += 1
            producer.flush()
            self._stopping.wait(0.05)
        producer.close()


@pytest.fixture
def flow(settings: Settings, request: pytest.FixtureRequest) -> Iterator[Flow]:
    bus = open_bus(settings.bus_url)
    with Flow(bus, f"live_{abs(hash(request.node.nodeid)) % 10**9}_{os.getpid()}") as found:
        yield found
    clean(bus)
    bus.close()


def clean(bus: Bus) -> None:
    """Leave no row behind: the broker is that of the whole session."""
    tables = Tables(bus)
    tables.catch_up()
    for table, tenant, key in tables.snapshot(MODELS)[1]:
        tables.delete(table, tenant, key)
    tables.close()


def rules(*arguments: str) -> Any:
    return CliRunner().invoke(commands, list(arguments))


def written(folder: Path, value: str = "x", **more: Any) -> str:
    file = folder / "mine.yml"
    file.write_text(yaml.safe_dump(rule_document({"f": value}, id=MINE, **more)))
    return str(file)


def test_a_rule_is_put_changed_muted_and_removed_while_events_flow(
    settings: Settings, flow: Flow, tmp_path: Path
) -> None:
    (tmp_path / "put").mkdir()
    with running("matcher", matcher.run, settings):
        wait_until(lambda: flow.later(EVERY, 0), what="the first match")
        put = rules("put", written(tmp_path / "put"))
        assert "in force: matcher-0@" in put.output, put.output
        before = flow.sent
        wait_until(lambda: flow.later(MINE, before), what="a match of the new rule")
        assert rules("put", written(tmp_path / "put", level="high")).exit_code == 0
        wait_until(
            lambda: len({version for rule, version, _ in flow.matches() if rule == MINE}) == 2, what="its version"
        )
        assert "table" in rules("list", "--json").output
        muted = rules("mute", MINE, "--tenant", flow.tenant, "--reason", "test", "--expires", "1h")
        assert muted.exit_code == 0, muted.output
        assert f'"muted":"{flow.tenant}"' in rules("list", "--json").output
        silent = flow.sent
        wait_until(lambda: flow.later(EVERY, silent), what="the other rule")
        assert rules("unmute", MINE, "--tenant", flow.tenant).exit_code == 0
        loud = flow.sent
        wait_until(lambda: flow.later(MINE, loud), what="the rule that is no longer muted")
        assert rules("remove", "mine.yml").exit_code == 0
        gone = flow.sent
        wait_until(lambda: flow.later(EVERY, gone), what="the other rule")
        flow.stop()
        wait_until(lambda: len(flow.events(EVERY)) == flow.sent, what="a match of every event sent")
    versions = {version: int(e) for rule, version, e in flow.matches() if rule == MINE}
    assert len(versions) == 2
    assert not any(int(each) >= gone for each in flow.events(MINE))


def test_a_pipeline_and_a_filter_are_put_refused_and_removed_while_events_flow(
    settings: Settings, flow: Flow, tmp_path: Path
) -> None:
    pipeline, known = tmp_path / "names.yml", tmp_path / "known.yml"
    step = {"type": "field_name_mapping", "mapping": {"written_so": "g"}}
    pipeline.write_text(yaml.safe_dump({"name": "own", "transformations": [step]}))
    body = {"rules": [MINE], "selection": {"f": "x"}, "condition": "not selection"}
    known.write_text(yaml.safe_dump({"title": "Known", "logsource": {"product": "test"}, "filter": body}))
    mine = tmp_path / "mine.yml"
    mine.write_text(yaml.safe_dump(rule_document({"written_so": "x"}, id=MINE)))

    def silent() -> None:
        before = flow.sent
        wait_until(lambda: flow.later(EVERY, before), what="the other rule")
        assert not any(int(each) >= before for each in flow.events(MINE))

    def loud() -> None:
        before = flow.sent
        wait_until(lambda: flow.later(MINE, before), what="a match of the rule")

    with running("matcher", matcher.run, settings):
        wait_until(lambda: flow.later(EVERY, 0), what="the first match")
        assert rules("put", str(mine)).exit_code == 0
        silent()
        put = rules("put", str(pipeline))
        assert "in force: matcher-0@" in put.output, put.output
        loud()
        good = pipeline.read_text()
        pipeline.write_text(good.replace("field_name_mapping", "command_placeholders"))
        refused = rules("put", str(pipeline))
        assert refused.exit_code == 1
        assert "has no place" in str(refused.exception)
        loud()
        assert rules("put", str(known)).exit_code == 0
        silent()
        assert rules("remove", "known.yml").exit_code == 0
        loud()
        assert rules("remove", "names.yml").exit_code == 0
        silent()
        flow.stop()
        wait_until(lambda: len(flow.events(EVERY)) == flow.sent, what="a match of every event sent")
    found = [event_id for rule, _, event_id in flow.matches() if rule == EVERY]
    assert len(found) == flow.sent
    assert len({version for rule, version, _ in flow.matches() if rule == MINE}) == 1


def statuses(store: Store, tenant: str) -> dict[int, str]:
    """Return the status of each alert by the number of its host, which grows as events are sent."""
    found: dict[int, str] = {}
    after: str | None = None
    while True:
        page = store.alerts.search(Scope("test"), AlertQuery(tenants=frozenset((tenant,))), after=after, limit=200)
        for alert in (each.doc["wardwatch"]["alert"] for each in page.items):
            found[int(alert["group_by"]["host.name"][1:])] = alert["status"]
        if (after := page.after) is None:
            return found


def test_a_suppression_is_put_refused_and_removed_while_alerts_are_made(settings: Settings, flow: Flow) -> None:
    store = open_store(settings.store_url)
    store.setup()

    def later(status: str) -> int:
        """Return the host of an alert that was made with this status for events which are not sent yet."""
        before = flow.sent // 100
        wanted: list[int] = []

        def made() -> list[int]:
            found = statuses(store, flow.tenant)
            wanted[:] = [host for host, each in found.items() if host > before and each == status]
            return wanted

        wait_until(made, timeout_s=60, what=f"an alert that is {status}")
        return wanted[0]

    with running("matcher", matcher.run, settings), running("alerter", alerter.run, settings) as runtime:
        first = later("new")
        put = rules("suppress", "--rule", EVERY, "--tenant", flow.tenant, "--reason", "drill", "--expires", "1h")
        assert put.exit_code == 0, put.output
        assert "alerter-0@" in put.output
        second = later("suppressed")
        bus = open_bus(settings.bus_url)
        tables = Tables(bus)
        tables.catch_up()
        ((table, tenant, key),) = tables.snapshot(["suppressions"])[1]
        tables.put(table, tenant, key, {"rule": EVERY, "by": "lin"})
        wait_until(lambda: runtime.health()["parts"]["rules"].get("refused"), what="the refusal on the health page")
        third = later("suppressed")
        tables.close()
        bus.close()
        removed = rules("unsuppress", key, "--tenant", flow.tenant)
        assert removed.exit_code == 0, removed.output
        fourth = later("new")
        flow.stop()
    found = statuses(store, flow.tenant)
    assert [found[host] for host in (first, second, third, fourth)] == ["new", "suppressed", "suppressed", "new"]
    store.close()


def test_a_bad_row_is_refused_the_old_rule_stays_and_the_reason_is_shown(
    settings: Settings, flow: Flow, tmp_path: Path
) -> None:
    (tmp_path / "put").mkdir()
    with running("matcher", matcher.run, settings) as runtime:
        wait_until(lambda: flow.later(EVERY, 0), what="the first match")
        assert rules("put", written(tmp_path / "put")).exit_code == 0
        bad = tmp_path / "put" / "bad.yml"
        bad.write_text("title: [")
        refused = rules("put", str(bad))
        assert refused.exit_code == 1
        assert "not YAML" in str(refused.exception)
        bus = open_bus(settings.bus_url)
        tables = Tables(bus)
        tables.put("rules", "", "mine.yml", {"text": "title: ["})
        tables.close()
        wait_until(lambda: runtime.health()["parts"]["rules"].get("refused"), what="the refusal on the health page")
        assert "not YAML" in runtime.health()["parts"]["rules"]["refused"]["tables/rules/mine.yml"]
        workers = Workers(bus)
        (worker,) = [each for each in workers.alive() if each.worker == f"matcher-0@{socket.gethostname()}"]
        workers.close()
        bus.close()
        assert "not YAML" in worker.refused["tables/rules/mine.yml"]
        assert "not YAML" in rules("list", "--rejected").output
        before = flow.sent
        wait_until(lambda: flow.later(MINE, before), what="the last good rule")


def test_a_rejected_rule_is_told_with_its_reason_by_command_metric_health_page_and_worker(
    settings: Settings, flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(yaml.safe_dump(rule_document({"f|containz": "x"}, id=MINE)))
    paths = (*settings.matcher.rules, bad)
    monkeypatch.setenv("WARDWATCH_MATCHER__RULES", orjson.dumps([str(path) for path in paths]).decode())
    own = MatcherSettings(rules=paths, shipped_rules=False)
    line = bad.read_text().split("\n").index("    f|containz: x") + 1
    place = f"{bad}:{line}"

    def told() -> dict[str, str]:
        """Return the reasons by place that the metric has."""
        (metric,) = REJECTED.collect()
        return {sample.labels["place"]: sample.labels["reason"] for sample in metric.samples}

    with running("matcher", matcher.run, settings.model_copy(update={"matcher": own})) as runtime:
        wait_until(lambda: flow.later(EVERY, 0), what="a match of the rule that is sound")
        (listed,) = map(orjson.loads, rules("list", "--rejected", "--json").output.splitlines())
        assert (f"{listed['file']}:{listed['line']}", "containz" in listed["reason"]) == (place, True)
        bus = open_bus(settings.bus_url)
        workers, tables = Workers(bus), Tables(bus)
        here = f"matcher-0@{socket.gethostname()}"
        wait_until(lambda: any(each.worker == here and each.rejected for each in workers.alive()), what="its report")
        (report,) = [each for each in workers.alive() if each.worker == here]
        health = runtime.health()["parts"]["rules"]
        assert report.rejected == health["rejected"] == told() == {place: listed["reason"]}
        assert health["message"] == "1 loaded, 1 rejected"
        tables.put("rules", "", "mine.yml", {"text": "title: ["})
        wait_until(lambda: "tables/rules/mine.yml" in told(), what="the refused row in the metric")
        assert "not YAML" in told()["tables/rules/mine.yml"]
        tables.put("rules", "", MINE, {"enabled": False})  # speaks for the rule, which is not looked at any more
        wait_until(lambda: set(told()) == {"tables/rules/mine.yml"}, what="the rule gone from the metric")
        assert runtime.health()["parts"]["rules"]["rejected"] == {}
        workers.close()
        tables.close()
        bus.close()


@contextmanager
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Run a matcher as it runs in production, with the settings of the environment."""
    with subprocess.Popen([sys.executable, "-m", "wardwatch", "run", "matcher"]) as child:
        try:
            yield child
        finally:
            child.send_signal(signal.SIGKILL)


def test_a_matcher_that_is_killed_in_the_middle_of_a_change_loses_no_event(
    settings: Settings, flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "put").mkdir()
    monkeypatch.setenv("WARDWATCH_HEALTH_PORT", "0")
    with process() as first:
        wait_until(lambda: flow.later(EVERY, 0), what="the first match")
        assert rules("put", written(tmp_path / "put"), "--no-wait").exit_code == 0
        first.send_signal(signal.SIGKILL)
        first.wait()
    with process():
        before = flow.sent
        wait_until(lambda: flow.later(MINE, before), timeout_s=60, what="the rule in force")
        flow.stop()
        wait_until(lambda: len(flow.events(EVERY)) == flow.sent, timeout_s=60, what="a match of every event sent")
