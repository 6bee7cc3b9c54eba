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
from detections.archive import Span
from detections.cli.loaded import load, safe
from detections.cli.opened import opened
from detections.cli.span import From, TenantNames, To, span
from detections.profiling import Cost, Profile
from detections.scanning import Hospital, is_complete
from enrich.context import Context
from wardwatch import settings
from wardwatch.cli import options
from wardwatch.errors import NotFound
from wardwatch.sources import reader
from wardwatch.text import safe_json

ZONE = "Asia/Shanghai"


def profile(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="EVENTS…", help="Files with events, as for detect; default: what is archived."),
    ] = None,
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", help="Rule files or folders; default: the rules in force.")
    ] = None,
    source: Annotated[str, typer.Option(help="What wrote the files; default: told by their first bytes.")] = "",
    start: From = "7d",
    end: To = "0m",
    tenant: TenantNames = None,
    sample: Annotated[int, typer.Option(min=1, help="Archived events to match at most, of all the span.")] = 20_000,
    top: Annotated[int, typer.Option(min=1, help="How many rules and fields to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a rule, all of them.")] = False,
) -> None:
    """Show what each rule costs: share of the time, candidates without match, memo misses.

    Measured on the events of files, or on a sample of those that are archived. A candidate is an event on which the
    rule's condition was evaluated; those without match are work for nothing. A miss is a value of one of the rule's
    fields that had to be scanned because it was not seen before: only where a log source's events ask so many rules
    that these are found by fields.

    \b
    Examples:
      wardwatch rules profile                                   the rules in force on seven days of the archive
      wardwatch rules profile --rules my-rules --from 1d --tenant renai
      wardwatch rules profile --rules sigma/rules/windows events.ndjson.gz
      wardwatch rules profile --json | jq -s 'sort_by(-.candidates + .matches)[:5]'
    """
    measured = Profile(load(rules))
    if files:
        _match_files(files, source, measured)
    else:
        _match_archived(measured, span(start, end), tenant, sample)
    if as_json:
        for cost in measured.costs():
            sys.stdout.write(safe_json(orjson.dumps(_row(cost, measured)).decode()) + "\n")
        return
    _print(measured, top)


def _match_archived(measured: Profile, wanted: Span, tenant: list[str] | None, most: int) -> None:
    with opened(settings.load()) as lab, Console(stderr=True).status("matching archived events"):
        measured.match_archived(lab.archive, lab.tenants(tenant), wanted, most)
    if not measured.events:
        raise NotFound("nothing is archived in that span", step="rules profile", remedy="--from earlier, or name files")


def _match_files(files: list[Path], source: str, measured: Profile) -> None:
    try:
        for path in opening.walked(files):
            _match(path, source, measured)
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}", param_hint="EVENTS") from None


def _match(path: Path, source: str, measured: Profile) -> None:
    zone, context = options.time_zone(ZONE), Context(Hospital(ZONE))
    with opening.opened(path) as file:
        chosen, why = (source, "") if source else reader().recognise(file.head)
        if chosen not in reader().SOURCES:
            raise typer.BadParameter(f"{path}: {why or source}", param_hint="--source")
        for record in reader().read(file.stream, chosen, name=str(path), zone=zone, charset="utf-8"):
            for event in record.events:
                if is_complete(event, context):
                    measured.match(event, zone)


def _row(cost: Cost, measured: Profile) -> dict[str, object]:
    return {
        "rule_id": cost.rule.id,
        "rule_title": cost.rule.title,
        "share": measured.share(cost),
        "candidates": cost.candidates,
        "matches": cost.matches,
        "misses": cost.misses,
    }


def _print(measured: Profile, top: int) -> None:
    costs = measured.costs()
    table = Table("rule", "share of time", "candidates", "without match", "memo misses", box=None)
    for cost in costs[:top]:
        numbers = (cost.candidates, cost.candidates - cost.matches, cost.misses)
        table.add_row(safe(cost.rule.title), f"{measured.share(cost):.1%}", *(f"{number:,}" for number in numbers))
    fields = Table("field", "memo misses", box=None)
    for field, misses in (+measured.field_misses()).most_common(top):
        fields.add_row(safe(field or "(every value)"), f"{misses:,}")
    in_conditions = sum(map(measured.share, costs))
    seconds = measured.time_ns / 1e9
    Console().print(table, *([fields] if fields.rows else []))
    typer.echo(f"{measured.events:,} events, {seconds:.2f} s matching, {in_conditions:.0%} of it in conditions")
