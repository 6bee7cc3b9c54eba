"""``wardwatch run``: one stage in this process, or several under the supervisor."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from wardwatch import logs, stage
from wardwatch.errors import SettingsError
from wardwatch.settings import Settings, load
from wardwatch.supervisor import Spec, Supervisor


def run(
    stages: Annotated[
        list[str] | None, typer.Argument(help="Stages; several or none run under the supervisor.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)] = None,
    instance: Annotated[int, typer.Option(help="Number of this instance, for its health port.", min=0)] = 0,
    matchers: Annotated[int, typer.Option(help="How many matchers the supervisor starts.", min=1)] = 1,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Run stages: collector, matcher, alerter, archiver, scheduler, console, relay.

    Without a stage: everything the provider runs on one machine, and a collector when the settings name a tenant. A
    relay, by which collectors reach the provider over HTTPS, runs where it is named. SIGTERM drains and ends within
    10 s.

    [bold]Examples[/bold]

    wardwatch run                                      all stages, embedded bus and store in ./data

    wardwatch run collector --config site.toml         one collector, at a hospital

    WARDWATCH_BUS=kafka://k1:9092 wardwatch run matcher   one matcher on Kafka
    """
    settings = load(config)
    names = stages or [*(["collector"] if settings.collector.tenant else []), *stage.ONE_MACHINE]
    for name in names:
        if name not in stage.STAGES:
            raise SettingsError(f"{name!r} is no stage", step="run", remedy=f"one of {', '.join(stage.STAGES)}")
    if len(names) == 1:
        stage.main(settings, names[0], instance, parent=os.getppid() if supervised else None)
    else:
        _supervise(settings, specs(names, matchers=matchers, config=config))


def specs(names: list[str], *, matchers: int = 1, config: Path | None = None) -> list[Spec]:
    """Return the processes for these stages."""
    return [
        Spec(name, number, config.absolute() if config else None)
        for name in names
        for number in range(matchers if name == "matcher" else 1)
    ]


def _supervise(settings: Settings, processes: list[Spec]) -> None:
    logs.configure(settings.log_level, stage="supervisor")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    supervisor = Supervisor(processes)
    supervisor.start()
    while not stopping.wait(0.2):
        supervisor.tick()
    supervisor.stop()
