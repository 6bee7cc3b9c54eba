"""MySQL and MariaDB by PyMySQL. Sources: MySQL 8.4 manual, 7.1.8 (max_execution_time), 15.3.16 (SET TRANSACTION) and
its Error Message Reference; MariaDB documentation, "Aborting Statements that Exceed a Certain Time to Execute".
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pymysql
from pymysql.cursors import SSCursor

from ingest.pollers.sql.databases import CONNECT_S, STATEMENT_S, Address, one_line

_TOLD = (
    *(1040, 1044, 1045, 1046, 1049, 1054, 1064, 1129, 1130, 1142, 1143, 1146, 1226, 1698, 1792, 1969),
    *(2002, 2003, 2005, 2006, 2013, 2026, 3024),
)
"""Numbers of errors whose message names the server's objects, never values of rows."""


class _MySql:
    port = 3306

    def connect(self, address: Address) -> Any:
        connection = pymysql.connect(
            host=address.host,
            port=address.port,
            database=address.database,
            user=address.user,
            password=address.password,
            charset="utf8mb4",
            connect_timeout=CONNECT_S,
            read_timeout=STATEMENT_S + CONNECT_S,
            write_timeout=CONNECT_S,
            autocommit=True,
            ssl_ca=str(address.authorities) if address.authorities else None,
            ssl_verify_identity=True if address.authorities else None,
        )
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
            cursor.execute("SELECT VERSION()")
            (version,) = cursor.fetchone() or ("",)
            limit = f"max_statement_time = {STATEMENT_S}"
            if "MariaDB" not in version:
                limit = f"max_execution_time = {STATEMENT_S * 1000}"
            cursor.execute(f"SET SESSION {limit}")
        return connection

    def rows(self, connection: Any, statement: str, values: dict[str, Any]) -> Generator[Sequence[Any], None, None]:
        with connection.cursor(SSCursor) as cursor:
            cursor.execute(statement, values)
            yield [column[0] for column in cursor.description]
            yield from cursor

    def quoted(self, query: str) -> str:
        return query.replace("%", "%%")

    def mark(self, name: str, value: Any) -> tuple[str, Any]:
        return f"%({name})s", value

    def first(self, rest: str, limit: int) -> str:
        return f"SELECT * FROM {rest} LIMIT {limit}"

    def reason(self, error: Exception) -> str:
        number = error.args[0] if error.args else 0
        if isinstance(error, pymysql.MySQLError) and number in _TOLD:
            return one_line(error.args[1]) if len(error.args) > 1 else f"MySQL error {number}"
        return f"MySQL error {number}" if isinstance(number, int) and number else type(error).__name__


DATABASE = _MySql()
