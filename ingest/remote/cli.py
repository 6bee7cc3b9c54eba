"""``wardwatch collector-config``: sign and publish the sources of a hospital's collector, at the provider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import to_builtins

from ingest.relay.cli import opened_tables
from ingest.remote import allowed, signed
from wardwatch.errors import DecodeError, SettingsError
from wardwatch.settings import load
from wardwatch.tables import Tables
from wardwatch.topics import check_tenant

_HELP = """Change the sources of a hospital's collector from the provider, where the hospital lets you.

[bold]Examples[/bold]

wardwatch collector-config key /etc/wardwatch/configuration.key             once; its .pub is for the hospitals

wardwatch collector-config set renai renai.toml --key configuration.key     its collector tries them
"""

collector_config = typer.Typer(rich_markup_mode="rich", no_args_is_help=True, help=_HELP)


@collector_config.command()
def key(file: Annotated[Path, typer.Argument(help="Private key to write; nothing is overwritten.")]) -> None:
    """Make the key by which configurations are signed; keep it as you keep passwords, off the machines of the bus.

    [bold]Example[/bold]: wardwatch collector-config key /etc/wardwatch/configuration.key
    """
    public = signed.make_key(file)
    typer.echo(f"{file} signs; give {public} to the hospitals, whose settings name it:\n")
    typer.echo('[collector]\nconfigured_by = "/etc/wardwatch/configuration.key.pub"')


@collector_config.command("set")
def set_row(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Slug of the hospital.")],
    file: Annotated[Path, typer.Argument(metavar="SOURCES.toml", help="Its [[collector.sources]], all of them.")],
    key_file: Annotated[Path, typer.Option("--key", help="Private key that signs.")],
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)] = None,
    version: Annotated[
        int, typer.Option(help="Number of this version; default: one more than the last.", min=0, show_default=False)
    ] = 0,
) -> None:
    """Sign and publish a collector's sources; nothing is published when the file is wrong.

    [bold]Example[/bold]: wardwatch collector-config set renai renai.toml --key /etc/wardwatch/configuration.key
    """
    own, text = signed.private_key(key_file), _checked(file)
    check_tenant(tenant)
    with opened_tables(load(config)) as tables:
        row = signed.signed(own, tenant, version or _last(tables, tenant, own) + 1, text)
        tables.put(signed.TABLE, tenant, signed.KEY, to_builtins(row))
    typer.echo(f"version {row.version} is published for {tenant}; its heartbeat tells what became of it")


def _checked(file: Path) -> str:
    """Return the file's text; raises SettingsError for what every hospital would refuse."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} can't be read: {error}", step="configuration") from None
    if len(text) > signed.MAX_TEXT_CHARACTERS:
        raise SettingsError(f"{file} has more than {signed.MAX_TEXT_CHARACTERS} characters", step="configuration")
    allowed.check(text)
    return text


def _last(tables: Tables, tenant: str, key: Ed25519PrivateKey) -> int:
    """Return the version of the row that we signed last, 0 where there is none."""
    row = tables.get(signed.TABLE, tenant, signed.KEY)
    try:
        return signed.verified(row, key.public_key(), tenant).version if row else 0
    except DecodeError:
        return 0
