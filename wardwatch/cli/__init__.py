"""The command line. ``COMMANDS`` is the registry; a command's module is imported when it is called."""

from __future__ import annotations

import sys
from pkgutil import resolve_name

import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_command

from wardwatch.errors import SettingsError, WardwatchError
from wardwatch.text import safe_text

COMMANDS = {
    "demo": "wardwatch.cli.demo:demo",
    "run": "wardwatch.cli.run:run",
    "doctor": "wardwatch.cli.doctor:doctor",
    "init": "wardwatch.cli.init:init",
    "enrol": "ingest.relay.cli:enrol",
    "collector-config": "ingest.remote.cli:collector_config",
    "collector": "ingest.cli_collector:collector",
    "parse": "ingest.cli:parse",
    "detect": "detections.cli.detect:detect",
    "rules": "detections.cli:rules",
    "tables": "wardwatch.cli.tables:tables",
    "notify": "enrich.notify.cli:notify",
    "vault": "ingest.vault_care:vault",
    "reveal": "ingest.reveal:reveal",
    "deadletter": "ingest.deadletter:deadletter",
    "users": "dashboards.cli:users",
    "audit": "dashboards.audit_cli:audit",
    "version": "wardwatch.cli.version:version",
}
"""Command → a function (one command) or a typer.Typer (a group of commands)."""


class _Lazy(TyperGroup):
    def list_commands(self, ctx: object) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> object:  # type: ignore[override]
        if cmd_name not in COMMANDS:
            return None
        target = resolve_name(COMMANDS[cmd_name])
        if not isinstance(target, typer.Typer):
            app = typer.Typer(rich_markup_mode="rich", add_completion=False)
            app.command(cmd_name)(target)
            target = app
        command = get_command(target)
        command.name = cmd_name
        return command


app = typer.Typer(cls=_Lazy, rich_markup_mode="rich", no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def wardwatch() -> None:
    """Watch over hospitals: collect their logs, match Sigma rules, triage the alerts.

    Start with [bold]wardwatch demo[/bold]. Settings come from WARDWATCH_… variables and one TOML file
    (WARDWATCH_CONFIG); docs/operator/settings.md lists them.
    """


def main() -> None:
    """Run the command line; an error of ours is one line on standard error, wrong settings exit with 2."""
    try:
        app()
    except WardwatchError as error:
        text = f"wardwatch: {safe_text(str(error))}"
        Console(stderr=True, highlight=False).print(text, markup=False, style="red", soft_wrap=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)
