"""``wardwatch audit``: the audit trail's chain."""

from __future__ import annotations

from typing import Annotated

import typer

from dashboards import audit as trail
from dashboards.cli import opened
from wardwatch.errors import SettingsError
from wardwatch.text import safe_text

audit = typer.Typer(rich_markup_mode="rich", no_args_is_help=True, add_completion=False)
_SHOWN = 20


@audit.callback()
def chain() -> None:
    """The audit trail of the console.

    [bold]Example[/bold]: wardwatch audit verify
    """


@audit.command()
def verify(
    anchor: Annotated[
        str, typer.Option(metavar="NUMBER:HASH", help="A record as it was noted outside the store.")
    ] = "",
) -> None:
    """Check that no record was changed, removed or inserted; exit with 1 otherwise.

    Prints the newest record's number and hash: note them elsewhere, and give them as --anchor later.

    [bold]Example[/bold]: wardwatch audit verify --anchor 1200:9f2c…
    """
    with opened() as store:
        found = trail.verify(store, _anchor(anchor))
    for problem in found.problems[:_SHOWN]:
        typer.echo(safe_text(problem), err=True)
    if found.problems:
        typer.echo(f"{len(found.problems)} problems", err=True)
        raise typer.Exit(1)
    typer.echo(f"{found.records} records are whole")
    typer.echo(f"anchor {found.head.seq}:{found.head.hash}")


def _anchor(text: str) -> trail.Anchor | None:
    if not text:
        return None
    number, _, digest = text.partition(":")
    if not number.isdecimal() or not digest:
        raise SettingsError(f"--anchor {text[:80]!r} is not NUMBER:HASH", step="audit")
    return trail.Anchor(int(number), digest.lower())
