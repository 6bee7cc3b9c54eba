"""``wardwatch rules scorecard``."""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from detections import fired
from detections.archive import Span
from detections.cli.loaded import Paths, load, safe
from detections.cli.opened import Opened, opened
from detections.cli.span import TenantNames
from detections.profiling import Profile
from detections.scorecard import Score, scorecard
from detections.sigma import Ruleset
from wardwatch import settings
from wardwatch.alert import Verdict
from wardwatch.text import safe_text


def show_scorecard(
    paths: Paths = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Alerts created in so many days.")] = 30,
    tenant: TenantNames = None,
    sample: Annotated[
        int, typer.Option(min=0, help="Archived events to measure the cost on, at most; 0 does not measure it.")
    ] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, with a header.")] = False,
) -> None:
    """Show what each rule gave: alerts, matches, open ones, verdicts, precision, last fired, cost; the worst first.

    Precision is TP / (TP + benign + FP) of the alerts that were closed; rules nobody judged come after the judged ones.
    Cost is the rule's share of the matching time, measured now on a sample of the events that were archived in these
    days; [bold]wardwatch rules profile[/bold] tells more of it. Correlations, which match no events themselves, have
    none.

    [bold]Examples[/bold]

    wardwatch rules scorecard                          the rules in force, thirty days, every hospital

    wardwatch rules scorecard --days 90 --tenant renai --csv > rules.csv
    """
    ruleset = load(paths)
    start = datetime.now(UTC) - timedelta(days=days)
    with opened(settings.load()) as lab, Console(stderr=True).status("reading alerts, measuring cost"):
        alerts = fired.since(lab.store.alerts, frozenset(tenant or ()), start)
        scores = scorecard(ruleset.loaded, alerts, _costs(lab, ruleset, start, tenant, sample))
    if as_csv:
        _print_csv(scores)
    elif as_json:
        sys.stdout.writelines(orjson.dumps(_row(score)).decode() + "\n" for score in scores)
    else:
        _print(scores, days)


def _costs(lab: Opened, ruleset: Ruleset, start: datetime, tenant: list[str] | None, sample: int) -> dict[str, float]:
    """Return the share of matching time by rule id; {} where there is no event to measure it on."""
    known = lab.store.events.tenants()
    tenants = [each for each in known if each in (tenant or known)]
    measured = Profile(ruleset)
    measured.match_archived(lab.archive, tenants, Span(start, datetime.now(UTC)), sample)
    shares = defaultdict[str, float](float)
    for cost in measured.costs() if measured.events else ():
        shares[cost.rule.id] += measured.share(cost)
    return shares


def _row(score: Score) -> dict[str, Any]:
    return {
        "rule": score.rule,
        "name": safe_text(score.slug),
        "title": safe_text(score.title),
        "level": score.level,
        "in_force": score.in_force,
        "alerts": score.alerts,
        "matches": score.matches,
        "open": score.open,
        **{verdict.value: score.verdicts[verdict] for verdict in Verdict},
        "precision": None if score.precision is None else round(score.precision, 4),
        "last_fired": score.last_fired,
        "cost": None if score.cost is None else round(score.cost, 6),
    }


def _print_csv(scores: list[Score]) -> None:
    writer = csv.DictWriter(sys.stdout, list(_row(Score("", "", ""))), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in _row(score).items()} for score in scores)


def _cell(value: object) -> object:
    # a spreadsheet runs text that starts so as a formula
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _print(scores: list[Score], days: int) -> None:
    names = ("rule", "alerts", "matches", "open", "TP", "benign", "FP", "precision", "last fired", "cost")
    table = Table(*names, box=None, title=f"{days} days")
    table.columns[0].overflow = "fold"
    for column in (*table.columns[1:8], table.columns[9]):
        column.justify, column.no_wrap = "right", True
    for score in scores:
        figures = score.alerts, score.matches, score.open, score.true_positives, score.benign, score.false_positives
        precision = "–" if score.precision is None else f"{score.precision:.0%}"
        rule = safe(score.slug) + ("" if score.in_force else " (not in force)")
        cost = "–" if score.cost is None else f"{score.cost:.1%}"
        table.add_row(rule, *map(str, figures), precision, score.last_fired[:10] or "never", cost)
    Console().print(table)
