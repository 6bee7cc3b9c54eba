"""``wardwatch detect``."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer

from detections import opening
from detections.cli.loaded import load
from detections.cli.scan_report import ScanReport
from detections.opening import STDIN, Opened
from detections.scanning import Found, Hospital, Raised, Scan
from detections.sigma import Ruleset
from enrich.context import Context
from enrich.lookups.inventory import read_rows
from wardwatch.alert import Severity
from wardwatch.cli import options
from wardwatch.errors import RecordError
from wardwatch.sources import Reader, reader
from wardwatch.text import safe_json

_LEVELS = list(Severity)
_PROGRESS_EVERY = 500  # records


def detect(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…|-", help="Files or folders; - is standard input.")],
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", help="Rule files or folders; default: the rules in force.")
    ] = None,
    source: Annotated[str, typer.Option(help="What wrote the files; default: told by their first bytes.")] = "",
    level: Annotated[Severity, typer.Option(help="Only rules of this level and above.")] = Severity.INFORMATIONAL,
    zone: Annotated[str, typer.Option(help="The hospital's time zone.")] = "Asia/Shanghai",
    charset: Annotated[str, typer.Option(help="Character set where the records do not say.")] = "utf-8",
    assets: Annotated[Path | None, typer.Option(help="Inventory (CSV), for rules that ask for machines.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the matches here; default: standard output.")] = None,
) -> None:
    """Scan files with Sigma rules, without any server: one JSON object a match.

    Reads EVTX, Windows events as JSON, ECS documents and every source of [bold]wardwatch parse[/bold], also in gzip.
    Events are scrubbed as those that leave a hospital; the number of the record leads to the original. A match has
    file, record, rule_id, rule_title, level, event_id, @timestamp and matched. Correlations come last, one object an
    alert, with the record of the latest event that it counts.

    Exit code: 0 ran; 1 ran, but some records can't be read (each is named); 2 could not run.

    \b
    Examples:
      wardwatch detect --rules sigma/rules/windows Security.evtx
      wardwatch detect --rules my-rules --level high evidence/ > matches.ndjson
      wardwatch detect --source mysql_audit --zone Asia/Urumqi server_audit.log.gz
      cat adt.hl7 | wardwatch detect --charset gb18030 - | jq -r '[.record, .rule_title] | @tsv'
    """
    names = reader().SOURCES
    if source and source not in names:
        raise typer.BadParameter(f"{source!r} is none of {', '.join(names)}", param_hint="--source")
    for path in files:
        if path != STDIN and not path.exists():
            raise typer.BadParameter(f"{path}: no such file", param_hint="FILE")
    report = ScanReport()
    hospital = Hospital(zone, read_rows(assets) if assets else {})
    at_least = frozenset(_LEVELS[_LEVELS.index(level) :])
    scan = Scan(_loaded(rules, report), Context(hospital), options.time_zone(zone), at_least)
    run = _Run(scan, report, reader(), source, options.charset(charset), frozenset(files))
    walked = opening.walked(files)
    if not walked:
        raise typer.BadParameter(f"no file in {', '.join(map(str, files))}", param_hint="FILE")
    try:
        run.files(walked, output)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    report.summary(scan)
    raise typer.Exit(2 if not report.files else 1 if scan.refused or report.unread else 0)


def _loaded(paths: list[Path] | None, report: ScanReport) -> Ruleset:
    ruleset = load(paths)
    for each in ruleset.rejected:
        report.say(str(each))
    if not ruleset.rules:
        raise typer.BadParameter("no rule is loaded", param_hint="--rules")
    return ruleset


@dataclass
class _Run:
    """The files of one call, one after the other."""

    scan: Scan
    report: ScanReport
    reader: Reader
    source: str
    charset: str
    named: frozenset[Path]

    def files(self, files: list[Path], output: Path | None) -> None:
        quiet = output is None and sys.stdout.isatty()  # matches scroll by: a bar would be in their way
        with _written(output) as lines, self.report.progress(opening.size_bytes(files), quiet=quiet):
            for path in files:
                self._file(path, lines)
            for raised in self.scan.correlated():
                lines.write(_line(raised))
            lines.flush()

    def _file(self, path: Path, lines: BinaryIO) -> None:
        name = "stdin" if path == STDIN else str(path)
        before = self.scan.records
        try:
            with opening.opened(path) as opened:
                self._opened(opened, name, lines, named=path in self.named)
            self.report.read_whole(opened.size_bytes)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.report.not_read(name, error.strerror or str(error))
        except RecordError as error:
            read = self.scan.records - before
            self.report.not_read(name, f"after record {read}: {error.reason}" if read else error.reason)

    def _opened(self, opened: Opened, name: str, lines: BinaryIO, *, named: bool) -> None:
        if not opened.head:
            self.report.empty(name)
            return
        source, why = (self.source, "") if self.source else self.reader.recognise(opened.head)
        if not source:
            self.report.not_recognised(name, why, self.reader.SOURCES, named=named)
            return
        self.report.chosen(name, source, why)
        for record in self.reader.read(opened.stream, source, name=name, zone=self.scan.zone, charset=self.charset):
            for found in self.scan.record(name, record):
                if isinstance(found, Found):
                    lines.write(_line(found))
                else:
                    self.report.say(f"{name}: record {found.record}: {found.reason}")
            if record.number % _PROGRESS_EVERY == 0:
                self.report.read_to(opened.position())


def _line(found: Found | Raised) -> bytes:
    return safe_json(orjson.dumps(found.row()).decode()).encode() + b"\n"


def _written(output: Path | None) -> AbstractContextManager[BinaryIO]:
    if output is None:
        return nullcontext(sys.stdout.buffer)
    try:
        return output.open("wb")
    except OSError as error:
        raise typer.BadParameter(f"{output}: {error.strerror}", param_hint="--output") from None
