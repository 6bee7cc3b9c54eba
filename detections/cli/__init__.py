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
}
"""Command of ``wardwatch rules`` → its function."""

rules = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Look at Sigma rules, check them and run the tests beside them."
)
for _name, _target in COMMANDS.items():
    rules.command(_name)(resolve_name(_target))
