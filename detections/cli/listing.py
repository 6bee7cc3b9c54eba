"""``wardwatch rules list``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from detections.cli.controls import in_force
from detections.cli.loaded import Paths, safe
from detections.control.rows import place
from detections.control.state import State
from detections.correlation.written import Written
from detections.sigma import PACK, Rejected, Rule, loading


def list_rules(
    paths: Paths = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="Only rules that are not in force, and why.")] = False,
    no_data: Annotated[bool, typer.Option("--no-data", help="Only rules that no parser's events can meet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List rules with level, log source, title, where they come from, whose they are and who has muted them.

    \b
    wardwatch rules list                       the rules in force
    wardwatch rules list --rejected my-rules/  what could not be loaded, with file, line and reason
    wardwatch rules list --no-data my-rules/   rules in force that no parser's events can meet, and why
    wardwatch rules list --json | jq .id       for scripts
    """
    state = State.of(loading.read(file) for path in paths for file in loading.files(path)) if paths else in_force()
    found, without = state.rejected, state.ruleset.no_data
    rules = without if no_data else state.ruleset.loaded
    rows = [_rejected_row(each) for each in found] if rejected else [_row(each, state) for each in rules]
    if as_json:
        for row in rows:
            sys.stdout.write(orjson.dumps(row).decode() + "\n")
        return
    table = Table(box=None)
    shown = ["file", "line", "reason"] if rejected else ["level", "logsource", "title", "from", "id"]
    shown += ["no_data"] if no_data and not rejected else []
    for name in shown:
        table.add_column(name, no_wrap=name == "id", overflow="fold")
    for row in rows:
        table.add_row(*(safe(row[name] if name in row else _whence(row)) for name in shown))
    Console().print(table)
    Console().print(f"{len(state.ruleset.loaded)} loaded, {len(found)} rejected, {len(without)} without data")


def _row(rule: Rule | Written, state: State) -> dict[str, str]:
    return {
        "id": rule.id,
        "level": rule.severity.value,
        "logsource": _source(rule),
        "title": rule.title,
        "origin": _origin(rule, state),
        "hospital": rule.tenant or "every",
        "muted": ", ".join(tenant or "every" for tenant in state.mutes(rule.id, datetime.now(UTC))),
        "file": str(rule.file),
        "version": rule.version,
        "no_data": rule.no_data,
    }


def _whence(row: dict[str, str]) -> str:
    hospital = row["hospital"] if row["hospital"] != "every" else ""
    parts = [row["origin"], hospital, row["muted"] and "muted", row["no_data"] and "no data"]
    return " ".join(part for part in parts if part)


def _source(rule: Rule | Written) -> str:
    if isinstance(rule, Written):
        return f"correlation: {rule.correlation.kind}"
    source = rule.logsource
    return f"{source.product}/{source.category}/{source.service}"


def _origin(rule: Rule | Written, state: State) -> str:
    if any(rule.file == place(row) for row in state.rows):
        return "table"
    return "shipped" if rule.file.is_relative_to(PACK) else "file"


def _rejected_row(each: Rejected) -> dict[str, str]:
    return {"file": str(each.file), "line": str(each.line), "reason": each.reason}
