"""``wardwatch rules list``."""

from __future__ import annotations

import sys
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from detections.cli.loaded import Paths, load, safe
from detections.sigma import Rejected, Rule


def list_rules(
    paths: Paths = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="Only rules that are not in force, and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List rules with level, log source and title.

    \b
    wardwatch rules list                       the rules in force
    wardwatch rules list --rejected my-rules/  what could not be loaded, with file, line and reason
    wardwatch rules list --json | jq .id       for scripts
    """
    ruleset = load(paths)
    rows = [_rejected_row(each) for each in ruleset.rejected] if rejected else [_row(each) for each in ruleset.rules]
    if as_json:
        for row in rows:
            sys.stdout.write(orjson.dumps(row).decode() + "\n")
        return
    table = Table(box=None)
    shown = ("file", "line", "reason") if rejected else ("level", "logsource", "title", "id")
    for name in shown:
        table.add_column(name, no_wrap=name == "id", overflow="fold")
    for row in rows:
        table.add_row(*(safe(row[name]) for name in shown))
    Console().print(table)
    Console().print(f"{len(ruleset.rules)} loaded, {len(ruleset.rejected)} rejected")


def _row(rule: Rule) -> dict[str, str]:
    source = rule.logsource
    return {
        "id": rule.id,
        "level": rule.severity.value,
        "logsource": f"{source.product}/{source.category}/{source.service}",
        "title": rule.title,
        "file": str(rule.file),
        "version": rule.version,
    }


def _rejected_row(each: Rejected) -> dict[str, str]:
    return {"file": str(each.file), "line": str(each.line), "reason": each.reason}
