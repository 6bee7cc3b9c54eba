"""``wardwatch rules …`` and ``wardwatch detect``: one module a command. ``COMMANDS`` is the registry."""

from __future__ import annotations

from pkgutil import resolve_name

import typer

COMMANDS = {
    "list": "detections.cli.listing:list_rules",
    "show": "detections.cli.show:show",
    "check": "detections.cli.check:check",
    "test": "detections.cli.testing:run_tests",
    "explain": "detections.cli.explain:explain",
    "new": "detections.cli.new:new",
    "backtest": "detections.cli.backtest:backtest",
    "profile": "detections.cli.profile:profile",
    "convert": "detections.cli.convert:convert_rules",
    "coverage": "detections.cli.coverage:show_coverage",
    "import": "detections.cli.importing:import_rules",
    "scorecard": "detections.cli.scorecard:show_scorecard",
    "tune": "detections.cli.tune:tune",
    "put": "detections.cli.put:put",
    "remove": "detections.cli.remove:remove",
    "disable": "detections.cli.disable:disable",
    "mute": "detections.cli.mute:mute",
    "unmute": "detections.cli.mute:unmute",
    "suppress": "detections.cli.suppress:suppress",
    "unsuppress": "detections.cli.suppress:unsuppress",
    "suppressions": "detections.cli.suppress:list_suppressions",
}
"""Command of ``wardwatch rules`` → its function."""

rules = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Look at Sigma rules, check and test them, and change what is in force while everything runs.",
)
for _name, _target in COMMANDS.items():
    rules.command(_name)(resolve_name(_target))
