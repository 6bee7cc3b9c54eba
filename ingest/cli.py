"""``wardwatch parse``: what the collector would send of a file, without sending it."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO
from zoneinfo import ZoneInfo

import typer

from ingest.parsers import MAPPED, PARSERS
from ingest.reading import read
from ingest.scrub import Tokens
from ingest.vault import HmacTokens, load_key
from wardwatch.cli import options
from wardwatch.errors import RecordError
from wardwatch.event import encode
from wardwatch.sources import ReadRecord
from wardwatch.text import safe_text


@dataclass(frozen=True, slots=True)
class _How:
    """How the files of one call are read."""

    source: str
    zone: ZoneInfo
    charset: str
    tokens: Tokens


def parse(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…|-", help="Files to read; - is standard input.")],
    source: Annotated[str, typer.Option(help=f"What wrote the records: mapped:FILE.toml or {', '.join(PARSERS)}.")],
    zone: Annotated[str, typer.Option(help="Time zone of times without one.")] = "Asia/Shanghai",
    charset: Annotated[str, typer.Option(help="Character set where the records do not say.")] = "utf-8",
    tokens_key: Annotated[
        Path | None, typer.Option(help="Key file of the tokens; without it they change with each run.")
    ] = None,
) -> None:
    """Print the scrubbed ECS events of log files as NDJSON, as the collector would send them.

    Each record that can't be read is named on standard error, and the exit code is then 1.

    \b
    Examples:
      wardwatch parse --source windows Security.evtx
      wardwatch parse --source mysql_audit /var/log/mysql/server_audit.log | head
      zcat adt.hl7.gz | wardwatch parse --source hl7v2 --charset gb18030 -
      wardwatch parse --source huawei_usg --zone Asia/Urumqi firewall.log > events.ndjson
      wardwatch parse --source mapped:our-his.toml operations.ndjson
    """
    how = _How(_known(source), options.time_zone(zone), options.charset(charset), _tokens(tokens_key))
    try:
        failures = sum(_print(path, how) for path in files)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if failures:
        raise typer.Exit(1)


def _print(path: Path, how: _How) -> int:
    """Print one file's events; return how many of its records failed."""
    name = "stdin" if str(path) == "-" else str(path)
    failures = 0
    with _opened(path) as file:
        found = read(file, how.source, name=name, zone=how.zone, charset=how.charset, tokens=how.tokens)
        try:
            failures = sum(_print_record(record, name) for record in found)
        except RecordError as error:
            raise typer.BadParameter(f"{path}: {error.reason}", param_hint="FILE") from None
    return failures


def _print_record(record: ReadRecord, name: str) -> bool:
    """Print a record's events or name what is wrong with it; return whether it failed."""
    problem = record.problem
    try:
        for event in record.events:
            sys.stdout.buffer.write(encode(event.doc) + b"\n")
    except RecordError as error:
        problem = error.reason
    if problem:
        where = "byte offset unknown" if record.offset is None else f"byte offset {record.offset}"
        typer.echo(safe_text(f"{name}: record {record.number} ({where}): {problem}"), err=True)
    return bool(problem)


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="FILE") from None


def _known(source: str) -> str:
    if source not in PARSERS and not source.startswith(MAPPED):
        raise typer.BadParameter(f"{source!r} is none of {', '.join(PARSERS)}", param_hint="--source")
    return source


def _tokens(key: Path | None) -> Tokens:
    return HmacTokens(load_key(key) if key else secrets.token_bytes(32))
