"""``wardwatch rules explain``."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from typer.testing import Result

from detections.cli import rules
from detections.logsource import of_document
from tests.detections.cli.laboratory import ROOT, Laboratory, correlation
from tests.detections.cli.running import invoke, written
from tests.detections.rules_under_test import RULE_ID
from wardwatch.bus import open_bus
from wardwatch.event import Event
from wardwatch.settings import load
from wardwatch.store import open_store
from wardwatch.tables import Tables
from wardwatch.topics import TABLES

EVENT = {"event.id": "e1", "@timestamp": "2026-03-01T02:11:09.000Z", "event.dataset": "linux.sshd", "user.name": "root"}


def test_a_rule_is_named_by_file_and_the_event_by_its_record(folder: Path) -> None:
    file = folder / "events.ndjson"
    file.write_bytes(orjson.dumps({**EVENT, "user.name": "alice"}) + b"\n" + orjson.dumps(EVENT))
    first, second = (
        invoke(rules, "explain", folder / "root.yml", file, "--record", number, "--lang", "en") for number in (1, 2)
    )
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert '`user.name` is "alice", the rule wants "root"' in first.stdout
    assert "It matches" in second.stdout


@pytest.mark.parametrize("name", [RULE_ID, "root", "A rule"])
def test_a_rule_is_named_by_id_or_name(folder: Path, name: str) -> None:
    result = invoke(rules, "explain", name, "-", "--rules", folder, text=orjson.dumps(EVENT))
    assert result.exit_code == 0


@pytest.mark.parametrize(("language", "shown"), [("en", (True, False)), ("zh", (False, True)), ("both", (True, True))])
def test_the_answer_is_in_the_languages_asked_for(folder: Path, language: str, shown: tuple[bool, bool]) -> None:
    result = invoke(rules, "explain", folder / "root.yml", "-", "--lang", language, text=orjson.dumps(EVENT))
    assert ("It matches" in result.stdout, "命中" in result.stdout) == shown


def test_the_language_is_that_of_the_locale(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "命中" in invoke(rules, "explain", folder / "root.yml", "-", text=orjson.dumps(EVENT)).stdout


def test_an_event_of_the_store_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{folder / 'store.db'}"
    store = open_store(url)
    store.setup()
    store.events.write([Event(dict(EVENT), "renai", "linux", of_document(EVENT))])
    store.close()
    monkeypatch.setenv("WARDWATCH_STORE", url)
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(folder))
    result = invoke(rules, "explain", folder / "root.yml", "--event-id", "e1", "--tenant", "renai")
    assert (result.exit_code, "It matches" in result.stdout) == (0, True)


@pytest.mark.parametrize("arguments", [("nobody", "-"), ("root", "-", "--record", "2"), ("root",), ("root", "absent")])
def test_what_is_not_there_is_an_error(folder: Path, arguments: tuple[str, ...]) -> None:
    result = invoke(rules, "explain", *arguments, "--rules", folder, text=orjson.dumps(EVENT))
    assert result.exit_code != 0
    assert "It " not in result.stdout


def at(minute: int, **own: object) -> bytes:
    """Return an event of that minute: a login of root at the host h, unless told otherwise."""
    event = {**EVENT, "event.id": f"e{minute}", "host.name": "h", "@timestamp": f"2026-03-01T02:{minute:02}:00.000Z"}
    return orjson.dumps({name: value for name, value in {**event, **own}.items() if value is not None}) + b"\n"


def many(folder: Path, *arguments: object) -> Result:
    """Explain the correlation: three logins of root at a host within ten minutes."""
    (folder / "many.yml").write_text(written(correlation(RULE_ID, "Many")))
    return invoke(rules, "explain", "Many", *arguments, "--rules", folder, "--lang", "en")


def test_a_correlation_fires_at_the_records_whose_window_is_full(folder: Path) -> None:
    minutes = [0, 9, 10, 11, 25, 30, 35, 36, 5]  # the last record is in its place by time
    file = folder / "events.ndjson"
    file.write_bytes(b"".join(map(at, minutes)))
    for record, minute in enumerate(minutes, 1):
        window = [each for each in minutes if minute - 10 <= each <= minute]
        result = many(folder, file, "--record", record)
        assert result.exit_code == (0 if len(window) >= 3 else 1)
        assert f"{len(window)} events within 10 minutes; host.name = h; the rule wants at least 3" in result.stdout


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"user.name": "alice"}, '`user.name` is "alice", the rule wants "root"'),
        ({"host.name": None}, "the event has no usable `host.name`"),
        ({"@timestamp": None}, "the event has no usable `@timestamp`"),
    ],
)
def test_an_event_that_a_correlation_does_not_count_is_told_why(
    folder: Path, own: dict[str, object], said: str
) -> None:
    (folder / "events.ndjson").write_bytes(at(0) + at(1) + at(2, **own))
    result = many(folder, folder / "events.ndjson", "--record", 3)
    assert (result.exit_code, said in result.stdout) == (1, True)


@pytest.mark.parametrize(("record", "fires"), [(3, False), (6, True)])
def test_a_correlation_of_correlations_tells_each_of_them(folder: Path, record: int, fires: bool) -> None:
    above = correlation("many", "Twice", condition={"gte": 2}, timespan="1h")
    (folder / "many.yml").write_text(written(correlation(RULE_ID, "Many") | {"name": "many"}))
    (folder / "twice.yml").write_text(written(above))
    (folder / "events.ndjson").write_bytes(b"".join(map(at, [0, 1, 2, 30, 31, 32])))
    result = invoke(
        rules, "explain", "Twice", folder / "events.ndjson", "--record", record, "--rules", folder, "--lang", "zh"
    )
    assert (result.exit_code, "  ✓ Many，窗口内" in result.stdout) == (0 if fires else 1, True)
    assert f"{2 if fires else 1} 个事件，60 分钟内" in result.stdout


def test_a_correlation_is_explained_by_what_is_archived(lab: Laboratory) -> None:
    lab.rule(ROOT)
    lab.rule(correlation(ROOT["id"], "Many"), "many.yml")
    lab.archive([{"user.name": "root", "host.name": "h"}] * 3, every=timedelta(minutes=4))
    for event_id, code in (("00000001", 1), ("00000002", 0)):
        named = ("--event-id", event_id, "--tenant", lab.tenant, "--rules", lab.folder)
        assert invoke(rules, "explain", "Many", *named).exit_code == code


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_an_archived_event_has_the_inventory_that_the_tables_have(lab: Laboratory) -> None:
    with closing(open_bus(load().bus_url)) as bus, closing(Tables(bus)) as tables:
        bus.ensure_topics([TABLES])
        tables.put("assets", lab.tenant, "pacs", {"id": "pacs", "ips": ["10.3.1.9"], "class": "pacs"})
    lab.rule(ROOT | {"detection": {"a": {"source.asset.class": "pacs"}, "condition": "a"}})
    lab.archive([{"source.ip": "10.3.1.9"}])
    named = ("--event-id", "00000000", "--tenant", lab.tenant, "--rules", lab.folder)
    assert invoke(rules, "explain", "Root", *named).exit_code == 0
