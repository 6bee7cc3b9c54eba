"""``wardwatch demo``."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import threading
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from wardwatch import logs
from wardwatch.demo import live
from wardwatch.demo.once import Report, once, yesterday
from wardwatch.demo.stand import Stand
from wardwatch.settings import Settings, load

_READY_S = 120


def demo(
    run_once: Annotated[
        bool, typer.Option("--once", help="Run the day as fast as it goes, check it, and end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: print the report for machines.")] = False,
    on_day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="With --once: the simulated day.")
    ] = None,
    events: Annotated[int, typer.Option(help="With --once: records of noise per hospital.", min=0)] = 1200,
    timeout: Annotated[int, typer.Option(help="With --once: seconds until it gives up.", min=10)] = 300,
    folder: Annotated[
        Path | None, typer.Option(help="Where to keep the demo's files; emptied at the start.", show_default=False)
    ] = None,
) -> None:
    """Show wardwatch at work: two simulated hospitals, every stage, the console.

    The hospitals send native bytes over real sockets (MLLP, syslog, TLS, HTTP, files). One is calm; the other is under
    attack. WARDWATCH_BUS and WARDWATCH_STORE run the same demo on Kafka and Elasticsearch.

    [bold]Examples[/bold]

    wardwatch demo                  until Ctrl-C, with the console in a browser

    wardwatch demo --once           one day in seconds; exit 1 unless every count and alert is right

    wardwatch demo --once --json    the same for machines
    """
    settings = load()
    if run_once:
        report = _once(settings, folder, on_day.date() if on_day else yesterday(), events, timeout, quiet=as_json)
        typer.echo(json.dumps(report.as_json(), ensure_ascii=False, indent=2)) if as_json else _print(report)
        raise typer.Exit(0 if report.ok else 1)
    _live(settings, folder or settings.data_dir / "demo")


def _once(settings: Settings, folder: Path | None, on_day: date, events: int, timeout_s: int, *, quiet: bool) -> Report:
    logs.configure("critical", stage="demo")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="wardwatch-demo-") as temporary, console.status("starting") as status:
        where = _emptied(folder) if folder else Path(temporary)
        return once(settings, where, on_day=on_day, events=events, timeout_s=timeout_s, progress=status.update)


def _live(settings: Settings, folder: Path) -> None:
    logs.configure("warning", stage="demo")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    console = Console()
    stand = Stand(settings, _emptied(folder), once=False)
    with console.status("preparing topics, tables, users and stages"), stand.running() as supervisor:
        waited = 0
        while not stand.ready() and waited < _READY_S and not stopping.wait(0.5):
            supervisor.tick()
            waited += 1
        console.print(_welcome(stand))
        live.play(stand)
        while not stopping.wait(0.5):
            supervisor.tick()
        console.print("stopping")


def _emptied(folder: Path) -> Path:
    marker = folder / ".wardwatch-demo"
    if marker.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    marker.touch()
    return folder


def _welcome(stand: Stand) -> Panel:
    users = "\n".join(f"  {user.name:6} {user.password}   ({user.role})" for user in stand.users)
    return Panel(
        f"Console   http://127.0.0.1:{stand.console_port}\n\n"
        f"Sign in as\n{users}\n\n"
        "Within a minute 市中心医院 is attacked: images are fetched to an unknown\n"
        "laptop, shadow copies deleted on the HIS database, a VIP's images looked\n"
        "at, prescriptions summed by doctor and drug (统方). 仁爱医院 stays calm.\n\n"
        "Open the queue and choose an alert: a takes it, c closes it, z undoes.\n\n"
        f"Rules     WARDWATCH_DATA_DIR={stand.folder} wardwatch rules put my-rule.yml\n"
        f"Files     {stand.folder} (log: stages.log)\n"
        "Stop      Ctrl-C",
        title="wardwatch demo",
        expand=False,
    )


def _print(report: Report) -> None:
    console = Console()
    sources = Table("hospital", "source", "sent", "received", "forwarded", "filtered", "dead-lettered")
    for row in report.sources:
        numbers = (row.sent, row.accepted, row.forwarded, row.filtered, row.dead_lettered)
        sources.add_row(row.tenant, row.source, *(f"{number:,}" for number in numbers))
    alerts = Table("hospital", "rule", "alerts", "expected")
    for alert in report.alerts:
        alerts.add_row(alert.tenant, alert.rule, str(len(alert.ids)), str(alert.expected))
    console.print(sources, alerts)
    for problem in report.problems:
        console.print(f"problem: {problem}", style="red", markup=False)
    state = "everything adds up" if report.ok else "something is wrong"
    console.print(f"{report.day} on {report.bus} and {report.store}: {state} ({report.seconds:.0f} s)", markup=False)
