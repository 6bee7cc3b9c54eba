"""Commands run in this process, on a folder with one rule."""

from __future__ import annotations

import typer
import yaml
from typer.testing import CliRunner, Result

from tests.detections.rules_under_test import rule_document

ROOT = rule_document({"user.name": "root"}, level="high", logsource={"product": "linux", "service": "sshd"})


def invoke(app: typer.Typer, *arguments: object, text: str | bytes | None = None) -> Result:
    """Run a command and return what it printed."""
    return CliRunner().invoke(app, [str(each) for each in arguments], input=text)


def written(document: object) -> str:
    """Return a rule as YAML."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
