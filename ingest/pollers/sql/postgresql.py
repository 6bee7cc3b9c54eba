"""PostgreSQL by psycopg. Source: PostgreSQL 16 manual, 20.11 (client connection defaults), Appendix A (error codes)."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.adapt import Loader
from psycopg.types.datetime import DateLoader, IntervalLoader, TimestampLoader, TimestamptzLoader
from psycopg.types.json import set_json_loads

from ingest.pollers.sql.databases import CONNECT_S, STATEMENT_S, Address, one_line
from ingest.pollers.sql.rows import json_column

_TOLD = ("08", "28", "3D", "3F", "42", "53", "55", "57")
"""Classes of errors whose message names the server's objects, never values of rows."""


class _OrText(Loader):
    """Loads what Python's type can't hold, such as infinity, as PostgreSQL writes it: no row stops the others."""

    def load(self, data: Any) -> Any:
        try:
            return super().load(data)  # type: ignore[safe-super]
        except psycopg.DataError:
            return bytes(data).decode()


class _Date(_OrText, DateLoader):
    pass


class _Timestamp(_OrText, TimestampLoader):
    pass


class _Timestamptz(_OrText, TimestamptzLoader):
    pass


class _Interval(_OrText, IntervalLoader):
    pass


_LOADERS: dict[str, type[Loader]] = {
    "date": _Date,
    "timestamp": _Timestamp,
    "timestamptz": _Timestamptz,
    "interval": _Interval,
}


class _PostgreSql:
    port = 5432

    def connect(self, address: Address) -> Any:
        secure: dict[str, str] = {}
        if address.authorities:
            secure = {"sslmode": "verify-full", "sslrootcert": str(address.authorities)}
        connection = psycopg.connect(
            host=address.host,
            port=address.port,
            dbname=address.database,
            user=address.user,
            password=address.password,
            connect_timeout=CONNECT_S,
            application_name="wardwatch",
            autocommit=True,
            **secure,  # type: ignore[arg-type]
        )
        for name, loader in _LOADERS.items():
            connection.adapters.register_loader(name, loader)
        set_json_loads(json_column, connection)
        with _limited(connection):
            connection.execute("SET default_transaction_read_only = on")
            connection.execute(f"SET statement_timeout = '{STATEMENT_S}s'")
        return connection

    def rows(self, connection: Any, statement: str, values: dict[str, Any]) -> Generator[Sequence[Any], None, None]:
        with _limited(connection), connection.cursor() as cursor:
            stream = cursor.stream(statement, values)
            for first in stream:  # before it there is no description
                yield [column.name for column in cursor.description or ()]
                yield first
                yield from stream

    def quoted(self, query: str) -> str:
        return query.replace("%", "%%")

    def mark(self, name: str, value: Any) -> tuple[str, Any]:
        return f"%({name})s", value

    def first(self, rest: str, limit: int) -> str:
        return f"SELECT * FROM {rest} LIMIT {limit}"

    def reason(self, error: Exception) -> str:
        state = getattr(error, "sqlstate", None)
        if isinstance(error, psycopg.Error) and (state is None or state[:2] in _TOLD):
            return one_line(getattr(getattr(error, "diag", None), "message_primary", None) or error)
        return f"PostgreSQL error {state or type(error).__name__}"


@contextmanager
def _limited(connection: Any) -> Iterator[None]:
    """Break the connection off when the server is silent: its own time-out ends a statement, not a frozen machine."""

    def cut() -> None:
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(STATEMENT_S + CONNECT_S, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


DATABASE = _PostgreSql()
