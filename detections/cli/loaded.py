"""What the commands share: the rules that their arguments name, and text made safe for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from detections.cli.controls import in_force
from detections.control.live import vocabulary
from detections.correlation.written import Written
from detections.sigma import Rule, Ruleset
from detections.sigma.loading import Rejected
from wardwatch import settings
from wardwatch.errors import NotFound, RuleError
from wardwatch.text import safe_text

Paths = Annotated[list[Path] | None, typer.Argument(help="Rule files or folders; default: the rules in force.")]

_REMEDY = "wardwatch rules check"


def load(paths: list[Path] | None) -> Ruleset:
    """Load the rules in the files and folders, or those in force, of files and tables; raises BusUnavailable."""
    return Ruleset.load(paths, vocabulary(settings.load().matcher)) if paths else in_force().ruleset


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rules that arguments name, the set they are in, and what the named files have that can't be loaded."""

    ruleset: Ruleset
    rules: list[Rule | Written]
    rejected: Sequence[Rejected] = ()


def choose(names: Sequence[str]) -> Chosen:
    """Return what is named: files and folders, or ids and slugs of rules in force.

    What can't be loaded is named on standard error. Raises NotFound, and RuleError where no rule is left.
    """
    paths = [Path(name) for name in names if Path(name).exists()]
    if paths and len(paths) != len(names):
        raise NotFound("name files or rules in force, not both", step="rules", remedy="wardwatch rules list")
    ruleset = load(paths or None)
    if not paths:
        return Chosen(ruleset, [_in_force(ruleset, name) for name in names])
    if not ruleset.loaded:
        for each in ruleset.rejected:
            raise RuleError(each.reason, step="rules", record=f"{each.file}:{each.line}", remedy=_REMEDY)
        raise RuleError("no rule", step="rules", record=names[0], remedy=_REMEDY)
    for each in ruleset.rejected:
        typer.echo(safe_text(str(each), limit=1000), err=True)
    return Chosen(ruleset, ruleset.loaded, ruleset.rejected)


def _in_force(ruleset: Ruleset, name: str) -> Rule | Written:
    for rule in ruleset.loaded:
        if name in (rule.id, rule.card.slug):
            return rule
    raise NotFound(f"no rule {name[:80]!r}", step="rules", remedy="wardwatch rules list")


def safe(text: object, limit: int = 200) -> str:
    """Return a text from a rule or an event as rich may print it."""
    return escape(safe_text(str(text), limit=limit))
