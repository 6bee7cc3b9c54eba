"""``wardwatch rules test``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from detections import junit, rule_tests, sequence_tests
from detections.cli.loaded import Paths, load, safe
from detections.junit import Case
from detections.rule_tests import Tested
from wardwatch.text import safe_text


def run_tests(
    paths: Paths = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the outcomes as JUnit XML, for CI.")
    ] = None,
) -> None:
    """Run the match and no-match events in the file <rule>.test.yml beside each rule; exit 1 if one fails.

    For a correlation they are lists of events. A failure is explained: which selection and field decided, with the
    event's value.

    \b
    wardwatch rules test                        the rules in force
    wardwatch rules test my-rules/ssh.yml
    wardwatch rules test --junit report.xml my-rules/
    """
    began_s = time.monotonic()
    ruleset = load(paths)
    results = [rule_tests.run(rule) for rule in ruleset.rules]
    results += [sequence_tests.run(each, ruleset) for each in ruleset.correlations]
    results += [Tested(each.file, each.file.stem, problem=str(each)) for each in ruleset.rejected]
    if junit_file:
        _write(junit_file, junit.report("wardwatch rules test", _suites(results), time.monotonic() - began_s))
    Console().print(_table(results))
    for tested in results:
        for line in _failures(tested):
            typer.echo(line)
    raise typer.Exit(0 if all(each.passed for each in results) else 1)


def _suites(results: Sequence[Tested]) -> list[tuple[str, list[Case]]]:
    """Return a suite for each rule, a case for each of its events."""
    return [(tested.title, _cases(tested)) for tested in results]


def _cases(tested: Tested) -> list[Case]:
    file = str(tested.file)
    cases = [
        Case(
            file, each.name, "" if each.passed else each.answer, details="" if each.passed else "\n".join(each.details)
        )
        for each in tested.outcomes
    ]
    return [*cases, *([Case(file, "tests", error=tested.problem)] if tested.problem else [])]


def _table(results: Sequence[Tested]) -> Table:
    table = Table("rule", "match", "no match", "result", box=None)
    for tested in results:
        counts = [str(sum(each.must_match is wanted for each in tested.outcomes)) for wanted in (True, False)]
        table.add_row(safe(tested.title), *counts, "[green]passed[/]" if tested.passed else "[red]failed[/]")
    return table


def _failures(tested: Tested) -> list[str]:
    """Return a failed rule's lines: its file, then each event that fails, with the condition's tree."""
    if tested.passed:
        return []
    lines = [f"\n{safe_text(str(tested.file))}", *([f"  {safe_text(tested.problem)}"] if tested.problem else [])]
    for outcome in tested.outcomes:
        if not outcome.passed:
            lines += [f"  {outcome.name}: {outcome.answer}", *(f"    {line}" for line in outcome.details)]
    return lines


def _write(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--junit") from None
