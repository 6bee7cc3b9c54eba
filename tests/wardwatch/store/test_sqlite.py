"""What only SQLite has: one file, several processes, a lock."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.wardwatch.store.samples import EVERYBODY, alert, event
from wardwatch.errors import SettingsError, StoreUnavailable
from wardwatch.store import AlertQuery, Outcome, Result, open_store
from wardwatch.store.sqlite import database
from wardwatch.store.sqlite.database import SCHEMA_VERSION, match, words

WRITER = """
import sys
from tests.wardwatch.store.samples import event
from wardwatch.store import open_store

store = open_store(sys.argv[1])
for number in range(50):
    store.events.write([event("renai", 1000 * int(sys.argv[2]) + number)])
store.close()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a file that does not exist yet, in a folder that does not either."""
    return f"sqlite:///{tmp_path / 'new' / 'store.sqlite'}"


def test_several_processes_create_and_write_one_file(url: str) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, str(number)]) for number in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    store = open_store(url)
    assert store.events.count("renai") == 150
    store.close()


def test_two_connections_see_each_others_writes(url: str) -> None:
    one, two = open_store(url), open_store(url)
    write = alert("renai")
    assert one.alerts.write([write]) == [Result(Outcome.STORED)]
    assert two.alerts.write([write]) == [Result(Outcome.CONFLICT)]
    assert set(two.alerts.get(EVERYBODY, [write.id])) == {write.id}
    one.close()
    two.close()


def test_a_file_locked_for_too_long_is_unavailable_and_recovers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.1)
    store = open_store(url)
    store.setup()
    other = sqlite3.connect(url.removeprefix("sqlite:///"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="database is locked"):
        store.events.write([event("renai")])
    assert store.events.count("renai") == 0
    other.rollback()
    other.close()
    assert store.events.write([event("renai")]) == [Result(Outcome.STORED)]
    store.close()


def test_a_batch_that_fails_half_way_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(url)
    store.setup()
    path = url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON events WHEN new.id LIKE '%2'"
            " BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    other.close()
    with pytest.raises((StoreUnavailable, sqlite3.IntegrityError)):
        store.events.write([event("renai", 1), event("renai", 2)])
    assert store.events.count("renai") == 0
    store.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("not a database, " * 100)
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable, match="not a database"):
        store.ping()
    store.close()


def test_a_folder_that_cant_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = open_store(f"sqlite:///{tmp_path / 'file' / 'store.sqlite'}")
    with pytest.raises(StoreUnavailable):
        store.ping()


def test_a_file_of_a_newer_version_is_refused(url: str) -> None:
    store = open_store(url)
    store.setup()
    store.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(SettingsError, match=f"has schema 99, this version reads {SCHEMA_VERSION}"):
        store.ping()


def test_a_file_of_an_older_version_is_taken_over_with_what_it_holds(url: str) -> None:
    write = alert("renai", asset_criticality="therapy")
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir()
    with sqlite3.connect(path) as older:
        older.executescript(database._SCHEMAS[0])
        older.execute(
            "INSERT INTO alerts (id, tenant, month, version, created, priority, severity, rule, doc, workflow)"
            " VALUES (?, 'renai', '202603', 1, 1, 50, 73, 'vip_lookup', ?, ?)",
            (write.id, orjson.dumps(write.doc), '{"status": "new"}'),
        )
        older.execute("PRAGMA user_version = 1")
    older.close()
    store = open_store(url)
    found = store.alerts.search(EVERYBODY, AlertQuery(criticalities=frozenset({"therapy"})), sort="due").items
    assert [item.doc["event"]["id"] for item in found] == [write.id]
    store.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:"])
def test_a_url_without_path_is_refused_at_start(url: str) -> None:
    with pytest.raises(SettingsError, match="names no file"):
        open_store(url)


def test_the_queue_and_the_alerts_of_a_hospital_are_read_by_their_indexes(url: str) -> None:
    store = open_store(url)
    store.alerts.write([alert("renai", number) for number in range(50)])
    store.close()
    plans = {
        "newest": "SELECT * FROM alerts ORDER BY created DESC, id LIMIT 50",
        "priority": "SELECT * FROM alerts ORDER BY priority DESC, due, created, id LIMIT 50",
        "due": "SELECT * FROM alerts ORDER BY due, created, id LIMIT 50",
    }
    is_open = "queued IS NOT NULL"
    indexes = {f"alerts_{name}": statement for name, statement in plans.items()} | {
        f"queue_{name}": statement.replace("ORDER BY", f"WHERE {is_open} ORDER BY") for name, statement in plans.items()
    }
    hospital = "WHERE tenant IN ('renai') AND created >= 1 AND created < 9 ORDER BY created DESC, id LIMIT 50"
    indexes["alerts_hospital"] = f"SELECT * FROM alerts {hospital}"
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    for index, statement in indexes.items():
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert f"USING INDEX {index}" in plan, plan
        assert "TEMP B-TREE" not in plan, plan
    counted = f"SELECT severity, count(*) FROM alerts WHERE {is_open} AND coalesce(assignee, '') = '' GROUP BY 1"
    plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {counted}"))
    assert "USING INDEX queue_counts" in plan, plan
    connection.close()


def test_each_han_character_is_a_word_and_quotes_never_leave_a_phrase() -> None:
    assert words("VIP患者x").split() == ["VIP", "患", "者", "x"]
    assert match('a"b 患者') == '"a b" AND " 患  者 "'
    assert match("* ! --") == '""'


def test_vacuum_keeps_text_and_entities_with_their_alerts(url: str) -> None:
    store = open_store(url)
    first, second = alert("renai", 1, host="pump-1"), alert("renai", 2, host="pump-2")
    store.alerts.write([first, second])
    store.close()
    path = url.removeprefix("sqlite:///")
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM alerts WHERE id = ?", (first.id,))
    connection.commit()
    connection.execute("VACUUM")
    connection.close()
    for query in (AlertQuery(text="pump-2"), AlertQuery(entity="pump-2")):
        page = store.alerts.search(EVERYBODY, query)
        assert [item.doc["event"]["id"] for item in page.items] == [second.id]
    store.close()
