"""``wardwatch deadletter``: list, show and replay the records that a stage could not process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ingest.collector import site_folder
from ingest.local import connect
from ingest.quarantine import PREFIX, Quarantine
from wardwatch import topics
from wardwatch.bus import Bus, Producer, open_bus
from wardwatch.errors import DecodeError, NotFound, ParseError, RecordError
from wardwatch.event import decode
from wardwatch.settings import Settings, load
from wardwatch.text import safe_text

Letter = dict[str, Any]

_HELP = """Look at the records that could not be processed; replay them.

[bold]Examples[/bold]

wardwatch deadletter list --tenant renai

wardwatch deadletter replay --all --tenant renai
"""

deadletter = typer.Typer(rich_markup_mode="rich", no_args_is_help=True, help=_HELP)
_Tenant = Annotated[str, typer.Option(help="Only this tenant.", show_default=False)]
_Config = Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Print for machines, one letter per line.")]


@deadletter.command("list")
def list_letters(
    tenant: _Tenant = "",
    source: Annotated[str, typer.Option(help="Only this source.", show_default=False)] = "",
    as_json: _Json = False,
    config: _Config = None,
) -> None:
    """List dead letters, oldest first; one that was refused again stands once, with the last reason.

    [bold]Examples[/bold]

    wardwatch deadletter list --tenant renai --source hl7v2

    wardwatch deadletter list --json | jq .reason
    """
    settings = load(config)
    bus = open_bus(settings.bus_url, settings.bus_access)
    found = newest(letter for letter in letters(bus, tenant) if source in ("", letter.get("source")))
    bus.close()
    if as_json:
        for letter in found:
            typer.echo(json.dumps(letter))
        return
    table = Table("id", "at", "tenant", "source", "position", "step", "reason")
    for letter in found:
        names = ("id", "@timestamp", "tenant", "source", "position", "step", "reason")
        table.add_row(*(safe_text(str(letter.get(name, ""))) for name in names))
    Console().print(table)


@deadletter.command()
def show(identifier: Annotated[str, typer.Argument(metavar="ID")], config: _Config = None) -> None:
    """Print one dead letter.

    [bold]Example[/bold]

    wardwatch deadletter show 5c0ffee0b1d5a1e5c0ffee0b1d5a1e00
    """
    settings = load(config)
    bus = open_bus(settings.bus_url, settings.bus_access)
    found = [letter for letter in letters(bus) if letter.get("id") == identifier]
    bus.close()
    if not found:
        raise NotFound(f"no dead letter {identifier}", step="deadletter")
    typer.echo(json.dumps(found[-1], indent=2))


@deadletter.command()
def replay(
    identifiers: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every letter there is.")] = False,
    tenant: _Tenant = "",
    config: _Config = None,
) -> None:
    """Process dead letters again: on the collector's host from its quarantine, elsewhere by their scrubbed record.

    A record of the quarantine goes through the running collector, by its parser of now.

    An event that had arrived before keeps its id, so nothing is alerted twice. Exit 1 when a letter is refused again.

    [bold]Examples[/bold]

    wardwatch deadletter replay 5c0ffee0b1d5a1e5c0ffee0b1d5a1e00

    wardwatch deadletter replay --all --tenant renai
    """
    settings = load(config)
    bus = open_bus(settings.bus_url, settings.bus_access)
    wanted = set(identifiers or [])
    chosen = [letter for letter in letters(bus, tenant) if every or letter["id"] in wanted]
    producer = bus.producer()
    unknown = wanted - {letter["id"] for letter in chosen}
    failed = len(unknown)
    for missing in sorted(unknown):
        typer.echo(f"{safe_text(missing)}: no such dead letter")
    for letter in newest(chosen):
        identifier = letter["id"]
        try:
            typer.echo(f"{identifier}: {_again(settings, producer, letter)}")
        except (RecordError, NotFound) as error:
            failed += 1
            typer.echo(f"{identifier}: refused again: {safe_text(str(error))}")
    producer.flush()
    producer.close()
    bus.close()
    if failed:
        raise typer.Exit(1)


def letters(bus: Bus, tenant: str = "") -> Iterator[Letter]:
    """Yield the dead letters that are there now, of one or all tenants; one that is no JSON is left out."""
    names = [name for name in bus.topics() if name.startswith(topics.DEADLETTER_PREFIX)]
    if tenant:
        names = [name for name in names if name == topics.deadletter(tenant).name]
    ends = {(name, partition): end for name in names for partition, end in bus.end_offsets(name).items() if end}
    if not ends:
        return
    with bus.reader(names) as reader:
        while ends and (records := reader.poll(timeout_s=5.0)):
            for record in records:
                if record.offset + 1 >= ends.get((record.topic, record.partition), 0):
                    ends.pop((record.topic, record.partition), None)
                try:
                    letter = decode(record.value or b"")
                except DecodeError:
                    continue
                if isinstance(letter.get("id"), str):
                    yield letter | {"tenant": topics.tenant_of(record.topic)}


def newest(found: Iterable[Letter]) -> list[Letter]:
    """Return the last letter about each record: one of the quarantine may have been refused again, elsewhere."""
    last: dict[str, Letter] = {}
    for letter in found:
        position = str(letter.get("position", ""))
        last[position if position.startswith(PREFIX) else letter["id"]] = letter
    return list(last.values())


def _again(settings: Settings, producer: Producer, letter: Letter) -> str:
    """Send one letter's record on its way again and return what was done."""
    if letter.get("payload") is not None:
        headers = {str(name): str(value) for name, value in (letter.get("headers") or {}).items()}
        producer.send(letter["topic"], letter["payload"].encode("latin-1"), key=headers.get("id"), headers=headers)
        return f"sent to {letter['topic']}"
    if not str(letter.get("position", "")).startswith(PREFIX):
        raise NotFound("the letter carries no record", step="deadletter")
    return _from_quarantine(settings, letter)


def _from_quarantine(settings: Settings, letter: Letter) -> str:
    if letter["tenant"] != settings.collector.tenant:
        raise NotFound(
            "its record is in the hospital's quarantine", step="deadletter", remedy="replay on the collector's host"
        )
    folder = site_folder(settings)
    quarantine = Quarantine(folder / "quarantine.sqlite")
    try:
        held = quarantine.get(letter["position"])
    finally:
        quarantine.close()
    with connect(folder) as running:
        (kind,) = running.replay(held.source, [held.record])
    if kind == "dead_lettered":
        raise ParseError("wardwatch deadletter list has the reason", step="collector")
    return f"read again: {kind}"
