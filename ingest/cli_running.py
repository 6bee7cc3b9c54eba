"""``wardwatch collector tap`` and ``replay``: what is asked of the running collector by its local socket."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from ingest import parsers
from ingest.collector import site_folder
from ingest.local import Running, connect
from ingest.parsers import Parser
from ingest.remote.rollout import in_force
from ingest.replay import parts
from ingest.tap import Seen
from ingest.tap_view import drawn
from wardwatch.errors import SettingsError, Unavailable, WardwatchError
from wardwatch.settings import Settings, load
from wardwatch.text import safe_json, safe_text

_Config = Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)]


def tap(
    source: Annotated[str, typer.Argument(metavar="NAME", help="A source of the running collector.")],
    count: Annotated[int, typer.Option(help="End after so many records; 0: at Ctrl-C.", min=0)] = 0,
    raw: Annotated[bool, typer.Option(help="Show records as they arrived, too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print for machines, one record per line.")] = False,
    config: _Config = None,
) -> None:
    """Show each record of a source as it arrives, and what leaves the hospital of it: fields, tokens, dead letters.

    Run it as the collector's user on its machine: raw records go from process to process and nowhere else. Each use is
    an audit event, since you may see who the records are about. What comes faster than it can be shown is left out.

    [bold]Examples[/bold]

    wardwatch collector tap hl7v2 --config collector.toml

    wardwatch collector tap windows --count 10 --no-raw

    wardwatch collector tap linux --json | jq .outcomes[].event
    """
    console = Console(highlight=False, markup=False)
    with connect(site_folder(load(config))) as running, suppress(KeyboardInterrupt):
        shown = 0
        for seen in islice(running.tap(source, raw=raw), count or None):
            shown += 1
            if as_json:
                typer.echo(_json(seen))
            else:
                console.print(drawn(seen))
        if not count or shown < count:
            raise Unavailable("the collector has ended", step="tap")


def _json(seen: Seen) -> str:
    row = msgspec.to_builtins(seen)
    if seen.raw is not None:
        row["raw"] = seen.raw.decode(seen.charset, "backslashreplace")
    return safe_json(msgspec.json.encode(row).decode())


def replay(
    file: Annotated[Path, typer.Argument(help="Raw records as the source writes them.")],
    source: Annotated[str, typer.Option(help="What wrote them; a source of the site keeps its zone and charset.")],
    start: Annotated[
        int, typer.Option("--from", help="Go on at this byte, or record where records are no lines.", min=0)
    ] = 0,
    name: Annotated[str, typer.Option(help="Name under which the file was tailed, if it was.")] = "",
    config: _Config = None,
) -> None:
    """Send a stored file through the running collector, as if its source had sent it; the last line counts, too.

    Repeating it is harmless: its events have the ids they had. Records from the quarantine are read again by
    wardwatch deadletter replay. The exit code is 1 when a record could not be read.

    [bold]Examples[/bold]

    wardwatch collector replay /mnt/old/adt-2026-03.hl7 --source hl7v2

    wardwatch collector replay /var/log/auth.log.1 --source linux --name auth.log

    wardwatch collector replay big.ndjson --source windows --from 1073741824
    """
    settings = load(config)
    found = _parser(source, settings)
    done: Counter[str] = Counter()
    with connect(site_folder(settings)) as running:
        _send(running, file, (source, found), start, name, done)
    told = f"{done['forwarded']} became events, {done['filtered']} filtered, {done['dead_lettered']} dead-lettered"
    typer.echo(f"{done.total()} record{'s' * (done.total() != 1)}: {told}")
    if done["dead_lettered"]:
        raise typer.Exit(1)


def _send(running: Running, file: Path, source: tuple[str, Parser], start: int, name: str, done: Counter[str]) -> None:
    """Send the file's parts; what ends it early says where to go on."""
    label, reader = source
    place = start
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(safe_text(file.name), total=file.stat().st_size if file.exists() else None)
        try:
            for part in parts(file, reader, start, name):
                done.update(running.replay(label, part.records))
                place = part.end
                progress.advance(task, sum(len(record.data) for record in part.records))
        except (KeyboardInterrupt, WardwatchError) as error:
            if place:
                typer.echo(f"{done.total()} records are taken; go on with --from {place}", err=True)
            if isinstance(error, KeyboardInterrupt):
                raise typer.Exit(130) from None
            raise


def _parser(name: str, settings: Settings) -> Parser:
    """Return the parser of a source of the site, by its own name or its parser's, or any parser."""
    for source in in_force(settings.collector, site_folder(settings)).sources:
        with suppress(KeyError):
            found = parsers.parser(source.parser)
            if name in (source.name, found.name):
                return found
    if name in parsers.PARSERS:
        return parsers.parser(name)
    raise SettingsError(f"{name!r} is no source", step="replay", remedy="wardwatch collector sources lists them")
