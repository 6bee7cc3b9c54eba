"""``wardwatch rules check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detections.sigma import Ruleset
from wardwatch.text import safe_text


def check(paths: Annotated[list[Path], typer.Argument(help="Rule files or folders.")]) -> None:
    """Check that every rule can be loaded; exit 1 and one line per problem if not.

    \b
    wardwatch rules check my-rules/
    my-rules/ssh.yml:14: Unknown modifier 'containz'
    """
    ruleset = Ruleset.load(paths)
    for each in ruleset.rejected:
        typer.echo(safe_text(str(each), limit=1000), err=True)
    typer.echo(f"{len(ruleset.rules)} loaded, {len(ruleset.rejected)} rejected")
    raise typer.Exit(1 if ruleset.rejected else 0)
