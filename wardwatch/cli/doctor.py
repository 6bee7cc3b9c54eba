"""``wardwatch doctor``: what works, what does not, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from wardwatch import stage
from wardwatch.bus import Outlet, open_outlet
from wardwatch.errors import WardwatchError
from wardwatch.settings import Settings, load
from wardwatch.store import Store, open_store
from wardwatch.text import safe_text


def doctor(
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)] = None,
    only: Annotated[
        str, typer.Option("--stage", help="Check one stage on this machine only (for health checks).")
    ] = "",
    instance: Annotated[int, typer.Option(help="Number of the stage's instance.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print for machines.")] = False,
) -> None:
    """Check settings, bus, store and the stages on this machine; exit 1 when something fails.

    [bold]Examples[/bold]

    wardwatch doctor                   everything, with remedies

    wardwatch doctor --stage matcher   one stage: what a container's health check runs
    """
    settings = load(config)
    checks = [_stage(settings, only, instance)] if only else _everything(settings)
    if as_json:
        typer.echo(json.dumps(checks, ensure_ascii=False, indent=2))
    else:
        _print(checks)
    if not all(check["ok"] for check in checks):
        raise typer.Exit(1)


def _everything(settings: Settings) -> list[dict[str, Any]]:
    checks = [
        _port("bus", open_outlet(settings.bus_url, settings.bus_access), "is WARDWATCH_BUS right and the broker up?"),
        _port("store", open_store(settings.store_url), "is WARDWATCH_STORE right and the server up?"),
    ]
    for name in stage.STAGES:
        check = _stage(settings, name, 0)
        checks.append(check if check["running"] else {**check, "ok": True, "message": "not running on this machine"})
    return checks


def _port(part: str, port: Outlet | Store, remedy: str) -> dict[str, Any]:
    try:
        port.ping()
        return {"part": part, "ok": True, "message": port.url}
    except WardwatchError as error:
        return {"part": part, "ok": False, "message": f"{error}; {remedy}"}
    finally:
        port.close()


def _stage(settings: Settings, name: str, instance: int) -> dict[str, Any]:
    url = f"http://{settings.health_host}:{stage.health_port(settings, name, instance)}/health"
    try:
        health = httpx.get(url, timeout=5).json()
        ours = health["stage"] == name
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return {"part": name, "ok": False, "running": False, "message": f"no answer at {url}"}
    if not ours:
        return {"part": name, "ok": False, "running": False, "message": f"{url} answers for {health['stage']!r}"}
    failing = [f"{part}: {state['message']}" for part, state in health["parts"].items() if not state["ok"]]
    message = "; ".join(failing) or f"up since {health['started']}"
    return {"part": name, "ok": health["ok"], "running": True, "message": message}


def _print(checks: list[dict[str, Any]]) -> None:
    table = Table("part", "state", "what it says")
    for check in checks:
        table.add_row(check["part"], "ok" if check["ok"] else "FAILS", safe_text(check["message"]))
    Console(highlight=False, markup=False).print(table)
