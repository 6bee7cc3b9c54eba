"""``wardwatch rules import``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from detections import importing
from detections.importing import Change, Source
from wardwatch import settings
from wardwatch.event import rfc3339
from wardwatch.text import safe_text

_NAMED = 20  # of each list, unless all are wanted


def import_rules(
    path: Annotated[Path, typer.Argument(help="A SigmaHQ checkout, or a zip or tar.gz of one.")],
    name: Annotated[str, typer.Option(help="Name of the folder under data_dir/rules.")] = "sigmahq",
    into: Annotated[Path | None, typer.Option("--into", metavar="FOLDER", help="Another folder for the rules.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Name every rule that changed or was rejected.")] = False,
) -> None:
    """Bring in rules of others: says what is new, changed, gone, or can't be loaded since the last import.

    Rules are read, never run; links, names that point outside and files of more than 512 KiB are left out. The folder
    keeps the licence and a manifest with version and checksums. The rules are in force when the matcher reads them.

    [bold]Examples[/bold]

    wardwatch rules import sigma-master.zip --dry-run

    wardwatch rules import ~/src/sigma

    wardwatch rules import vendor-rules.tar.gz --name vendor --all
    """
    folder = into or settings.load().data_dir / "rules" / Path(name).name
    with Console(stderr=True).status("reading and checking rules"):
        source = importing.read(path)
        change = importing.compare(source, folder)
    _print(source, change, limit=None if everything else _NAMED)
    if dry_run:
        typer.echo("dry run: nothing was written")
        return
    importing.write(source, change, folder, rfc3339(datetime.now(UTC)))
    typer.echo(f"written to {folder}")
    typer.echo(
        f"to put them in force, add the folder to matcher.rules, such as WARDWATCH_MATCHER__RULES='[\"{folder}\"]'"
    )


def _print(source: Source, change: Change, limit: int | None) -> None:
    _list("added", change.added, limit)
    _list("changed", change.changed, limit)
    _list("removed", change.removed, limit)
    _list("left out", source.skipped, limit)
    _list("newly rejected", [f"{name}: {change.rejected[name]}" for name in change.newly_rejected], limit)
    licence = source.licence.strip().partition("\n")[0] or "no licence file"
    typer.echo(f"version {source.version or source.digest[:16]}; {safe_text(licence, limit=200)}")
    typer.echo(f"{len(source.texts)} files: {change.loaded} rules loaded, {len(change.rejected)} rejected")


def _list(title: str, lines: list[str], limit: int | None) -> None:
    if lines:
        typer.echo(f"{title}: {len(lines)}")
    for line in lines[:limit]:
        typer.echo(f"  {safe_text(line, limit=500)}")
    if limit is not None and len(lines) > limit:
        typer.echo(f"  and {len(lines) - limit} more (--all)")
