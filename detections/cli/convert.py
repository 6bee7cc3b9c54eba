"""``wardwatch rules convert``."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import orjson
import typer

from detections.cli.loaded import choose
from detections.converting import convert
from wardwatch.text import safe_text


def convert_rules(
    rules: Annotated[list[str], typer.Argument(metavar="RULE…", help="Files and folders, or ids and names in force.")],
    to: Annotated[Literal["lucene", "esql", "eql"], typer.Option(help="Language of the queries.")] = "lucene",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a rule and line.")] = False,
) -> None:
    """Print rules as queries of Elasticsearch over the archived events, for retro-hunts; exit 1 if one can't be.

    A rule that can't be loaded, or that the language can't express, is named on standard error with the reason, and the
    others go on. Filters on a rule are not in its query. Nothing is downloaded.

    [bold]Examples[/bold]

    wardwatch rules convert linux_ssh_root_login

    wardwatch rules convert my-rules/ --to esql > hunt.esql

    wardwatch rules convert my-rules/ --json | jq -r '.queries[]'
    """
    chosen = choose(rules)
    refused = len(chosen.rejected)
    for each in convert(chosen.rules, to):
        if each.refused:
            refused += 1
            typer.echo(
                f"{each.rule.file}: {safe_text(each.rule.title)}: {safe_text(each.refused, limit=500)}", err=True
            )
        if as_json:
            line = {"id": each.rule.id, "title": each.rule.title, "queries": each.queries, "refused": each.refused}
            sys.stdout.write(orjson.dumps(line).decode() + "\n")
        elif each.queries:
            typer.echo(safe_text("\n".join(each.queries)))
    if refused:
        typer.echo(f"{refused} rules have no query in {to}", err=True)
    raise typer.Exit(1 if refused else 0)
