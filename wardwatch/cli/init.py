"""``wardwatch init``: topics, tables and templates, once per installation and tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardwatch import topics
from wardwatch.bus import open_bus
from wardwatch.settings import load
from wardwatch.store import open_store


def init(
    tenants: Annotated[list[str] | None, typer.Argument(help="Slugs of hospitals whose topics to create.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)] = None,
) -> None:
    """Create topics and store templates; what exists stays as it is.

    [bold]Example[/bold]: wardwatch init renai zhongxin
    """
    settings = load(config)
    bus, store = open_bus(settings.bus_url), open_store(settings.store_url)
    wanted = [*topics.shared(), *(topic for tenant in tenants or [] for topic in topics.of_tenant(tenant))]
    bus.ensure_topics(wanted)
    store.setup()
    for topic in wanted:
        typer.echo(f"topic {topic.name}: {bus.topics()[topic.name]} partitions")
    typer.echo(f"store {store.url}: ready")
    store.close()
    bus.close()
