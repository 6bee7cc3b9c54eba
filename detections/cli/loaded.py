"""What the commands share: the rules that their arguments name, and text made safe for a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from detections.control.live import rule_paths
from detections.sigma import Ruleset
from wardwatch import settings
from wardwatch.text import safe_text

Paths = Annotated[list[Path] | None, typer.Argument(help="Rule files or folders; default: the rules in force.")]


def load(paths: list[Path] | None) -> Ruleset:
    """Load the rules in the files and folders, or those in force."""
    return Ruleset.load(paths or rule_paths(settings.load().matcher))


def safe(text: object, limit: int = 200) -> str:
    """Return a text from a rule or an event as rich may print it."""
    return escape(safe_text(str(text), limit=limit))
