"""``wardwatch rules coverage``."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from detections import fired
from detections.archive import Span
from detections.cli.loaded import Paths, load, safe
from detections.cli.opened import Opened, opened
from detections.cli.span import TenantNames
from detections.coverage import Stage, Technique, coverage, layer
from wardwatch import settings
from wardwatch.event import LogSource

_SAID = {Stage.RULE_ON: "[red]no data[/red]", Stage.HAS_DATA: "[yellow]has data[/yellow]", Stage.HAS_FIRED: "fired"}


def show_coverage(
    paths: Paths = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Events and alerts of so many days.")] = 30,
    tenant: TenantNames = None,
    out: Annotated[
        Path | None, typer.Option("--layer", metavar="FILE", help="Write the layer for the Navigator.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the layer.")] = False,
) -> None:
    """Show which ATT&CK techniques the rules cover: a rule is on, its log source sent events, it has fired.

    The layer (format 4.5) opens in ATT&CK Navigator by Open Existing Layer, Upload from local; no network is used.

    [bold]Examples[/bold]

    wardwatch rules coverage                                a table for every hospital together

    wardwatch rules coverage --tenant renai --days 7 --layer renai.json

    wardwatch rules coverage my-rules/ --json | jq '.techniques[] | select(.score == 1) | .techniqueID'
    """
    ruleset = load(paths)
    start = datetime.now(UTC) - timedelta(days=days)
    with opened(settings.load()) as lab, Console(stderr=True).status("reading events and alerts"):
        sources = _sources(lab, tenant, start)
        alerts = list(fired.since(lab.store.alerts, frozenset(tenant or ()), start))
    techniques = coverage(ruleset, sources, alerts)
    whose = ", ".join(tenant) if tenant else "all hospitals"
    made = layer(
        techniques, f"wardwatch: {whose}", f"{len(ruleset.loaded)} rules, {days} days until {datetime.now(UTC):%F}"
    )
    if out:
        out.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2))
    if as_json:
        sys.stdout.write(orjson.dumps(made, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print(techniques)


def _sources(lab: Opened, wanted: list[str] | None, start: datetime) -> Counter[LogSource]:
    found: Counter[LogSource] = Counter()
    span = Span(start, datetime.now(UTC))
    for tenant in lab.tenants(wanted):
        found.update(lab.archive.sources(tenant, span))
    return found


def _print(techniques: list[Technique]) -> None:
    table = Table("technique", "name", "rules", "with data", "alerts", "", box=None)
    for column in table.columns[2:5]:
        column.justify = "right"
    for each in techniques:
        figures = len(each.rules), len(each.with_data), each.alerts.total()
        table.add_row(each.id, safe(each.name), *map(str, figures), _SAID[each.stage])
    stages = Counter(each.stage for each in techniques)
    console = Console()
    console.print(table)
    never = {rule.id for each in techniques for rule in each.rules if rule.no_data}
    console.print(
        f"{len(techniques)} techniques: {stages[Stage.HAS_FIRED]} fired, {stages[Stage.HAS_DATA]} have data, "
        f"{stages[Stage.RULE_ON]} have no data\n"
        f"{len(never)} rules are on that no parser's events can meet: wardwatch rules list --no-data"
    )
