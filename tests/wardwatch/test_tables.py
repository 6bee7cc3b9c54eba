"""Tables follow their topic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wardwatch.bus import Bus, open_bus
from wardwatch.cli.tables import tables as commands
from wardwatch.errors import NotFound, SettingsError
from wardwatch.tables import Tables, read_csv
from wardwatch.testing.ports import wait_until
from wardwatch.topics import TABLES


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    """Give a bus with the topic of tables."""
    opened = open_bus(f"sqlite:///{tmp_path / 'bus.sqlite'}")
    opened.ensure_topics([TABLES])
    return opened


@pytest.fixture
def tables(bus: Bus) -> Iterator[Tables]:
    """Give tables on it."""
    opened = Tables(bus)
    yield opened
    opened.close()


def test_a_row_written_by_one_process_is_read_by_another_that_follows(bus: Bus, tables: Tables) -> None:
    other = Tables(bus)
    other.follow()
    tables.put("assets", "renai", "pump/1", {"name": "泵"})
    wait_until(lambda: other.get("assets", "renai", "pump/1") == {"name": "泵"}, timeout_s=5)
    tables.delete("assets", "renai", "pump/1")
    wait_until(lambda: other.get("assets", "renai", "pump/1") is None, timeout_s=5)
    other.close()


def test_a_tenants_row_wins_over_the_row_for_all_and_other_tenants_do_not_see_it(tables: Tables) -> None:
    tables.put("people", "", "a", {"who": "all"})
    tables.put("people", "", "b", {"who": "all"})
    tables.put("people", "renai", "a", {"who": "renai"})
    tables.catch_up()
    assert tables.rows("people", "renai") == {"a": {"who": "renai"}, "b": {"who": "all"}}
    assert tables.rows("people", "zhongxin") == {"a": {"who": "all"}, "b": {"who": "all"}}


def test_the_version_of_a_table_changes_with_that_table_only(tables: Tables) -> None:
    tables.put("assets", "", "a", {})
    tables.catch_up()
    before = tables.version("assets"), tables.version("people")
    tables.put("assets", "", "a", {"x": 1})
    tables.catch_up()
    assert tables.version("assets") != before[0]
    assert tables.version("people") == before[1]


def test_bad_rows_are_counted_and_the_next_is_read(bus: Bus, tables: Tables) -> None:
    producer = bus.producer()
    for key, value in (("assets/renai/a", b"\xff"), ("assets", b"{}"), ("../x/a", b"{}"), ("assets//a", b"[1]")):
        producer.send(TABLES.name, value, key=key)
    producer.send(TABLES.name, b"{}")
    producer.send(TABLES.name, b'{"ok": true}', key="assets/renai/b")
    producer.flush()
    producer.close()
    tables.catch_up()
    assert tables.rows("assets", "renai") == {"b": {"ok": True}}
    assert tables.bad_rows == 5


@pytest.mark.parametrize(("table", "tenant", "key"), [("A b", "", "k"), ("assets", "No!", "k"), ("assets", "", "")])
def test_names_that_do_not_fit_a_key_are_refused(tables: Tables, table: str, tenant: str, key: str) -> None:
    with pytest.raises(SettingsError):
        tables.put(table, tenant, key, {})


def test_a_csv_becomes_rows_by_id(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('\ufeffid,name,clinical\r\np1,"泵, 1",true\r\np2,,false\r\n', "utf-8")
    assert read_csv(file) == {
        "p1": {"id": "p1", "name": "泵, 1", "clinical": True},
        "p2": {"id": "p2", "clinical": False},
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"name\nx\n", "no column id"),
        (b"", "no column id"),
        (b"id,name\na\n", "line 2: not as many cells"),
        (b"id\na,b\n", "line 2: not as many cells"),
        (b"id\na\na\n", "line 3: id 'a' is empty or used twice"),
        (b"id\n\xff\n", "no UTF-8 CSV"),
        (b'id\n"a\n', "no UTF-8 CSV"),
    ],
)
def test_a_wrong_csv_is_refused_by_its_line(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=reason):
        read_csv(file)


def test_an_inventory_is_checked_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path))
    file = tmp_path / "assets.csv"
    file.write_bytes("id,name,class,ips\nct-1,放射科,medical_device,10.3.9.21;10.3.9.22\n".encode("gb18030"))
    run = CliRunner().invoke
    assert "1 rows written" in run(commands, ["load", "assets", str(file), "--tenant", "renai"]).output
    row = json.loads(run(commands, ["get", "assets", "ct-1", "--tenant", "renai"]).output)
    assert row == {"id": "ct-1", "name": "放射科", "class": "medical_device", "ips": ["10.3.9.21", "10.3.9.22"]}
    file.write_text("id,ips\nct-1,10.3.9.21\nct-2,10.3.9.999\n", "utf-8")
    refused = run(commands, ["load", "assets", str(file), "--tenant", "zhongxin"]).exception
    assert isinstance(refused, SettingsError)
    assert f"{file}:3" in str(refused)
    assert isinstance(run(commands, ["get", "assets", "ct-1", "--tenant", "zhongxin"]).exception, NotFound)


def test_the_commands_write_list_and_delete_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path))
    run = CliRunner().invoke
    assert run(commands, ["set", "assets", "p\x1b[31m1", '{"name": "x\u202e"}', "--tenant", "renai"]).exit_code == 0
    listed = run(commands, ["list", "assets", "--tenant", "renai"]).output
    assert "p\\x1b[31m1" in listed
    assert "\x1b[31m1" not in listed.replace("\\x1b", "")
    assert "\u202e" not in listed
    assert run(commands, ["delete", "assets", "p\x1b[31m1", "--tenant", "renai"]).exit_code == 0
    gone = run(commands, ["get", "assets", "p\x1b[31m1", "--tenant", "renai"])
    assert isinstance(gone.exception, NotFound)
