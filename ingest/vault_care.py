"""``wardwatch vault``: look after the token vault of a hospital: check, back up, restore, change its key."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ingest.collector import own_folder, site_folder
from ingest.vault import Vault, key_path, load_key, next_key, open_vault, vault_path
from wardwatch.errors import SettingsError
from wardwatch.settings import CollectorSettings, Settings, load

_HELP = """Look after the vault of tokens, on the collector's host.

[bold]Examples[/bold]

wardwatch vault back-up /mnt/safe/vault-2026-03-01.sqlite

wardwatch vault change-key
"""

vault = typer.Typer(rich_markup_mode="rich", no_args_is_help=True, help=_HELP)
_Config = Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)]


@vault.command()
def check(config: _Config = None) -> None:
    """Open every token with the key and say how many there are.

    [bold]Example[/bold]

    wardwatch vault check
    """
    settings = vault_settings(config)
    with closing(open_vault(settings.collector, site_folder(settings))) as opened:
        typer.echo(f"{opened.check()} tokens, all of them open")


@vault.command("back-up")
def back_up(
    file: Annotated[Path, typer.Argument(help="A file that is not there yet.")], config: _Config = None
) -> None:
    """Copy the vault, also while the collector runs. Keep the key elsewhere: with both, anyone can reveal.

    [bold]Example[/bold]

    wardwatch vault back-up /mnt/safe/vault-2026-03-01.sqlite
    """
    settings = vault_settings(config)
    if file.exists():
        raise SettingsError(f"{file} exists", step="vault", remedy="name a new file")
    with closing(open_vault(settings.collector, site_folder(settings))) as opened:
        opened.back_up(file)
    typer.echo(
        f"{file} written; without the key {key_path(settings.collector, site_folder(settings))} it opens nothing"
    )


@vault.command("restore")
def restore_from(file: Annotated[Path, typer.Argument(help="A back-up.")], config: _Config = None) -> None:
    """Put a back-up in place of a vault that is lost. The collector must be stopped.

    [bold]Example[/bold]

    wardwatch vault restore /mnt/safe/vault-2026-03-01.sqlite
    """
    settings = vault_settings(config)
    with own_folder(settings) as folder:
        count = restore(file, settings.collector, folder)
    typer.echo(f"{count} tokens restored; values seen since the back-up get new tokens")


@vault.command("change-key")
def change_key(config: _Config = None) -> None:
    """Seal and index the vault anew under a new key. Tokens stay. The collector must be stopped.

    Back-ups made before still need the old key: make a new one.

    [bold]Example[/bold]

    wardwatch vault change-key && wardwatch vault back-up /mnt/safe/vault-2026-03-01.sqlite
    """
    settings = vault_settings(config)
    with own_folder(settings) as folder:
        rotate_key(settings.collector, folder)
    typer.echo("the vault has a new key; make a back-up of the vault, and keep a copy of the key elsewhere")


def rotate_key(settings: CollectorSettings, folder: Path) -> None:
    """Give the vault a new key at random; a crash at any point leaves a vault that ``open_vault`` opens.

    The collector must not run meanwhile. Back-ups made before still need the key they were made with.
    """
    with closing(open_vault(settings, folder)) as vault:
        following = next_key(key_path(settings, folder))
        following.unlink(missing_ok=True)
        vault.change_key(load_key(following))
    following.replace(key_path(settings, folder))


def restore(backup: Path, settings: CollectorSettings, folder: Path) -> int:
    """Put a back-up in place of a vault that is lost; return its tokens, each opened.

    Raises SettingsError when there is a vault, or when the key is not the back-up's; DecodeError when it is damaged.
    """
    path = vault_path(folder)
    if path.exists():
        remedy = "move it away, with its -wal and -shm files, if it is lost"
        raise SettingsError(f"{path} exists", step="vault", remedy=remedy)
    key = key_path(settings, folder)
    if not key.exists():
        raise SettingsError(f"there is no key {key}", step="vault", remedy="put the key of the back-up there first")
    incoming = path.with_name("vault.incoming")
    shutil.copyfile(backup, incoming)
    incoming.chmod(0o600)
    with closing(Vault(incoming, load_key(key))) as vault:
        count = vault.check()
    incoming.replace(path)
    return count


def vault_settings(config: Path | None) -> Settings:
    """Return the settings of a site that has a vault; raises SettingsError for one of keyed hashes."""
    settings = load(config)
    if settings.collector.tokens != "vault":
        raise SettingsError("the site's tokens are keyed hashes", step="vault", remedy='set collector.tokens = "vault"')
    return settings
