"""Rows of real PostgreSQL and MariaDB servers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from ingest.intake import source_of
from ingest.parsers import Record
from ingest.pollers.sql import SqlFeed, databases
from tests.ingest.pollers.servers import PASSWORD, USER, Server
from tests.ingest.running import events, running
from wardwatch.demo.stand import write_certificate
from wardwatch.errors import SettingsError, Unavailable
from wardwatch.settings import CollectorSettings, SourceSettings
from wardwatch.testing.ports import free_port, wait_until

AT = "2026-03-01 02:11:09"
_tables = count()


@pytest.fixture
def table(database: Server) -> Iterator[str]:
    """Give a table ``(id, ts, user_id, func)`` of its own."""
    name = f"oplog_{next(_tables)}"
    kind = "timestamp(6)" if database.scheme == "postgresql" else "datetime(6)"
    database.execute(f"CREATE TABLE {name} (id bigint, ts {kind}, user_id varchar(40), func varchar(200))")
    yield name
    database.execute(f"DROP TABLE {name}")


def insert(database: Server, table: str, *rows: tuple[int | None, str | None]) -> None:
    database.execute(*(insertion(table, number, at) for number, at in rows))


def insertion(table: str, number: int | None, at: str | None) -> str:
    values = ("NULL" if number is None else str(number), "NULL" if at is None else f"'{at}'")
    return f"INSERT INTO {table} VALUES ({', '.join(values)}, 'D{number}', '药品统计')"


def settings_of(database: Server, query: str, *cursor: str, **more: Any) -> SourceSettings:
    values = {"lag_s": 1000.0, "user": USER, "password": SecretStr(PASSWORD), "url": database.url, **more}
    return SourceSettings(parser="his_operations", transport="sql", query=query, cursor=cursor, **values)


def feed_of(settings: SourceSettings, **sizes: int) -> SqlFeed:
    return SqlFeed(source_of(settings, CollectorSettings(tenant="renai")), **sizes)


class Reader:
    """Asks a feed as a poller does, and keeps what came."""

    def __init__(self, settings: SourceSettings, cursor: str = "", **sizes: int) -> None:
        self.feed = feed_of(settings, **sizes)
        self.cursor = cursor
        self.records: list[Record] = []

    def look(self) -> list[int]:
        """Return the ids of the rows of one look."""
        found: list[Record] = []
        for batch in self.feed.batches(self.cursor):
            found += batch.records
            self.cursor = batch.cursor
        self.records += found
        return [orjson.loads(record.data)["id"] for record in found]


@pytest.fixture
def readers() -> Iterator[list[Reader]]:
    """Take readers whose connections are closed behind the test, so that its table can be dropped."""
    found: list[Reader] = []
    yield found
    for reader in found:
        reader.feed.close()


def test_every_row_comes_once_in_the_order_of_its_cursor(database: Server, table: str, readers: list[Reader]) -> None:
    reader = Reader(settings_of(database, f"SELECT * FROM {table}", "ts", "id"), page_rows=2)
    readers.append(reader)
    assert reader.look() == []
    insert(database, table, *((number, f"{AT}.{number:06}") for number in (3, 1, 2, 5, 4)))
    assert reader.look() == [1, 2, 3, 4, 5]
    assert reader.look() == []
    insert(database, table, (6, f"{AT}.000006"))
    assert reader.look() == [6]
    assert orjson.loads(reader.records[0].data) == {
        "id": 1,
        "ts": "2026-03-01T02:11:09.000001",
        "user_id": "D1",
        "func": "药品统计",
    }
    place = f"{database.scheme}://127.0.0.1/his#ts=2026-03-01T02:11:09.000001,id=1"
    assert reader.records[0].position == place


@pytest.mark.parametrize("cursor", [("ts",), ("ts", "id"), ("id",)])
def test_rows_that_share_their_cursor_are_not_lost_at_the_border_of_a_page(
    database: Server, table: str, readers: list[Reader], cursor: tuple[str, ...]
) -> None:
    rows = [(number // 5 if cursor == ("id",) else number, AT) for number in range(23)]
    insert(database, table, *rows)
    reader = Reader(settings_of(database, f"SELECT *, user_id AS who FROM {table}", *cursor), page_rows=2)
    readers.append(reader)
    database.execute(*(f"UPDATE {table} SET user_id = concat(user_id, '-', func)",))
    expected = len(set(rows))
    reader.look()
    reader.look()
    assert len({record.data for record in reader.records}) == expected


def test_more_rows_of_one_cursor_than_a_page_may_hold_are_a_problem_with_a_remedy(
    database: Server, table: str, readers: list[Reader]
) -> None:
    insert(database, table, *((number, AT) for number in range(20)))
    reader = Reader(settings_of(database, f"SELECT * FROM {table}", "ts"), page_rows=1)
    readers.append(reader)
    with pytest.raises(Unavailable, match="share ts: name a second column"):
        reader.look()


@pytest.mark.parametrize("again", [False, True])
def test_a_row_that_is_committed_after_rows_that_follow_it_is_read(
    database: Server, table: str, readers: list[Reader], again: bool
) -> None:
    settings = settings_of(database, f"SELECT * FROM {table}", "id")
    reader = Reader(settings, page_rows=2)
    readers.append(reader)
    insert(database, table, (1, AT), (2, AT))
    with database.connection() as slow, slow.cursor() as writer:
        writer.execute(insertion(table, 3, AT))
        insert(database, table, (4, AT), (5, AT))
        assert reader.look() == [1, 2, 4, 5]
        assert reader.look() == reader.look() == []
        slow.commit()
    if again:  # the collector is started again in between
        reader = Reader(settings, reader.cursor)
        readers.append(reader)
    assert 3 in reader.look()
    assert reader.look() == []


def test_the_cursor_follows_once_nothing_can_appear_before_it_and_the_next_process_goes_on_there(
    database: Server, table: str, readers: list[Reader]
) -> None:
    settings = settings_of(database, f"SELECT * FROM {table}", "ts", "id", lag_s=0.0)
    first = Reader(settings, page_rows=2)
    readers.append(first)
    insert(database, table, *((number, f"{AT}.{number:06}") for number in range(1, 6)))
    assert first.look() == [1, 2, 3, 4, 5]
    assert first.cursor == ""
    assert first.look() == []
    second = Reader(settings, first.cursor, page_rows=2)
    readers.append(second)
    insert(database, table, (6, f"{AT}.000006"), (0, f"{AT}.000001"))
    assert second.look() == [5, 6]  # the last before the cursor again, with the identity it had
    assert (second.records[0].position, second.records[0].data) == (
        first.records[-1].position,
        first.records[-1].data,
    )


def test_the_memory_of_what_was_read_has_a_limit_at_which_reading_waits(
    database: Server, table: str, readers: list[Reader]
) -> None:
    insert(database, table, *((number, AT) for number in range(20)))
    query = f"SELECT * FROM {table}"
    waiting = Reader(settings_of(database, query, "id"), page_rows=2, most_known=5)
    readers.append(waiting)
    assert len(waiting.look()) < 10
    assert waiting.look() == []
    following = Reader(settings_of(database, query, "id", lag_s=0.0), page_rows=2, most_known=5)
    readers.append(following)
    found: list[int] = []
    for _ in range(10):
        found += following.look()
        assert following.feed.state()["known"] < 10
    assert found == list(range(20))


def test_rows_without_cursor_are_left_out(database: Server, table: str, readers: list[Reader]) -> None:
    insert(database, table, (1, AT), (None, AT), (2, None))
    reader = Reader(settings_of(database, f"SELECT * FROM {table}", "ts", "id"))
    readers.append(reader)
    assert reader.look() == [1]


def test_signs_of_a_query_are_the_query_s_own(database: Server, table: str, readers: list[Reader]) -> None:
    insert(database, table, (1, AT), (2, AT))
    query = f"SELECT * FROM {table} WHERE func LIKE '药%' AND user_id <> ':x %s' -- all of them;"
    reader = Reader(settings_of(database, query, "id"))
    readers.append(reader)
    assert reader.look() == [1, 2]
    assert reader.look() == []


def test_a_statement_that_would_write_is_refused_by_the_database(
    database: Server, table: str, readers: list[Reader]
) -> None:
    call, other = f"write_{table}", f"other_{table}"
    body = {
        "postgresql": f"() RETURNS bigint LANGUAGE sql VOLATILE AS 'INSERT INTO {other} VALUES (1) RETURNING id'",
        "mysql": f"() RETURNS bigint MODIFIES SQL DATA BEGIN INSERT INTO {other} VALUES (1); RETURN 1; END",
    }
    database.execute(f"CREATE TABLE {other} (id bigint)", f"CREATE FUNCTION {call}{body[database.scheme]}")
    insert(database, table, (1, AT))
    assert problem(settings_of(database, f"SELECT id, {call}() AS ts FROM {table}", "id"))
    untouched = Reader(settings_of(database, f"SELECT * FROM {other}", "id"))
    readers.append(untouched)
    assert untouched.look() == []


def problem(settings: SourceSettings) -> str:
    """Return the problem at which the first row can't be read."""
    feed = feed_of(settings)
    with pytest.raises(Unavailable) as caught:
        feed.sample()
    feed.close()
    return str(caught.value)


def test_what_is_wrong_is_told_without_the_password(database: Server, table: str) -> None:
    query = f"SELECT * FROM {table}"
    wrong = "wrong-hush-8"
    refused = problem(settings_of(database, query, "id", password=SecretStr(wrong)))
    assert USER in refused
    assert wrong not in refused
    assert "no_such_table" in problem(settings_of(database, "SELECT * FROM no_such_table", "id"))
    assert "no_such_column" in problem(settings_of(database, query, "no_such_column"))
    assert "no_such_db" in problem(settings_of(database, query, "id", url=database.url.replace("/his", "/no_such_db")))
    away = problem(settings_of(database, query, "id", url=f"{database.scheme}://127.0.0.1:{free_port()}/his"))
    assert "refused" in away.lower()


def test_a_problem_quotes_no_value_of_a_row(database: Server, table: str) -> None:
    database.execute(f"INSERT INTO {table} VALUES (1, '{AT}', 'Li Lei', 'x')")
    cast = {"postgresql": "CAST(user_id AS bigint)", "mysql": "json_value(user_id, 1)"}[database.scheme]
    wrong = {"postgresql": cast, "mysql": "(SELECT a.id FROM his.big a, his.big b)"}
    if database.scheme == "mysql":
        database.execute("CREATE TABLE IF NOT EXISTS big (id int)", "INSERT INTO big VALUES (1), (2)")
    said = problem(settings_of(database, f"SELECT {wrong[database.scheme]} AS id FROM {table}", "id"))
    assert "Li Lei" not in said
    assert "error" in said


def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    database: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"ingest.pollers.sql.{databases.DATABASES[database.scheme]}.STATEMENT_S", 1)
    sleep = {
        "postgresql": "SELECT 1 AS id, pg_sleep(100)",
        "mysql": "SELECT count(*) AS id FROM information_schema.columns a, information_schema.columns b,"
        " information_schema.columns c",
    }
    said = problem(settings_of(database, sleep[database.scheme], "id"))
    assert "timeout" in said or "max_statement_time" in said


def test_a_server_that_is_silent_is_given_up(database: Server, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATEMENT_S", "CONNECT_S"):
        monkeypatch.setattr(f"ingest.pollers.sql.{databases.DATABASES[database.scheme]}.{name}", 1)
    insert(database, table, (1, AT))
    reader = Reader(settings_of(database, f"SELECT * FROM {table}", "id"))
    assert reader.look() == [1]
    database.signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable):
            reader.look()
    finally:
        database.signal(signal.SIGCONT)
    insert(database, table, (2, AT))
    assert reader.look() == [2]
    reader.feed.close()


def test_a_server_that_is_killed_and_started_again_costs_and_doubles_nothing(
    database: Server, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.pollers.FIRST_WAIT_S", 0.1)
    monkeypatch.setattr("ingest.pollers.LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr("ingest.pollers.sql.PAGE_ROWS", 7)
    total = 400
    source = settings_of(database, f"SELECT * FROM {table}", "ts", "id", every_s=0.05, lag_s=0.5)
    with running(tmp_path, source) as site:
        for first in range(0, total, 100):
            insert(database, table, *((number, AT) for number in range(first, first + 100)))
            wait_until(lambda first=first: site.counts("his_operations")[0] > first, what="some read")  # type: ignore[misc]
            if first % 200:
                database.kill()
                wait_until(lambda: site.listeners[0].problem, what="the problem")
                database.start()
        wait_until(lambda: site.counts("his_operations")[0] >= total, what="all read")
    with running(tmp_path, source) as site:  # and a new process
        insert(database, table, (total, AT))
        wait_until(lambda: len({event["event.id"] for event in events(site.settings)}) > total, what="all on the bus")
        taken = site.counts("his_operations")[0]
    assert len({event["event.id"] for event in events(site.settings)}) == total + 1
    assert taken < 2 * total  # behind the cursor only is read twice


def test_every_type_becomes_json(postgresql: Server, readers: list[Reader]) -> None:
    query = """SELECT 7::bigint AS id, 12345678901234567890::numeric AS big, 1.50::numeric AS price,
        4.0::numeric AS whole, timestamptz '2026-03-01 02:11:09.5+08' AS at,
        timestamp '2026-03-01 02:11:09' AS local, date '2026-03-01' AS day,
        '\\x00ff'::bytea AS raw, 'abc'::bytea AS text, '10.3.1.5'::inet AS ip, true AS yes, NULL AS nothing,
        '{"a": [1]}'::jsonb AS doc, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid AS uuid, 'NaN'::float8 AS nan"""
    reader = Reader(settings_of(postgresql, query, "id"))
    readers.append(reader)
    assert reader.look() == [7]
    assert orjson.loads(reader.records[0].data) == {
        "id": 7,
        "big": "12345678901234567890",
        "price": "1.50",
        "whole": 4,
        "at": "2026-02-28T18:11:09.500000+00:00",
        "local": "2026-03-01T02:11:09",
        "day": "2026-03-01",
        "raw": "00ff",
        "text": "abc",
        "ip": "10.3.1.5",
        "yes": True,
        "nothing": None,
        "doc": {"a": [1]},
        "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "nan": None,
    }


def test_a_value_that_python_can_not_hold_stops_no_row(postgresql: Server, readers: list[Reader]) -> None:
    deep = "[" * 2000 + "]" * 2000
    query = f"""SELECT 1 AS id, timestamptz 'infinity' AS t, date '4713-01-01 BC' AS d, interval '99999999 years' AS i,
        jsonb '{{"n": 1e40, "m": 123456789012345678901234567890}}' AS j, json '"\\ud800"' AS s,
        json '[{{"a": "\\ud800"}}]' AS k UNION ALL SELECT 2, 'infinity', '-infinity', NULL, '{deep}', NULL, NULL"""
    reader = Reader(settings_of(postgresql, query, "id"))
    readers.append(reader)
    assert reader.look() == [1, 2]
    row = orjson.loads(reader.records[0].data)
    assert (row["t"], row["d"], row["i"]) == ("infinity", "4713-01-01 BC", "99999999 years")
    assert b"123456789012345678901234567890" in reader.records[0].data
    assert (row["s"], row["k"]) == ('"\\ud800"', '[{"a": "\\ud800"}]')
    assert orjson.loads(reader.records[1].data)["j"] == deep


def test_text_of_a_database_without_character_set_is_read_in_the_site_s(
    postgresql: Server, readers: list[Reader]
) -> None:
    query = "SELECT 1 AS id, convert_to('药品统计', 'GBK') AS func"
    reader = Reader(settings_of(postgresql, query, "id", charset="gb18030"))
    readers.append(reader)
    assert reader.look() == [1]
    assert orjson.loads(reader.records[0].data)["func"] == "药品统计"


@pytest.mark.parametrize(
    "kind", ["bigint", "numeric(30)", "timestamptz", "timestamp", "date", "uuid", "bytea", "text", "float8"]
)
def test_a_column_of_every_type_with_an_order_can_be_a_cursor(
    postgresql: Server, readers: list[Reader], kind: str
) -> None:
    texts = {
        "timestamptz": ("2026-03-01 02:11:09.123456+08", "2026-03-01 02:11:09.123457+08"),
        "timestamp": ("2026-03-01 02:11:09.123456", "2026-03-01 02:11:09.123457"),
        "date": ("2026-03-01", "2026-03-02"),
        "uuid": ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b811-9dad-11d1-80b4-00c04fd430c8"),
        "bytea": ("\\x0001", "\\xff"),
    }
    first, second = texts.get(kind, ("1", "2"))
    query = f"SELECT * FROM (VALUES (1, '{first}'::{kind}), (2, '{second}'::{kind})) AS rows (id, k)"
    settings = settings_of(postgresql, query, "k", lag_s=0.0)
    reader = Reader(settings, page_rows=1)
    readers.append(reader)
    assert reader.look() == [1, 2]
    assert reader.look() == []
    again = Reader(settings, reader.cursor)
    readers.append(again)
    assert again.look() == [2]


def test_a_cursor_of_other_columns_is_a_problem_with_a_remedy(
    database: Server, table: str, readers: list[Reader]
) -> None:
    insert(database, table, (1, AT))
    first = Reader(settings_of(database, f"SELECT * FROM {table}", "id", lag_s=0.0))
    first.look()
    first.look()
    readers.append(first)
    for cursor, reason in ((first.cursor, "of id: move it away"), ("nonsense", "damaged")):
        other = Reader(settings_of(database, f"SELECT * FROM {table}", "ts"), cursor)
        readers.append(other)
        with pytest.raises(Unavailable, match=reason):
            other.look()


def test_a_large_value_is_cut_and_a_page_of_large_rows_ends_early(
    postgresql: Server, readers: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.pollers.sql.PAGE_BYTES", 2**20)
    reader = Reader(settings_of(postgresql, "SELECT id, repeat('x', 300000) AS t FROM generate_series(1, 9) id", "id"))
    readers.append(reader)
    sizes = [len(batch.records) for batch in reader.feed.batches("")]
    assert sum(sizes) == 9
    assert max(sizes) < 6
    reader.feed.close()
    (record,) = reader.feed.sample()
    assert len(orjson.loads(record.data)["t"]) == 256 * 1024


def test_the_password_may_be_in_a_file(database: Server, table: str, tmp_path: Path, readers: list[Reader]) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    insert(database, table, (1, AT))
    query = f"SELECT * FROM {table}"
    reader = Reader(settings_of(database, query, "id", password=SecretStr(""), password_file=file))
    readers.append(reader)
    assert reader.look() == [1]
    with pytest.raises(SettingsError, match="can't be read"):
        feed_of(settings_of(database, query, "id", password_file=tmp_path / "nowhere"))


def test_a_server_that_is_not_known_by_the_authorities_gets_no_password(
    database: Server, table: str, tmp_path: Path, readers: list[Reader]
) -> None:
    insert(database, table, (1, AT))
    query = f"SELECT * FROM {table}"
    reader = Reader(settings_of(database, query, "id", authorities=database.certificate))
    readers.append(reader)
    assert reader.look() == [1]
    stranger, _ = write_certificate(tmp_path)
    assert "certificate verify failed" in problem(settings_of(database, query, "id", authorities=stranger))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"url": "postgresql://his:hush@db/his"}, "holds a user"),
        ({"url": "postgresql://db"}, "no database"),
        ({"url": "sybase://db/his"}, "no database"),
        ({"url": "postgresql://db:port/his"}, "not readable"),
        ({"url": "postgresql://db/his", "parser": "linux"}, "no query of its own"),
        ({"url": "postgresql://db/his", "parser": "oracle_unified"}, "no query of its own"),
        ({"url": "postgresql://db/his", "query": "SELECT 1", "cursor": ["a b"]}, "no column"),
        ({"url": "mssql://db/his", "authorities": "/etc/ca.pem"}, "authorities"),
    ],
)
def test_settings_that_can_not_work_are_refused_at_start(values: dict[str, Any], reason: str) -> None:
    settings = SourceSettings.model_validate({"parser": "his_operations", "transport": "sql", **values})
    with pytest.raises(SettingsError, match=reason) as refused:
        feed_of(settings)
    assert "hush" not in str(refused.value)
    assert refused.value.remedy
    assert refused.value.record


@pytest.mark.parametrize(
    ("scheme", "driver"),
    [("postgresql", "psycopg"), ("mysql", "pymysql"), ("oracle", "oracledb"), ("mssql", "pymssql")],
)
def test_a_driver_that_is_missing_is_named_with_its_extra(
    scheme: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = databases.DATABASES[scheme]
    monkeypatch.delitem(sys.modules, f"ingest.pollers.sql.{module}", raising=False)
    monkeypatch.setitem(sys.modules, driver, None)
    settings = SourceSettings(parser="his_operations", transport="sql", url=f"{scheme}://db/his")
    with pytest.raises(SettingsError, match=f"{driver} is not installed") as refused:
        feed_of(settings)
    assert f"wardwatch[{module}]" in refused.value.remedy
