"""``wardwatch rules`` and ``wardwatch detect``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detections import logsource, rule_tests
from detections.matcher import rule_paths
from detections.sigma import Match, Rejected, Rule, Ruleset
from wardwatch import settings
from wardwatch.errors import DecodeError, NotFound, RuleError
from wardwatch.event import Event, decode
from wardwatch.text import safe_text

rules = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Look at Sigma rules, check them and run the tests beside them."
)

Paths = Annotated[list[Path] | None, typer.Argument(help="Rule files or folders; default: the rules in force.")]


def _load(paths: list[Path] | None) -> Ruleset:
    return Ruleset.load(paths or rule_paths(settings.load().matcher))


def _safe(text: object, limit: int = 200) -> str:
    return escape(safe_text(str(text), limit=limit))


@rules.command("list")
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
    ruleset = _load(paths)
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
        table.add_row(*(_safe(row[name]) for name in shown))
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


@rules.command()
def check(paths: Annotated[list[Path], typer.Argument(help="Rule files or folders.")]) -> None:
    """Check that every rule can be loaded; exit 1 and one line per problem if not.

    \b
    wardwatch rules check my-rules/
    my-rules/ssh.yml:14: Unknown modifier 'containz'
    """
    ruleset = Ruleset.load(paths)
    for each in ruleset.rejected:
        typer.echo(safe_text(str(each), limit=1000), err=True)
    typer.echo(f"{len(ruleset.rules)} loaded, {len(ruleset.rejected)} rejected")
    raise typer.Exit(1 if ruleset.rejected else 0)


@rules.command("test")
def run_tests(paths: Paths = None) -> None:
    """Run the match and no-match events in the file <rule>.test.yml beside each rule; exit 1 if one fails.

    \b
    wardwatch rules test                        the rules in force
    wardwatch rules test my-rules/ssh.yml
    """
    ruleset = _load(paths)
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
        table.add_row(_safe(rule.title), "", "", f"[red]{_safe(error)}[/red]")
        return False
    counts = [str(sum(each.must_match is wanted for each in outcomes)) for wanted in (True, False)]
    failed = [each for each in outcomes if each.failure]
    said = "; ".join(f"{'match' if each.must_match else 'no_match'} {each.number} {each.failure}" for each in failed)
    good = bool(outcomes) and not failed
    said = "passed" if good else said or "no events"
    table.add_row(_safe(rule.title), *counts, f"[{'green' if good else 'red'}]{_safe(said, 500)}[/]")
    return good


@rules.command()
def show(rule_id: Annotated[str, typer.Argument(metavar="ID", help="The rule's id.")], paths: Paths = None) -> None:
    """Print a rule as it is written.

    \b
    wardwatch rules show 7f1e5b1c-8d7e-4c6a-9f0e-2b6b1d0a9c11
    """
    for rule in _load(paths).rules:
        if rule.id == rule_id:
            typer.echo(f"# {rule.file}:{rule.line} version {rule.version}")
            typer.echo(safe_text(rule.file.read_text("utf-8")))
            return
    raise NotFound(f"no rule {rule_id[:80]!r}", step="rules show", remedy="wardwatch rules list")


def detect(
    file: Annotated[
        Path, typer.Argument(help="Events as NDJSON, one flat ECS document a line; - reads standard input.")
    ],
    rule_files: Annotated[
        list[Path] | None, typer.Option("--rules", help="Rule files or folders; default: the rules in force.")
    ] = None,
) -> None:
    """Print which rules match which events: one JSON object a match, with the fields that matched.

    \b
    wardwatch parse --source linux auth.log | wardwatch detect -
    wardwatch detect --rules my-rules/ events.ndjson | jq .title
    """
    ruleset = _load(rule_files)
    for each in ruleset.rejected:
        typer.echo(safe_text(str(each), limit=1000), err=True)
    failed = 0
    with sys.stdin.buffer if str(file) == "-" else file.open("rb") as lines:
        for number, found in _events(lines):
            if isinstance(found, DecodeError):
                failed += 1
                typer.echo(f"{file}: line {number}: {safe_text(found.reason, limit=300)}", err=True)
                continue
            for match in ruleset.match(found):
                sys.stdout.write(_line(match, found) + "\n")
    raise typer.Exit(1 if failed or ruleset.rejected else 0)


def _events(lines: BinaryIO) -> Iterator[tuple[int, Event | DecodeError]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                doc = decode(line)
                yield number, Event(doc, "local", "", logsource.of_document(doc))
            except DecodeError as error:
                yield number, error


def _line(match: Match, event: Event) -> str:
    found = {
        "rule": match.rule.id,
        "title": match.rule.title,
        "level": match.rule.severity.value,
        "event": event.doc.get("event.id"),
        "@timestamp": event.doc.get("@timestamp"),
        "matched": match.matched,
    }
    return orjson.dumps(found).decode()
