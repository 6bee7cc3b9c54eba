"""``wardwatch detect``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer

from detections import logsource
from detections.cli.loaded import load
from detections.sigma import Match
from wardwatch.errors import DecodeError
from wardwatch.event import Event, decode
from wardwatch.text import safe_text


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
    ruleset = load(rule_files)
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
