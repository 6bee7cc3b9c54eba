"""``wardwatch collector``: a service team's afternoon at a hospital."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

import wardwatch
from ingest.catalogue import transports
from ingest.checks import Finding
from ingest.checks import check as check_site
from ingest.cli_running import replay, tap
from ingest.collector import site_folder
from ingest.health_page import Configuration, SourceState, address, read_health
from ingest.identity import enrol as enrol_collector
from ingest.parsers import PARSERS, parser
from ingest.site_file import Files, Site, source_from, write
from ingest.upgrades import FORMAT, between, read_state
from wardwatch.cli import options
from wardwatch.errors import SettingsError, Unavailable
from wardwatch.settings import SourceSettings, load
from wardwatch.text import safe_json, safe_text
from wardwatch.topics import check_tenant

_WIDE = 160  # columns
_DATA_DIR = Path("/var/lib/wardwatch")
OWN = "reveal"
"""The collector's own source, which nobody configures."""

_HELP = """Set up a site's collector and look at it, on its own machine.

[bold]Examples[/bold]

wardwatch collector init collector.toml             a settings file, by questions

wardwatch collector sources                         what can be read, and how it arrives

wardwatch collector check --config collector.toml   what works, what does not, and the remedy

wardwatch collector status --config collector.toml  what each source has sent, and what became of it

wardwatch collector tap hl7v2 --config collector.toml   each record as it arrives, and what leaves of it
"""

collector = typer.Typer(rich_markup_mode="rich", no_args_is_help=True, help=_HELP)
collector.command()(tap)
collector.command()(replay)
_Config = Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)]
_Instance = Annotated[int, typer.Option(help="Number of the collector's instance.", min=0)]
_Json = Annotated[bool, typer.Option("--json", help="Print for machines.")]


@collector.command()
def init(
    file: Annotated[Path, typer.Argument(help="Settings file to write; it must be new.")],
    tenant: Annotated[
        str, typer.Option(help="Slug of the hospital, agreed with the provider.", show_default=False)
    ] = "",
    source: Annotated[
        list[str] | None, typer.Option(help="PARSER=TRANSPORT://PLACE; may be given again.", show_default=False)
    ] = None,
    bus: Annotated[str, typer.Option(help="kafka://host:port of the provider; else the embedded bus.")] = "",
    zone: Annotated[str, typer.Option(help="Time zone of the hospital.")] = "Asia/Shanghai",
    data_dir: Annotated[Path, typer.Option(help="Folder for spool, vault and positions.")] = _DATA_DIR,
    certificate: Annotated[Path | None, typer.Option(help="PEM chain of TLS sources.", show_default=False)] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM private key of TLS sources, or of an SSH user.", show_default=False)
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password of the users in URLs.", show_default=False)
    ] = None,
    known_hosts: Annotated[
        Path | None, typer.Option(help="File with the keys of SSH servers.", show_default=False)
    ] = None,
) -> None:
    """Write a site's settings, each with its meaning; what is not given by --tenant and --source is asked for.

    An HTTP source gets a random token, so the file is readable for its owner only.

    \b
    Examples:
      wardwatch collector init collector.toml
      wardwatch collector init collector.toml --tenant renai --bus kafka://kafka.provider.example:9092 \\
        --source hl7v2=mllp://0.0.0.0:2575 --source windows=http://0.0.0.0:8088/windows \\
        --source 'mysql_audit=file:///var/log/mysql/server_audit*.log'
      wardwatch collector init pacs.toml --tenant renai --source dicom_audit=tls://0.0.0.0:6514 \\
        --source hl7v2=mllps://0.0.0.0:2575 --source windows=https://0.0.0.0:8443/windows \\
        --certificate /etc/wardwatch/collector.pem --key /etc/wardwatch/collector.key
      wardwatch collector init his.toml --tenant renai --password-file /etc/wardwatch/his.password \\
        --source oracle_unified=oracle://soc@his-db:1521/HIS --source windows=kafka://kafka-1:9092/winlog
      wardwatch collector init files.toml --tenant renai --key /etc/wardwatch/ssh --known-hosts /etc/wardwatch/hosts \\
        --source 'mysql_audit=sftp://soc@his-db/var/log/mysql/*.log' --source 'iot_telemetry=mqtt://iot-gw/ward/#'
    """
    if not tenant:
        tenant = typer.prompt("Slug of the hospital (a-z, 0-9, _)")
        zone = typer.prompt("Time zone", default=zone)
        bus = typer.prompt("Bus of the provider, such as kafka://host:9092; empty: embedded", default=bus)
    files = Files(certificate, key, password_file, known_hosts)
    found = [source_from(text, files) for text in source or []] or _ask_sources(files)
    write(file, Site(check_tenant(tenant), options.time_zone(zone).key, bus, data_dir, found))
    typer.echo(f"{file} is written; next: wardwatch collector check --config {file}")


def _ask_sources(files: Files) -> list[SourceSettings]:
    """Ask for one source or more until an empty answer; one that is wrong is asked for again."""
    found: list[SourceSettings] = []
    while (
        text := typer.prompt("Source, as PARSER=TRANSPORT://PLACE; empty when all are named", default="")
    ) or not found:
        try:
            found.append(source_from(text, files))
        except SettingsError as error:
            typer.echo(safe_text(str(error)), err=True)
    return found


@collector.command()
def enrol(
    relay: Annotated[str, typer.Argument(metavar="URL", help="https://host:port of the provider's relay.")],
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="As the provider gave it; it works once.")],
    config: _Config = None,
    proxy: Annotated[str, typer.Option(help="http://host:port of an HTTP proxy on the way.")] = "",
) -> None:
    """Get this collector's certificate from the provider: the key is made here and stays here.

    Run it as the collector's user. The certificate is renewed by the running collector.

    [bold]Example[/bold]: wardwatch collector enrol https://relay.provider.example:8443 TOKEN --config collector.toml
    """
    folder = load(config).data_dir.absolute() / "identity"
    tenant = enrol_collector(relay, token, folder, proxy)
    identity = folder / "identity.pem"
    typer.echo(f"# this is {tenant}'s collector; put this into its settings:\n")
    typer.echo(f'bus = "{relay}"\n\n[bus_access]\nauthorities = "{folder / "authorities.pem"}"')
    typer.echo(f'certificate = "{identity}"\nkey = "{identity}"' + (f'\nproxy = "{proxy}"' if proxy else ""))


@collector.command()
def sources(as_json: _Json = False) -> None:
    """List the sources that can be read: name, product, format, and the transports that carry it.

    A system that is not here is read by a mapping of your own, mapped:FILE.toml; docs/reference/mappings.md tells how.

    [bold]Examples[/bold]

    wardwatch collector sources

    wardwatch collector sources --json | jq -r '.[] | select(.transports | index("http")).name'
    """
    found = [each for each in map(parser, PARSERS) if each.name != OWN]
    if as_json:
        rows = [
            {"name": each.name, "title": each.title, "reads": each.reads, "transports": transports(each)}
            for each in found
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    table = Table("source", "product", "reads", "transports")
    for each in found:
        table.add_row(each.name, each.title, each.reads, " ".join(transports(each)))
    _print(table)


@collector.command()
def check(
    config: _Config = None,
    instance: _Instance = 0,
    samples: Annotated[bool, typer.Option(help="Print the last scrubbed event of each source, too.")] = False,
    as_json: _Json = False,
) -> None:
    """Check ports, certificates, bus, topics, disk, rights, clock, and what each source has sent.

    Works before the collector is started and while it runs; run it as the collector's user. The exit code is 0 when
    nothing fails (there may be warnings), 1 when something does, 2 when the settings can't be read.

    [bold]Examples[/bold]

    wardwatch collector check --config collector.toml

    sudo -u wardwatch wardwatch collector check --config /etc/wardwatch/collector.toml --samples
    """
    found = list(check_site(load(config), instance))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=2))
    else:
        _print_findings(found)
        for finding in found if samples else ():
            if finding.sample is not None:
                typer.echo(f"\n{finding.part}\n{safe_json(json.dumps(finding.sample, ensure_ascii=False, indent=2))}")
    if any(finding.state == "FAILS" for finding in found):
        raise typer.Exit(1)


def _print_findings(found: list[Finding]) -> None:
    table = Table("part", "state", "what was found", "remedy")
    for each in found:
        table.add_row(*map(safe_text, (each.part, each.state, each.message, each.remedy)))
    _print(table)


@collector.command()
def status(config: _Config = None, instance: _Instance = 0, as_json: _Json = False) -> None:
    """Show each source of the running collector: what it sent and what became of it; exit 1 when a part fails.

    Received = forwarded + filtered + dead-lettered + waiting, counted since the spool began. Parsed is the share of
    records that became events, filtered ones left out; waiting is what the bus does not have yet.

    [bold]Examples[/bold]

    wardwatch collector status --config collector.toml

    wardwatch collector status --json | jq .sources.hl7v2.waiting
    """
    settings = load(config)
    health = read_health(settings, instance)
    if health is None:
        remedy = "wardwatch run collector, or see its log"
        raise Unavailable(f"no collector answers at {address(settings, instance)}", step="status", remedy=remedy)
    failing = {name: str(part["message"]) for name, part in health.parts.items() if not part["ok"]}
    found = health.sources()
    if as_json:
        rows = {name: {**msgspec.to_builtins(state), **_derived(state)} for name, state in found.items()}
        shown = {"started": health.started, "failing": failing, "sources": rows}
        configuration = health.configuration()
        more = {"configuration": msgspec.to_builtins(configuration)} if configuration else {}
        typer.echo(json.dumps(shown | more, indent=2))
    else:
        _print_status(found)
        if configuration := health.configuration():
            typer.echo(safe_text(_told(configuration)))
        for name, message in failing.items():
            typer.echo(safe_text(f"{name} FAILS: {message}"))
    if failing:
        raise typer.Exit(1)


@collector.command()
def upgrade(config: _Config = None) -> None:
    """Show what this version changes for the state folder, against the version that wrote it; changes nothing.

    Exit 1 when the folder was written in a newer format than this version reads.

    [bold]Example[/bold]

    /opt/wardwatch/versions/0.2.0/bin/wardwatch collector upgrade --config /etc/wardwatch/collector.toml
    """
    settings = load(config)
    folder = site_folder(settings)
    state = read_state(folder)
    wrote = f"by {state.version}, format {state.format}" if state else "by no version that says so"
    typer.echo(safe_text(f"state    {folder}, written {wrote}"))
    typer.echo(f"program  {wardwatch.__version__}, format {FORMAT}")
    for note in between(state.version if state else ""):
        typer.echo(f"\n{note.version} (format {note.format}): {note.text}")
    newest = state.format if state else FORMAT
    if newest > FORMAT:
        typer.echo("\nThe folder is newer than this program, which refuses it.")
        raise typer.Exit(1)
    typer.echo(f"\n{_CHANGED if newest < FORMAT else _SAME}")


_SAME = """The format is the same: either version reads the folder, and going back needs only the earlier program.
Before: wardwatch vault back-up FILE"""
_CHANGED = """The format changes at the first start, and the earlier program then refuses the folder.
Before: stop the collector and copy the folder (cp -a); to go back, put the copy in place and start the earlier one."""


def _print(table: Table) -> None:
    """Print a table, wide enough for all of it where no terminal says how wide it is."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDE
    console.print(table)


def _derived(state: SourceState) -> dict[str, float | None]:
    return {"waiting": state.waiting, "parsed": state.parsed}


def _print_status(found: dict[str, SourceState]) -> None:
    numbers = ("received", "parsed", "filtered", "dead-lettered", "forwarded", "waiting")
    table = Table("source")
    for name in numbers:
        table.add_column(name, justify="right")
    table.add_column("last event")
    table.add_column("arrived")
    for name, state in sorted(found.items()):
        counts = (state.filtered, state.dead_lettered, state.forwarded, state.waiting)
        times = (state.last_event or "–", state.last_record or "–")
        table.add_row(name, str(state.accepted), share(state.parsed), *map(str, counts), *map(safe_text, times))
    _print(table)


def _told(configuration: Configuration) -> str:
    version, until = configuration.version, configuration.trial_until
    own = "the local sources" if version is None else f"version {version} of the provider"
    return f"configuration: {own}{f', on trial until {until}' if until else ''}"


def share(parsed: float | None) -> str:
    """Return a share as a percentage that is 100 % only when it is whole."""
    return "–" if parsed is None else f"{int(parsed * 1000) / 10:g} %"
