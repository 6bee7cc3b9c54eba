"""Oracle Database 12.1 and later by python-oracledb, without Oracle's client libraries.

Sources: python-oracledb documentation ("thin" mode, call_timeout); Oracle Database 19c SQL Language Reference, SELECT
(row_limiting_clause), SET TRANSACTION.
"""

from __future__ import annotations

import ssl
from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any

import oracledb

from ingest.pollers.sql.databases import CONNECT_S, STATEMENT_S, Address, one_line

_TOLD = (
    *("DPY-", "ORA-00904", "ORA-00923", "ORA-00933", "ORA-00936", "ORA-00942", "ORA-01017", "ORA-01031", "ORA-01033"),
    *("ORA-01045", "ORA-03113", "ORA-03114", "ORA-12170", "ORA-12514", "ORA-12541", "ORA-28000", "ORA-28001"),
)
"""Errors whose message names the server's objects, never values of rows."""


class _Oracle:
    port = 1521

    def connect(self, address: Address) -> Any:
        oracledb.defaults.fetch_lobs = False  # LOBs come as text with their row, not by a round trip each
        secure: dict[str, Any] = {}
        if address.authorities:
            secure = {"protocol": "tcps", "ssl_context": ssl.create_default_context(cafile=str(address.authorities))}
        connection = oracledb.connect(
            host=address.host,
            port=address.port,
            service_name=address.database,
            user=address.user,
            password=address.password,
            tcp_connect_timeout=CONNECT_S,
            **secure,
        )
        connection.call_timeout = STATEMENT_S * 1000
        return connection

    def rows(self, connection: Any, statement: str, values: dict[str, Any]) -> Generator[Sequence[Any], None, None]:
        connection.rollback()
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            times = {name: oracledb.DB_TYPE_TIMESTAMP for name, value in values.items() if isinstance(value, datetime)}
            if times:
                cursor.setinputsizes(**times)  # else the fraction of the second is lost
            cursor.execute(statement, values)
            yield [column[0] for column in cursor.description]
            yield from cursor
        connection.rollback()

    def quoted(self, query: str) -> str:
        return query

    def mark(self, name: str, value: Any) -> tuple[str, Any]:
        return f":{name}", value

    def first(self, rest: str, limit: int) -> str:
        return f"SELECT * FROM {rest} FETCH FIRST {limit} ROWS ONLY"

    def reason(self, error: Exception) -> str:
        text = one_line(error)
        code = text.partition(":")[0]
        if code.startswith(_TOLD):
            return text
        return f"Oracle error {code if code.startswith('ORA-') else type(error).__name__}"


DATABASE = _Oracle()
