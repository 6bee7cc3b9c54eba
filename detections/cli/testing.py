"""``wardwatch rules test``."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from detections import rule_tests
from detections.cli.loaded import Paths, load, safe
from detections.sigma import Rule
from wardwatch.errors import RuleError
from wardwatch.text import safe_text


def run_tests(paths: Paths = None) -> None:
    """Run the match and no-match events in the file <rule>.test.yml beside each rule; exit 1 if one fails.

    \b
    wardwatch rules test                        the rules in force
    wardwatch rules test my-rules/ssh.yml
    """
    ruleset = load(paths)
    table = Table("rule", "match", "no match", "result", box=None)
    results = [_tested(rule, table) for rule in ruleset.rules]
    Console().print(table)
    for each in ruleset.rejected:
        typer.echo(safe_text(str(each), limit=1000), err=True)
    raise typer.Exit(0 if all(results) and not ruleset.rejected else 1)


def _tested(rule: Rule, table: Table) -> bool:
    try:
        outcomes = list(rule_tests.run(rule))
    except RuleError as error:
        table.add_row(safe(rule.title), "", "", f"[red]{safe(error)}[/red]")
        return False
    counts = [str(sum(each.must_match is wanted for each in outcomes)) for wanted in (True, False)]
    failed = [each for each in outcomes if each.failure]
    said = "; ".join(f"{'match' if each.must_match else 'no_match'} {each.number} {each.failure}" for each in failed)
    good = bool(outcomes) and not failed
    said = "passed" if good else said or "no events"
    table.add_row(safe(rule.title), *counts, f"[{'green' if good else 'red'}]{safe(said, 500)}[/]")
    return good
