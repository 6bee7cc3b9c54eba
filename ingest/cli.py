"""``wardwatch parse``: what the collector would send of a file, without sending it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO
from zoneinfo import ZoneInfo

import typer

from ingest.listeners.file import MAX_WHOLE_BYTES
from ingest.parsers import PARSERS, Parser, Record, Site
from ingest.parsers import parser as parser_of
from ingest.parsers.evtx_file import MAGIC
from ingest.scrub import Tokens, scrub
from ingest.vault import HmacTokens, load_key
from wardwatch.errors import RecordError
from wardwatch.event import encode, event_id
from wardwatch.text import safe_text

BLOCK_BYTES = 4 * 2**20
_TENANT = "local"


@dataclass(frozen=True, slots=True)
class _Reader:
    """Everything that turns records of one source into the lines that are printed."""

    parser: Parser
    site: Site
    tokens: Tokens

    def events(self, record: Record) -> Iterator[bytes]:
        """Yield the scrubbed events of a record as JSON; raises RecordError."""
        for number, parsed in enumerate(self.parser.parse(record, self.site)):
            clean = scrub(parsed.doc, self.parser.policy, self.tokens)
            clean["event.id"] = event_id(_TENANT, self.parser.name, record.position or record.data, str(number))
            yield encode(clean)


def parse(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…|-", help="Files to read; - is standard input.")],
    source: Annotated[str, typer.Option(help=f"What wrote the records: {', '.join(PARSERS)}.")],
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
    """
    reader = _Reader(_parser(source), Site(_zone(zone), _charset(charset)), _tokens(tokens_key))
    try:
        failures = sum(_print(reader, path) for path in files)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if failures:
        raise typer.Exit(1)


def _print(reader: _Reader, path: Path) -> int:
    """Print one file's events; return how many of its records failed."""
    name = "stdin" if str(path) == "-" else str(path)
    failures = number = 0
    with _opened(path) as file:
        for start, block in _blocks(file, reader.parser):
            for found, raw in _located(reader.parser.split(block), block):
                number += 1
                at = None if found is None else start + found
                try:
                    for line in reader.events(Record(raw, position=f"{name}#{number}@{at or 0}")):
                        sys.stdout.buffer.write(line + b"\n")
                except RecordError as error:
                    failures += 1
                    where = "byte offset unknown" if at is None else f"byte offset {at}"
                    typer.echo(safe_text(f"{name}: record {number} ({where}): {error.reason}"), err=True)
    return failures


def _located(records: Iterator[bytes], block: bytes) -> Iterator[tuple[int | None, bytes]]:
    """Yield each record with its place in the block; None for those of EVTX, which are not in it as they are read."""
    offset = found = 0
    for raw in records:
        found = block.find(raw, offset) if found >= 0 else found
        yield (found if found >= 0 else None), raw
        offset = found + len(raw)


def _blocks(file: BinaryIO, source: Parser) -> Iterator[tuple[int, bytes]]:
    """Yield a file in parts that end with a record, each with its offset; raises BadParameter for one too large.

    Where records are lines or JSON objects a part is about BLOCK_BYTES long; other files come whole.
    """
    start, block = 0, file.read(BLOCK_BYTES)
    if source.whole or block.startswith(MAGIC):
        block += file.read(MAX_WHOLE_BYTES)
        if len(block) > MAX_WHOLE_BYTES:
            raise typer.BadParameter(f"more than {MAX_WHOLE_BYTES} bytes in a file of {source.name}", param_hint="FILE")
        yield 0, block
        return
    border = b"\n{" if block.lstrip(b"\xef\xbb\xbf \t\r\n[")[:1] == b"{" else b"\n"
    while more := file.read(BLOCK_BYTES):
        end = block.rfind(border) + 1 or (len(block) if len(block) > MAX_WHOLE_BYTES else 0)
        if end:
            yield start, block[:end]
        start, block = start + end, block[end:] + more
    yield start, block


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="FILE") from None


def _parser(source: str) -> Parser:
    try:
        return parser_of(source)
    except KeyError:
        raise typer.BadParameter(f"{source!r} is none of {', '.join(PARSERS)}", param_hint="--source") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise typer.BadParameter(f"{name!r} is no time zone, such as Asia/Shanghai", param_hint="--zone") from None


def _charset(name: str) -> str:
    try:
        " ".encode(name)  # not b"".decode: nothing to decode needs no codec
    except (LookupError, ValueError):
        raise typer.BadParameter(f"{name!r} is no character set, such as gb18030", param_hint="--charset") from None
    return name


def _tokens(key: Path | None) -> Tokens:
    return HmacTokens(load_key(key) if key else secrets.token_bytes(32))
