"""Oracle and SQL Server, of which no server runs here: their statements are parsed, their rows and errors converted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import oracledb
import orjson
import pymssql
import pytest
import sqlglot
from sqlglot import exp

from ingest.parsers import PARSERS, Query, Record, Site, parser
from ingest.pollers.sql.databases import DATABASES, database_of
from ingest.pollers.sql.rows import read_cursor, record, write_cursor
from ingest.pollers.sql.statement import page_of

DIALECTS = {"postgresql": "postgres", "mysql": "mysql", "oracle": "oracle", "mssql": "tsql"}
KEYS = {"EVENT_TIMESTAMP_UTC": datetime(2026, 3, 1, 2, 11, 9, 123456), "event_time": datetime(2026, 3, 1, 2, 11, 9)}  # noqa: DTZ001 as the database has them
OWN = [(name, scheme) for name in PARSERS if (query := parser(name).query) for scheme in query.databases]


def query_of(name: str) -> Query:
    found = parser(name).query
    assert found
    return found


def parsed(scheme: str, statement: str) -> exp.Expression:
    """Return the statement as its dialect reads it, placeholders as literals."""
    marks = {"oracle": ":{}", "mssql": "%({})s", "postgresql": "%({})s", "mysql": "%({})s"}[scheme]
    for name in ("since0", "since1", "until0", "until1"):
        statement = statement.replace(marks.format(name), "'2026-03-01'")
    found = sqlglot.parse_one(statement, dialect=DIALECTS[scheme])
    assert isinstance(found, exp.Expression)
    return found


@pytest.mark.parametrize(("name", "scheme"), OWN)
def test_a_parser_s_own_query_is_read_in_its_dialect_with_order_limit_and_both_bounds(name: str, scheme: str) -> None:
    query, database = query_of(name), database_of(scheme)
    key = tuple(KEYS.get(column, 7) for column in query.cursor)
    statement, values = page_of(database, query.select, query.cursor, key, key, 1000)
    tree = parsed(scheme, statement)
    order = tree.args["order"]
    assert [item.this.name for item in order.expressions] == list(query.cursor)
    limit = tree.args["limit"]
    assert (limit.args.get("count") or limit.args.get("expression")).name == "1000"
    assert len(values) == 2 * len(query.cursor)
    bounds = {type(found) for found in tree.args["where"].find_all(exp.GTE, exp.LTE)}
    assert bounds == {exp.GTE, exp.LTE}


@pytest.mark.parametrize("scheme", DATABASES)
def test_the_conditions_of_two_columns_mean_what_the_pair_s_order_says(scheme: str) -> None:
    """Run each dialect's conditions, translated, by another engine, and compare with the order of Python's tuples."""
    import sqlite3

    pairs = [(first, second) for first in range(4) for second in range(4)]
    low, high = (1, 2), (3, 1)
    statement, values = page_of(database_of(scheme), "SELECT a, b FROM t", ("a", "b"), low, high, 100)
    for name, value in values.items():
        statement = statement.replace(f"%({name})s", str(value)).replace(f":{name}", str(value))
    (translated,) = sqlglot.transpile(statement, read=DIALECTS[scheme], write="sqlite")
    with sqlite3.connect(":memory:") as engine:
        engine.execute("CREATE TABLE t (a, b)")
        engine.executemany("INSERT INTO t VALUES (?, ?)", [*pairs[::-1], (None, 2), (2, None)])
        found = engine.execute(translated).fetchall()
    engine.close()
    assert found == [pair for pair in pairs if low <= pair <= high]


@pytest.mark.parametrize("name", ["oracle_unified", "sqlserver_audit", "openemr"])
def test_a_query_asks_for_the_columns_that_its_parser_reads(name: str) -> None:
    (scheme,) = query_of(name).databases
    tree = sqlglot.parse_one(query_of(name).select, dialect=DIALECTS[scheme])
    asked = {column.alias_or_name.upper() for column in tree.expressions}
    sample = [orjson.loads(each) for each in parser(name).sample().splitlines()]
    rows = [row for row in sample if "winlog" not in row]
    kept_out = {"SQL_BINDS", "COMMENTS", "EVENT_TIMESTAMP"}  # names and values, and the time that is there in UTC
    newer = {"CLIENT_IP", "APPLICATION_NAME", "HOST_NAME", "RESPONSE_ROWS", "AFFECTED_ROWS"}  # not in every version
    assert {column.upper() for row in rows for column in row} - asked - kept_out <= newer
    assert {column.upper() for column in query_of(name).cursor} <= asked


def row(columns: str, *values: Any) -> Record:
    return Record(record(columns.split(), values))


def test_a_row_as_python_oracledb_gives_it_is_read_by_the_parser_with_its_time_in_utc() -> None:
    columns = "EVENT_TIMESTAMP_UTC INSTANCE_ID SESSIONID DBUSERNAME ACTION_NAME SQL_TEXT RETURN_CODE"
    at = datetime(2026, 2, 28, 18, 11, 9, 120000)  # noqa: DTZ001 a TIMESTAMP has no zone
    (found,) = parser("oracle_unified").parse(
        row(columns, at, 1, 10440, "HIS", "SELECT", "select 1 from HIS.DRUG_PRESC_DETAIL", 0), Site()
    )
    assert found.doc["@timestamp"] == "2026-02-28T18:11:09.120Z"
    assert found.doc["db.objects"] == ["drug_presc_detail"]
    assert found.doc["event.outcome"] == "success"


def test_a_row_as_pymssql_gives_it_is_read_by_the_parser() -> None:
    columns = "event_time action_id succeeded session_id class_type server_principal_name statement audit_file_offset"
    at = datetime(2026, 2, 28, 18, 11, 9, 418000)  # noqa: DTZ001 a datetime2 has no zone
    (found,) = parser("sqlserver_audit").parse(row(columns, at, "SL  ", True, 61, "U ", "ris", "select 1", 512), Site())
    assert found.doc["@timestamp"] == "2026-02-28T18:11:09.418Z"
    assert found.doc["user.name"] == "ris"
    assert found.doc["event.outcome"] == "success"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("12"), 12),
        (Decimal("1.10"), "1.10"),
        (Decimal("NaN"), "NaN"),
        (Decimal("1e30"), "1E+30"),
        (2**63 - 1, 2**63 - 1),
        (2**80, str(2**80)),
        (datetime(2026, 3, 1, 2, 11, 9, tzinfo=timezone(timedelta(hours=8))), "2026-02-28T18:11:09+00:00"),
        (date(2026, 3, 1), "2026-03-01"),
        (timedelta(hours=2), "2:00:00"),
        (b"\x00\x01", "0001"),
        (b"select 1\n", "select 1\n"),
        (memoryview("药".encode()), "药"),
        ("\ud800", "?"),
        (object, str(object)),
        ("x" * 300_000, "x" * 262_144),
    ],
)
def test_a_value_of_a_row_becomes_json(value: object, expected: object) -> None:
    assert orjson.loads(record(["v"], [value])) == {"v": expected}


def test_a_row_of_more_than_a_frame_is_cut_so_that_its_parser_refuses_it() -> None:
    assert len(record(map(str, range(9)), ["x" * 300_000] * 9)) == 2**20


@pytest.mark.parametrize(
    "value",
    [
        7,
        -(2**80),
        Decimal("1.10"),
        1.5,
        datetime(2026, 3, 1, 2, 11, 9, 123456, tzinfo=UTC),
        datetime(2026, 3, 1),  # noqa: DTZ001 as databases have it
        date(2026, 3, 1),
        b"\x00\xff",
        UUID(int=7),
        "药:'\"",
    ],
)
def test_a_cursor_keeps_value_and_type(value: object) -> None:
    (found,) = read_cursor(["c"], write_cursor(["c"], (value,)))
    assert (found, type(found)) == (value, type(value))


ORACLE: Sequence[tuple[str, str]] = [
    ("ORA-01017: invalid credential or not authorized; logon denied", "ORA-01017: invalid credential"),
    ('ORA-00942: table or view "HIS"."NOPE" does not exist\nHelp: https://example.invalid', '"NOPE" does not exist'),
    ("DPY-6005: cannot connect to database. Connection refused", "DPY-6005: cannot connect"),
    ("ORA-01722: unable to convert string value containing 'Li Lei' to a number", "Oracle error ORA-01722"),
]


@pytest.mark.parametrize(("said", "told"), ORACLE)
def test_of_oracle_s_errors_only_those_without_values_are_quoted(said: str, told: str) -> None:
    shown = database_of("oracle").reason(oracledb.DatabaseError(said))
    assert told in shown
    assert "Li Lei" not in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (((18456, b"Login failed for user 'ris'.DB-Lib error message 20018"),), "Login failed for user 'ris'"),
        ((208, b"Invalid object name 'nope'."), "Invalid object name 'nope'"),
        (
            (245, b"Conversion failed when converting the varchar value 'Li Lei' to data type int."),
            "SQL Server error 245",
        ),
        ((), "OperationalError"),
    ],
)
def test_of_sql_server_s_errors_only_those_without_values_are_quoted(arguments: tuple[Any, ...], told: str) -> None:
    shown = database_of("mssql").reason(pymssql.OperationalError(*arguments))
    assert told in shown
    assert "Li Lei" not in shown


def test_a_time_is_handed_to_sql_server_with_its_whole_fraction() -> None:
    at = datetime(2026, 3, 1, 2, 11, 9, 123456)  # noqa: DTZ001 as databases have it
    mark, value = database_of("mssql").mark("since0", at)
    assert (mark, value) == ("CAST(%(since0)s AS datetime2(6))", "2026-03-01T02:11:09.123456")
    mark, _ = database_of("mssql").mark("since0", at.replace(tzinfo=UTC))
    assert mark == "CAST(%(since0)s AS datetimeoffset(6))"
