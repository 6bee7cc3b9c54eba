"""``wardwatch tables``: read and write the rows that every stage follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wardwatch.bus import open_bus
from wardwatch.errors import NotFound
from wardwatch.event import decode
from wardwatch.settings import load as load_settings
from wardwatch.table_rows import check, without_secrets
from wardwatch.tables import Tables, read_csv
from wardwatch.text import safe_text
from wardwatch.topics import TABLES

tables = typer.Typer(
    help="Read and write tables: assets, tenants … A change is in force everywhere within seconds.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

READERS = {"assets": "enrich.lookups.inventory:read_rows"}
"""Tables whose CSV has columns of its own → what reads it; other tables take any column."""

TableName = Annotated[str, typer.Argument(metavar="TABLE", help="Name of the table, such as assets.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Key of the row.")]
Tenant = Annotated[str, typer.Option(help="Slug of the hospital; without it, the rows that hold for all.")]


@tables.command("list")
def list_rows(table: TableName, tenant: Tenant = "") -> None:
    """List the rows that hold for a tenant.

    [bold]Example[/bold]: wardwatch tables list assets --tenant renai
    """
    with _opened() as opened:
        rows = opened.rows(table, tenant)
    shown = Table("key", "row", title=Text(f"{table}: {len(rows)} rows"))
    for key, value in sorted(rows.items()):
        shown.add_row(Text(safe_text(key)), Text(_json(without_secrets(table, value))))
    Console().print(shown)


@tables.command("get")
def get_row(table: TableName, key: Key, tenant: Tenant = "") -> None:
    """Print one row as JSON; exits with 1 where there is none.

    [bold]Example[/bold]: wardwatch tables get assets pump-17 --tenant renai
    """
    with _opened() as opened:
        value = opened.get(table, tenant, key)
    if value is None:
        raise NotFound(f"no row {key!r} in {table!r}", step="tables")
    typer.echo(_json(without_secrets(table, value)))


@tables.command("set")
def set_row(
    table: TableName,
    key: Key,
    value: Annotated[str, typer.Argument(metavar="JSON", help="The whole row as a JSON object.")],
    tenant: Tenant = "",
) -> None:
    """Write one row.

    [bold]Example[/bold]: wardwatch tables set tenants renai '{"zone": "Asia/Shanghai"}'
    """
    row = decode(value.encode("utf-8", "surrogateescape"))
    check(table, row)
    with _opened() as opened:
        opened.put(table, tenant, key, row)
    typer.echo(f"{safe_text(key)} written to {table}")


@tables.command("delete")
def delete_row(table: TableName, key: Key, tenant: Tenant = "") -> None:
    """Delete one row; one that does not exist is no error.

    [bold]Example[/bold]: wardwatch tables delete assets pump-17 --tenant renai
    """
    with _opened() as opened:
        opened.delete(table, tenant, key)
    typer.echo(f"{safe_text(key)} deleted from {table}")


@tables.command("load")
def load_rows(
    table: TableName, file: Annotated[Path, typer.Argument(metavar="FILE.csv", show_default=False)], tenant: Tenant = ""
) -> None:
    """Write the rows of a CSV file with a header whose key column is named id.

    Nothing is written when a line is wrong; the line is named.

    [bold]Example[/bold]: wardwatch tables load assets inventory.csv --tenant renai
    """
    read = resolve_name(READERS[table]) if table in READERS else read_csv
    rows = read(file)
    for row in rows.values():
        check(table, row)
    with _opened() as opened:
        opened.put_rows(table, tenant, rows)
    typer.echo(f"{len(rows)} rows written to {table}")


@contextmanager
def _opened() -> Iterator[Tables]:
    settings = load_settings()
    bus = open_bus(settings.bus_url, settings.bus_access)
    opened = Tables(bus)
    try:
        bus.ensure_topics([TABLES])
        opened.catch_up()
        yield opened
    finally:
        opened.close()
        bus.close()


def _json(value: object) -> str:
    return safe_text(json.dumps(value, ensure_ascii=False))
