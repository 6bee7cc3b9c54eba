"""``wardwatch version``."""

from __future__ import annotations

import platform
from importlib.metadata import version as installed

import typer


def version() -> None:
    """Print the versions of wardwatch and of what it stands on.

    [bold]Example[/bold]: wardwatch version
    """
    typer.echo(f"wardwatch {installed('wardwatch')}")
    typer.echo(f"python {platform.python_version()}")
    for name in ("pysigma", "kafka-python", "elasticsearch", "pydantic", "orjson"):
        typer.echo(f"{name} {installed(name)}")
