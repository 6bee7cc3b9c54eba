"""``wardwatch rules show``."""

from __future__ import annotations

from typing import Annotated

import typer

from detections.cli.loaded import Paths, load
from wardwatch.errors import NotFound
from wardwatch.text import safe_text


def show(rule_id: Annotated[str, typer.Argument(metavar="ID", help="The rule's id.")], paths: Paths = None) -> None:
    """Print a rule as it is written.

    \b
    wardwatch rules show 7f1e5b1c-8d7e-4c6a-9f0e-2b6b1d0a9c11
    """
    for rule in load(paths).loaded:
        if rule.id == rule_id:
            typer.echo(f"# {rule.file}:{rule.line} version {rule.version}")
            typer.echo(safe_text(rule.text))
            return
    raise NotFound(f"no rule {rule_id[:80]!r}", step="rules show", remedy="wardwatch rules list")
