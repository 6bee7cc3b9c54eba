"""``wardwatch enrol``: certify collectors, at the provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from ingest.relay import authority as certificates
from ingest.relay import enrolment
from wardwatch.bus import open_bus
from wardwatch.errors import NotFound, SettingsError
from wardwatch.settings import Settings, load
from wardwatch.tables import Tables
from wardwatch.topics import TABLES, check_tenant

_HELP = """Let hospitals' collectors in, and keep them out, at the provider.

[bold]Examples[/bold]

wardwatch enrol authority /etc/wardwatch --host relay.provider.example   once: an authority, and the relay's certificate

wardwatch enrol create renai                                             a token for the hospital, which works once

wardwatch enrol revoke renai                                             its certificates are refused from now on
"""

enrol = typer.Typer(rich_markup_mode="rich", no_args_is_help=True, help=_HELP)
_Config = Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)]
_Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="Slug of the hospital.")]


@enrol.command()
def authority(
    folder: Annotated[Path, typer.Argument(help="Where to write; nothing there is overwritten.")],
    host: Annotated[str, typer.Option(help="Host name or address by which collectors reach the relay.")],
) -> None:
    """Make the authority that certifies collectors, and the relay's certificate; keep its key as you keep passwords.

    [bold]Example[/bold]: wardwatch enrol authority /etc/wardwatch --host relay.provider.example
    """
    names = ("authority.pem", "authority.key", "relay.pem", "relay.key")
    for name in names:
        if (folder / name).exists():
            raise SettingsError(f"{folder / name} is there already", step="enrol", remedy="name another folder")
    made, key = certificates.new_authority(), certificates.new_key()
    relay = certificates.pem(made.certify_relay(key, host))
    texts = (made.pem, certificates.key_pem(made.key), relay, certificates.key_pem(key))
    for name, text in zip(names, texts, strict=True):
        certificates.write_secret(folder / name, text)
    settings = {"certificate": "relay.pem", "key": "relay.key", "authorities": "authority.pem"}
    typer.echo("[relay]")
    for setting, name in (settings | {"authority_key": "authority.key"}).items():
        typer.echo(f'{setting} = "{folder.absolute() / name}"')


@enrol.command()
def create(
    tenant: _Tenant,
    config: _Config = None,
    hours: Annotated[float, typer.Option(help="Hours for which the token is valid.", min=0, max=720)] = 24.0,
) -> None:
    """Print a token by which one collector enrols, once; only its hash is kept.

    [bold]Example[/bold]: wardwatch enrol create renai --hours 4
    """
    settings = load(config)
    fingerprint = _fingerprint(settings)
    with opened_tables(settings) as tables:
        typer.echo(enrolment.new_token(tables, check_tenant(tenant), fingerprint, hours))


@enrol.command()
def revoke(
    tenant: _Tenant,
    serial: Annotated[str, typer.Argument(metavar="[SERIAL]", help="One certificate; else all of them.")] = "",
    config: _Config = None,
) -> None:
    """Refuse a hospital's certificates from now on; wardwatch tables list collectors --tenant shows them.

    [bold]Example[/bold]: wardwatch enrol revoke renai
    """
    with opened_tables(load(config)) as tables:
        revoked = enrolment.revoke(tables, check_tenant(tenant), serial)
    if not revoked:
        raise NotFound(f"{tenant} has no certificate of this authority", step="enrol")
    for each in revoked:
        typer.echo(f"revoked {each}")


def _fingerprint(settings: Settings) -> str:
    path = settings.relay.authorities
    if path is None:
        remedy = "set relay.authorities; wardwatch enrol authority makes it"
        raise SettingsError("no authority to enrol by", step="enrol", remedy=remedy)
    try:
        return certificates.fingerprint(x509.load_pem_x509_certificate(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}", step="enrol") from None


@contextmanager
def opened_tables(settings: Settings) -> Iterator[Tables]:
    """Open the tables of the bus, read to their end; raises SettingsError, BusUnavailable."""
    bus = open_bus(settings.bus_url, settings.bus_access)
    tables = Tables(bus)
    try:
        bus.ensure_topics([TABLES])
        tables.catch_up()
        yield tables
    finally:
        tables.close()
        bus.close()
