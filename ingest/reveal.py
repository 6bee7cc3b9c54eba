"""``wardwatch reveal``: turn tokens back into what they stand for, inside the hospital and on the record."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ingest.collector import reveals_path, site_folder
from ingest.revealing import Asker, People, Request, Revealer
from ingest.vault import open_vault
from ingest.vault_care import vault_settings
from wardwatch.text import safe_text

_HELP = """Turn tokens back into what they stand for, on the collector's host. Each reveal is recorded and watched.

[bold]Examples[/bold]

wardwatch reveal add li.na --role privacy-officer

wardwatch reveal tokens pt_0123456789abcdef01234567 --as li.na --case INC-2026-031 --reason "whom to notify"

wardwatch reveal serve --certificate reveal.pem --key reveal.key     the same as a page of the hospital
"""

reveal = typer.Typer(rich_markup_mode="rich", no_args_is_help=True, help=_HELP)
_Config = Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)]
_Account = Annotated[str, typer.Argument(help="The person's account.")]


@reveal.command()
def tokens(
    found: Annotated[list[str], typer.Argument(metavar="TOKEN…", help="Tokens, as alerts show them.")],
    asker: Annotated[str, typer.Option("--as", help="Your account; the password is asked for.")],
    case: Annotated[str, typer.Option(help="The case or incident that it is for.")],
    reason: Annotated[str, typer.Option(help="Why it must be known.")],
    second: Annotated[str, typer.Option(help="The second person's account, for persons under protection.")] = "",
    config: _Config = None,
) -> None:
    """Print what tokens stand for, after the record of it is on disk.

    Passwords are read from the terminal, or from standard input, one a line.

    [bold]Example[/bold]

    wardwatch reveal tokens pt_0123456789abcdef01234567 --as li.na --second chen --case INC-31 --reason "whom to notify"
    """
    settings = vault_settings(config)
    folder = site_folder(settings)
    beside = Asker(second, _password(second)) if second else None
    request = Request(found, case, reason, Asker(asker, _password(asker)), beside)
    with closing(open_vault(settings.collector, folder)) as vault:
        values = Revealer(vault, _people(folder), reveals_path(folder)).reveal(request)
    for token, value in values.items():
        typer.echo(f"{token}\t{safe_text(value)}")


@reveal.command("add")
def add_person(
    account: _Account,
    role: Annotated[str, typer.Option(help="The role in the hospital, such as privacy-officer.")],
    config: _Config = None,
) -> None:
    """Let a person reveal tokens. A password of 10 characters or more is asked for.

    [bold]Example[/bold]

    wardwatch reveal add li.na --role privacy-officer
    """
    _people(site_folder(vault_settings(config))).add(account, role, _password(account))
    typer.echo(f"{account} may reveal tokens as {role}")


@reveal.command("remove")
def remove_person(account: _Account, config: _Config = None) -> None:
    """Take it from a person.

    [bold]Example[/bold]

    wardwatch reveal remove li.na
    """
    _people(site_folder(vault_settings(config))).remove(account)
    typer.echo(f"{account} may no longer reveal tokens")


@reveal.command("people")
def list_people(config: _Config = None) -> None:
    """List who may reveal tokens, and in which role.

    [bold]Example[/bold]

    wardwatch reveal people
    """
    for account, person in sorted(_people(site_folder(vault_settings(config))).all().items()):
        typer.echo(f"{safe_text(account)}\t{safe_text(person.role)}")


@reveal.command()
def serve(
    listen: Annotated[str, typer.Option(help="host:port; beyond this machine only with a certificate.")] = (
        "127.0.0.1:8443"
    ),
    certificate: Annotated[Path | None, typer.Option(help="PEM certificate chain.", show_default=False)] = None,
    key: Annotated[Path | None, typer.Option(help="PEM private key.", show_default=False)] = None,
    config: _Config = None,
) -> None:
    """Serve the hospital's page for reveals, on the collector's machine: the same people, terms and records.

    [bold]Example[/bold]

    wardwatch reveal serve --listen 10.3.0.9:8443 --certificate reveal.pem --key reveal.key --config collector.toml
    """
    from ingest import reveal_page

    settings = vault_settings(config)
    typer.echo(f"http{'s' if certificate else ''}://{listen}/")
    reveal_page.serve(settings, listen, certificate, key)


def _people(folder: Path) -> People:
    return People(folder / "people.json")


def _password(account: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(f"Password of {account}", hide_input=True))
    return sys.stdin.readline().rstrip("\n")
