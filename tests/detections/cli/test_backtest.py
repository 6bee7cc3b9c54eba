"""``wardwatch rules backtest`` over archived events."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
import yaml

from detections.archive import Archive
from detections.sigma import Ruleset
from tests.detections.cli.laboratory import DAY, ROOT, Laboratory, correlation, invoke
from tests.detections.rules_under_test import rule_document
from tests.wardwatch.store.samples import settle
from wardwatch.bus import open_bus
from wardwatch.event import LOGSOURCE, Document, Event, LogSource
from wardwatch.settings import load
from wardwatch.tables import Tables
from wardwatch.topics import TABLES

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
USERS = ["root", "ops", "root", "root"]


MANY = correlation(ROOT["id"], "Many")


def logins(*users: str) -> list[dict[str, Any]]:
    return [{"user.name": user, "host.name": f"h-{user}"} for user in users]


def backtest(lab: Laboratory, *arguments: object) -> Any:
    result = invoke("backtest", *arguments, "--tenant", lab.tenant, "--json")
    assert result.exit_code in (0, 1), result.output
    return orjson.loads(result.stdout)


def test_matches_and_alerts_are_counted_per_day_of_each_hospital(lab: Laboratory) -> None:
    lab.archive(logins(*USERS), every=10 * HOUR)  # 00:00, 10:00, 20:00 and 06:00 of the day after
    lab.archive(logins("root", "root"), tenant=f"{lab.tenant}_x", every=timedelta(seconds=1))
    both = ("--from", "2026-03-10", "--to", "2026-03-12", "--tenant", f"{lab.tenant}_x")
    (found,) = backtest(lab, lab.rule(ROOT), *both)["rules"]
    assert [tuple(day.values()) for day in found["days"]] == [
        (lab.tenant, "2026-03-10", 2, 2),
        (lab.tenant, "2026-03-11", 1, 1),
        (f"{lab.tenant}_x", "2026-03-10", 2, 1),
    ]
    assert (found["matches"], found["alerts"]) == (5, 4)


def test_the_span_is_read_in_the_zone_of_the_hospital(lab: Laboratory) -> None:
    lab.archive(logins(*["root"] * 30), every=HOUR)
    with closing(open_bus(load().bus_url)) as bus, closing(Tables(bus)) as tables:
        bus.ensure_topics([TABLES])
        tables.put("tenants", "", lab.tenant, {"zone": "Asia/Tokyo"})
    assert backtest(lab, lab.rule(ROOT), *DAY)["rules"][0]["matches"] == 23
    zoned = ("--from", "2026-03-10T00:00+08:00", "--to", "2026-03-10T02:00+08:00")
    assert backtest(lab, lab.rule(ROOT), *zoned)["rules"][0]["matches"] == 2


def test_a_hospitals_own_version_of_a_rule_in_force_is_tried_on_its_events(lab: Laboratory) -> None:
    theirs = ROOT | {"detection": {"a": {"user.name": "ops"}, "condition": "a"}}
    with closing(open_bus(load().bus_url)) as bus, closing(Tables(bus)) as tables:
        bus.ensure_topics([TABLES])
        tables.put("rules", "", "root", {"text": yaml.safe_dump(ROOT)})
        tables.put("rules", lab.tenant, "root", {"text": yaml.safe_dump(theirs)})
    lab.archive(logins("root", "root", "ops"))
    other = f"{lab.tenant}_x"
    lab.archive(logins("root", "root", "ops"), tenant=other)
    (found,) = backtest(lab, ROOT["id"], *DAY, "--tenant", other)["rules"]
    assert {row["tenant"]: row["matches"] for row in found["days"]} == {lab.tenant: 1, other: 2}


def test_only_events_of_the_rules_log_sources_are_read(lab: Laboratory) -> None:
    sysmon = {"event.dataset": "windows.sysmon", "winlog.channel": "Microsoft-Windows-Sysmon/Operational"}
    windows = [{**sysmon, "winlog.event_id": number, "process.executable": "C:\\a.exe"} for number in (1, 3, 1)]
    lab.archive([*logins("root"), *windows, {"event.dataset": "hl7.v2", "user.name": "root"}])
    lab.rule(ROOT)
    source = {"product": "windows", "category": "process_creation"}
    other = rule_document({"Image|endswith": "a.exe"}, logsource=source, id="0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b99")
    lab.rule(other, "process.yml")
    report = backtest(lab, lab.folder, *DAY)
    assert (report["events_read"], report["events_of_other_log_sources"]) == (3, 2)
    assert sorted(rule["matches"] for rule in report["rules"]) == [1, 2]


def test_it_finds_what_the_rules_find_in_every_event(lab: Laboratory) -> None:
    docs: list[dict[str, Any]] = [
        {"event.dataset": dataset, "user.name": user}
        for dataset in ("linux.sshd", "linux.sudo", "linux.syslog", "mysql.audit", "unheard.of")
        for user in ("root", "ops")
    ]
    lab.archive(docs)
    for source in ({"product": "linux"}, {"category": "database"}, {"service": "sudo"}, {"product": "mainframe"}):
        file = lab.rule(rule_document({"user.name": "root"}, logsource=source))
        ruleset = Ruleset.load([file])
        events = [lab.event(number, doc) for number, doc in enumerate(docs)]
        assert backtest(lab, file, *DAY)["rules"][0]["matches"] == sum(bool(ruleset.match(each)) for each in events)


def test_an_archived_event_keeps_the_log_source_that_its_fields_do_not_tell(lab: Laboratory) -> None:
    events = [lab.event(number, {"event.dataset": "cef", "user.name": "root"}) for number in range(3)]
    for event, product in zip(events, ("fortinet", "paloalto"), strict=False):
        event.logsource = LogSource(product, "firewall")
    lab.store.events.write(events)
    settle(lab.store)
    report = backtest(lab, lab.rule(ROOT | {"logsource": {"product": "fortinet"}}), *DAY)
    assert (report["events_read"], report["rules"][0]["matches"]) == (1, 1)


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_an_event_archived_before_log_sources_were_is_told_by_its_fields(lab: Laboratory, tmp_path: Path) -> None:
    lab.archive(logins("root", "ops"))
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as file:
        paths = [f'$."{name}"' for name in LOGSOURCE]
        file.execute("UPDATE events SET doc = json_remove(CAST(doc AS TEXT), ?, ?, ?)", paths)
        file.commit()
    assert backtest(lab, lab.rule(ROOT), *DAY)["rules"][0]["matches"] == 1
    assert backtest(lab, lab.rule(ROOT | {"logsource": {"product": "mysql"}}), *DAY)["events_read"] == 0


def test_samples_are_the_first_events_and_say_why(lab: Laboratory) -> None:
    lab.archive(logins(*USERS), every=HOUR)
    (found,) = backtest(lab, lab.rule(ROOT), *DAY, "--samples", 2)["rules"]
    assert [sample["event_id"] for sample in found["samples"]] == ["00000000", "00000002"]
    assert found["samples"][0]["matched"] == {"user.name": ["root"]}


def test_a_correlation_counts_its_alerts_and_the_events_in_them(lab: Laboratory) -> None:
    lab.rule(ROOT)
    lab.rule(MANY, "many.yml")
    lab.archive(logins("root", "ops", "root", "root", "root"), every=MINUTE)
    lab.archive(logins("root", "root"), tenant=f"{lab.tenant}_x", every=MINUTE)
    lab.archive(logins("root", "root", "root"), tenant=f"{lab.tenant}_y", every=6 * MINUTE)
    others = [each for other in "xy" for each in ("--tenant", f"{lab.tenant}_{other}")]
    rules = {rule["title"]: rule for rule in backtest(lab, lab.folder, *DAY, *others)["rules"]}
    assert [tuple(day.values()) for day in rules["Many"]["days"]] == [(lab.tenant, "2026-03-10", 4, 1)]
    (sample,) = rules["Many"]["samples"]
    assert (sample["event_id"], sample["matched"]) == ("00000003", {"event_count": ["3"], "Root": ["3"]})
    assert sample["sentence"]["en"] == "Many: 3 events within 10 minutes; host.name = h-root"


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("generate", "alerts"), [(False, 0), (True, 1)])
def test_a_rule_that_a_correlation_refers_to_has_the_alerts_that_generate_leaves_it(
    lab: Laboratory, generate: bool, alerts: int
) -> None:
    lab.rule(ROOT)
    lab.rule(correlation(ROOT["id"], "Many", generate=generate), "many.yml")
    lab.archive(logins(*USERS), every=MINUTE)
    rules = {rule["title"]: rule for rule in backtest(lab, lab.folder, *DAY)["rules"]}
    assert (rules["Root"]["matches"], rules["Root"]["alerts"]) == (3, alerts)
    assert ("correlations alone" in invoke("backtest", lab.folder, *DAY).stdout) is not generate


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_a_correlation_in_force_is_tried_with_all_that_it_leans_on(lab: Laboratory) -> None:
    above = correlation(MANY["id"], "Twice", condition={"gte": 2}, timespan="1h")
    with closing(open_bus(load().bus_url)) as bus, closing(Tables(bus)) as tables:
        bus.ensure_topics([TABLES])
        for name, rule in {"root": ROOT, "many": MANY, "twice": above}.items():
            tables.put("rules", "", name, {"text": yaml.safe_dump(rule)})
    bursts = logins(*(["root"] * 3 + ["ops"] * 27) * 3)  # three logins of root every half an hour
    lab.archive([*bursts, {"event.dataset": "hl7.v2"}], every=MINUTE)
    report = backtest(lab, "twice", *DAY)
    (found,) = report["rules"]
    assert (report["events_read"], found["title"], found["matches"], found["alerts"]) == (90, "Twice", 3, 1)


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_a_correlation_without_its_rules_is_refused_with_the_remedy(lab: Laboratory) -> None:
    result = invoke("backtest", lab.rule(MANY))
    assert result.exit_code == 1
    assert "load it with the correlation" in str(result.exception)


def test_more_matches_than_allowed_fail_in_the_exit_code_and_in_junit(lab: Laboratory, tmp_path: Path) -> None:
    lab.archive(logins(*USERS))
    arguments = ("backtest", lab.rule(ROOT), *DAY, "--tenant", lab.tenant, "--junit", tmp_path / "report.xml")
    for most, code in ((3, 0), (2, 1)):
        assert invoke(*arguments, "--max", most).exit_code == code
        suite = ElementTree.parse(tmp_path / "report.xml").getroot()
        assert (suite.get("tests"), suite.get("failures")) == ("1", str(code))
        assert [case.get("name") for case in suite.iter("testcase")] == ["Root"]
    assert [each.get("message") for each in suite.iter("failure")] == ["3 matches, at most 2 are allowed"]


def test_a_person_reads_counts_samples_and_throughput(lab: Laboratory) -> None:
    lab.archive(logins(*USERS))
    result = invoke("backtest", lab.rule(ROOT), *DAY, "--tenant", lab.tenant)
    assert result.exit_code == 0
    assert "4 events read in" in result.stdout
    assert ["2026-03-10", lab.tenant, "3", "1"] in [line.split() for line in result.stdout.splitlines()]


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_an_interrupt_prints_what_is_known(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.archive(logins(*["root"] * 20))
    get = Archive.event

    def interrupted(archive: Archive, tenant: str, doc: Document) -> Event:
        if doc["event.id"] == "00000005":
            signal.default_int_handler(signal.SIGINT, None)  # a parent may have had SIGINT ignored
        return get(archive, tenant, doc)

    monkeypatch.setattr(Archive, "event", interrupted)
    lab.rule(ROOT)
    lab.rule(MANY, "many.yml")
    result = invoke("backtest", lab.folder, *DAY, "--json")
    report = orjson.loads(result.stdout)
    assert result.exit_code == 130
    assert (report["complete"], [rule["matches"] for rule in report["rules"]]) == (False, [5, 5])


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-rule"], "no rule"),
        (["linux_ssh_root_login", "--tenant", "nowhere"], "no archived events"),
        (["linux_ssh_root_login", "--from", "yesterday"], "yesterday"),
    ],
)
def test_what_does_not_exist_is_named(lab: Laboratory, arguments: list[str], said: str) -> None:
    result = invoke("backtest", *arguments)
    assert result.exit_code != 0
    assert said in result.output + str(result.exception)


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_a_rule_that_can_not_be_loaded_is_named_with_its_line(lab: Laboratory) -> None:
    result = invoke("backtest", lab.rule(ROOT | {"level": "urgent"}))
    assert result.exit_code == 1
    assert "rule.yml:" in str(result.exception)


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_a_rule_that_can_not_be_loaded_stops_no_other_and_fails_the_gate(lab: Laboratory, tmp_path: Path) -> None:
    lab.rule(ROOT)
    lab.rule(MANY | {"level": "urgent"}, "bad.yml")
    lab.archive(logins(*USERS))
    result = invoke("backtest", lab.folder, *DAY, "--junit", tmp_path / "report.xml", "--json")
    assert (result.exit_code, "bad.yml:" in result.stderr) == (1, True)
    assert orjson.loads(result.stdout)["rules"][0]["matches"] == 3
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "1")
