"""``wardwatch rules backtest``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from detections import junit
from detections.archive import Part
from detections.backtest import Backtest, Found
from detections.cli.loaded import choose, safe
from detections.cli.opened import opened
from detections.cli.span import From, TenantNames, To, span
from detections.sigma.loading import Rejected
from wardwatch import settings

_INTERRUPTED = 130  # as shells say it of Ctrl-C


def backtest(
    rules: Annotated[list[str], typer.Argument(metavar="RULE…", help="Files and folders, or ids and names in force.")],
    start: From = "7d",
    end: To = "0m",
    tenant: TenantNames = None,
    most: Annotated[
        int | None, typer.Option("--max", min=0, help="Exit 1 when a rule has more matches than this.")
    ] = None,
    samples: Annotated[int, typer.Option(min=0, help="Sample events of each rule and hospital.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print for machines.")] = False,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report: a rule is a test case.")
    ] = None,
) -> None:
    """Try rules on archived events: matches and alerts per day and hospital, with sample events.

    Only events of the rules' log sources are read; what the tables know of machines and calendar today is added to
    them. A correlation is tried with the rules that it refers to; its matches are the events that its alerts count.
    Ctrl-C prints what is known so far. Exit 1: a rule has more matches than --max, or could not be loaded.

    [bold]Examples[/bold]

    wardwatch rules backtest my-rules/ssh.yml                        the last seven days, every hospital

    wardwatch rules backtest mysql_tongfang --from 2026-03-01 --to 2026-04-01 --tenant renai

    wardwatch rules backtest linux_ssh_guessed --from 30d             a correlation in force

    wardwatch rules backtest my-rules/ --from 30d --max 50 --junit backtest.xml        a gate for CI
    """
    chosen = choose(rules)
    own = settings.load()
    with opened(own) as lab:
        test = Backtest(lab.archive, chosen.ruleset, chosen.rules, own.alerter.window_s, samples)
        parts = test.parts(lab.tenants(tenant), span(start, end))
        began = perf_counter()
        complete = _run(test, parts)
        report = _Report(test, parts, chosen.rejected, perf_counter() - began, complete, most)
    report.print_json() if as_json else report.print()
    if junit_file:
        junit_file.write_bytes(junit.report("wardwatch rules backtest", report.suites(), report.seconds))
    raise typer.Exit(_INTERRUPTED if not complete else 1 if report.failed else 0)


def _run(test: Backtest, parts: list[Part]) -> bool:
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*bar, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("events", total=sum(part.events for part in parts))
        try:
            for part in parts:
                progress.update(task, description=part.tenant)
                for _ in test.run(part):
                    progress.advance(task)
        except KeyboardInterrupt:
            return False
    return True


class _Report:
    def __init__(
        self,
        test: Backtest,
        parts: list[Part],
        rejected: Sequence[Rejected],
        seconds: float,
        complete: bool,
        most: int | None,
    ) -> None:
        self.found = list(test.found.values())
        self.read = test.events_read
        self.wanted = sum(part.events for part in parts)
        self.of_all = sum(part.of_all for part in parts)
        self.rejected = rejected
        self.seconds = seconds
        self.complete = complete
        self.most = most

    @property
    def failed(self) -> bool:
        """Tell whether a rule has more matches than allowed, or could not be tried."""
        return bool(self.rejected) or any(self.failure(found) for found in self.found)

    def failure(self, found: Found) -> str:
        if self.most is not None and found.total > self.most:
            return f"{found.total} matches, at most {self.most} are allowed"
        return "" if self.complete else "interrupted"

    def suites(self) -> list[tuple[str, list[junit.Case]]]:
        """Return one suite with a test case for each rule."""
        cases = [junit.Case(str(each.rule.file), each.rule.title, self.failure(each)) for each in self.found]
        broken = [junit.Case(str(each.file), each.file.stem, error=str(each)) for each in self.rejected]
        return [("backtest", [*cases, *broken])]

    def print_json(self) -> None:
        """Print one JSON object."""
        head = {
            "complete": self.complete,
            "events_read": self.read,
            "events_of_other_log_sources": self.of_all - self.wanted,
            "seconds": round(self.seconds, 3),
            "events_per_s": round(self.read / self.seconds),
        }
        rules = [self._as_json(found) for found in self.found]
        sys.stdout.write(orjson.dumps(head | {"rules": rules}, option=orjson.OPT_INDENT_2).decode() + "\n")

    def _as_json(self, found: Found) -> dict[str, Any]:
        return {
            "id": found.rule.id,
            "title": found.rule.title,
            "version": found.rule.version,
            "matches": found.total,
            "alerts": found.alerts.total(),
            "alerting": found.alerting,
            "failure": self.failure(found),
            "days": [
                {"tenant": tenant, "day": day.isoformat(), "matches": count, "alerts": found.alerts[tenant, day]}
                for (tenant, day), count in sorted(found.matches.items())
            ],
            "samples": [asdict(sample) for sample in found.samples],
        }

    def print(self) -> None:
        """Print a table a rule, and what it took."""
        console = Console()
        for found in self.found:
            self._print_rule(console, found)
        others = self.of_all - self.wanted
        rate = f"{self.read / self.seconds:,.0f}" if self.seconds else "–"
        console.print(f"{self.read:,} events read in {self.seconds:.1f} s ({rate}/s), {others:,} of other log sources")
        if not self.complete:
            console.print(f"[yellow]interrupted: {self.wanted - self.read:,} events were not read[/yellow]")

    def _print_rule(self, console: Console, found: Found) -> None:
        console.print(f"[bold]{safe(found.rule.title)}[/bold]  {safe(found.rule.id)}")
        table = Table("day", "hospital", "matches", "alerts", box=None)
        for column in table.columns[2:]:
            column.justify = "right"
        for (tenant, day), count in sorted(found.matches.items(), key=_by_day):
            table.add_row(day.isoformat(), tenant, f"{count:,}", f"{found.alerts[tenant, day]:,}")
        table.add_row("all", "", f"{found.total:,}", f"{found.alerts.total():,}")
        console.print(table)
        if not found.alerting:
            console.print("  no alert of its own: correlations alone ask for its matches")
        for sample in found.samples:
            console.print(f"  {sample.timestamp} {sample.tenant} {safe(sample.event_id)}", highlight=False)
            console.print(f"    {safe(sample.sentence['en'])}", highlight=False)
        if failure := self.failure(found):
            console.print(f"[red]{failure}[/red]")
        console.print()


def _by_day(item: tuple[tuple[str, date], int]) -> tuple[date, str]:
    (tenant, day), _ = item
    return day, tenant
