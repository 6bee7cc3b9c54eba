"""``wardwatch rules profile``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from detections import opening
from detections.cli.loaded import load, safe
from detections.profiling import Cost, Profile
from detections.scanning import Hospital, complete
from enrich.context import Context
from wardwatch.cli import options
from wardwatch.errors import RecordError
from wardwatch.event import Event
from wardwatch.sources import reader
from wardwatch.text import safe_json

ZONE = "Asia/Shanghai"


def profile(
    files: Annotated[list[Path], typer.Argument(metavar="EVENTS…", help="Files with events, as for detect.")],
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", help="Rule files or folders; default: the rules in force.")
    ] = None,
    source: Annotated[str, typer.Option(help="What wrote the files; default: told by their first bytes.")] = "",
    top: Annotated[int, typer.Option(min=1, help="How many rules and fields to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a rule, all of them.")] = False,
) -> None:
    """Show what each rule costs on given events: share of the time, candidates without match, memo misses.

    A candidate is an event on which the rule's condition was evaluated; those without match are work for nothing. A
    miss is a value of one of the rule's fields that had to be scanned because it was not seen before.

    \b
    Examples:
      wardwatch rules profile --rules sigma/rules/windows events.ndjson.gz
      wardwatch rules profile --json events.ndjson | jq -s 'sort_by(-.candidates - .matches)[:5]'
    """
    ruleset = load(rules)
    measured = Profile(ruleset)
    try:
        for path in opening.walked(files):
            _match(path, source, measured)
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}", param_hint="EVENTS") from None
    if as_json:
        for cost in measured.costs():
            sys.stdout.write(safe_json(orjson.dumps(_row(cost, measured)).decode()) + "\n")
        return
    _print(measured, top)


def _match(path: Path, source: str, measured: Profile) -> None:
    zone, context = options.time_zone(ZONE), Context(Hospital(ZONE))
    with opening.opened(path) as opened:
        chosen, why = (source, "") if source else reader().recognise(opened.head)
        if chosen not in reader().SOURCES:
            raise typer.BadParameter(f"{path}: {why or source}", param_hint="--source")
        for record in reader().read(opened.stream, chosen, name=str(path), zone=zone, charset="utf-8"):
            for event in record.events:
                if _is_complete(event, context):
                    measured.match(event, zone)


def _is_complete(event: Event, context: Context) -> bool:
    try:
        complete(event, context)
    except RecordError:
        return False
    return True


def _row(cost: Cost, measured: Profile) -> dict[str, object]:
    return {
        "rule_id": cost.rule.id,
        "rule_title": cost.rule.title,
        "share": cost.time_ns / (measured.time_ns or 1),
        "candidates": cost.candidates,
        "matches": cost.matches,
        "misses": cost.misses,
    }


def _print(measured: Profile, top: int) -> None:
    costs = measured.costs()
    table = Table("rule", "share of time", "candidates", "without match", "memo misses", box=None)
    for cost in costs[:top]:
        share = cost.time_ns / (measured.time_ns or 1)
        numbers = (cost.candidates, cost.candidates - cost.matches, cost.misses)
        table.add_row(safe(cost.rule.title), f"{share:.1%}", *(f"{number:,}" for number in numbers))
    fields = Table("field", "memo misses", box=None)
    for field, misses in measured.field_misses().most_common(top):
        fields.add_row(safe(field or "(every value)"), f"{misses:,}")
    in_conditions = sum(cost.time_ns for cost in costs) / (measured.time_ns or 1)
    seconds = measured.time_ns / 1e9
    Console().print(table, fields)
    typer.echo(f"{measured.events:,} events, {seconds:.2f} s matching, {in_conditions:.0%} of it in conditions")
