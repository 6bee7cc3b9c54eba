"""SQL Server by pymssql. Sources: pymssql reference; SQL Server documentation, "Database Engine errors".

A session can't be made read-only here: the account must have no right but SELECT.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any

import pymssql

from ingest.pollers.sql.databases import CONNECT_S, STATEMENT_S, Address, one_line

_TOLD = (102, 156, 207, 208, 229, 300, 911, 4060, 18452, 18456, 20002, 20003, 20009)
"""Numbers of errors whose message names the server's objects, never values of rows."""


class _SqlServer:
    port = 1433

    def connect(self, address: Address) -> Any:
        return pymssql.connect(
            server=address.host,
            port=str(address.port),
            database=address.database,
            user=address.user,
            password=address.password,
            charset="UTF-8",
            login_timeout=CONNECT_S,
            timeout=STATEMENT_S,
            appname="wardwatch",
            autocommit=True,
            use_datetime2=True,
        )

    def rows(self, connection: Any, statement: str, values: dict[str, Any]) -> Generator[Sequence[Any], None, None]:
        with connection.cursor() as cursor:
            cursor.execute(statement, values) if values else cursor.execute(statement % ())  # else %% stays
            yield [column[0] for column in cursor.description]
            yield from cursor

    def quoted(self, query: str) -> str:
        return query.replace("%", "%%")

    def mark(self, name: str, value: Any) -> tuple[str, Any]:
        if isinstance(value, datetime):  # the driver would write milliseconds, which the server rounds
            kind = "datetimeoffset(6)" if value.tzinfo else "datetime2(6)"
            return f"CAST(%({name})s AS {kind})", value.isoformat()
        return f"%({name})s", value

    def first(self, rest: str, limit: int) -> str:
        return f"SELECT TOP ({limit}) * FROM {rest}"

    def reason(self, error: Exception) -> str:
        found = error.args[0] if error.args else 0
        number = found[0] if isinstance(found, tuple) and found else found
        if number in _TOLD:
            said = found[1] if isinstance(found, tuple) and len(found) > 1 else (*error.args, "")[1]
            return one_line(said.decode("utf-8", "replace") if isinstance(said, bytes) else said)
        return f"SQL Server error {number}" if isinstance(number, int) and number else type(error).__name__


DATABASE = _SqlServer()
