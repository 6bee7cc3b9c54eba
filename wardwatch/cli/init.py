"""``wardwatch init``: topics, tables and templates, once per installation and tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardwatch import topics
from wardwatch.bus import Bus, open_bus
from wardwatch.bus.kafka import KafkaBus
from wardwatch.errors import SettingsError
from wardwatch.settings import load
from wardwatch.store import open_store
from wardwatch.text import safe_text


def init(
    tenants: Annotated[list[str] | None, typer.Argument(help="Slugs of hospitals whose topics to create.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)] = None,
    principal: Annotated[
        str, typer.Option(help="Kafka's name of the hospital's collector, which may then write to its topics.")
    ] = "",
) -> None:
    """Create topics and store templates; what exists stays as it is.

    With --principal, whoever shows that certificate or signs in by that name may write to the hospital's topics and
    to nothing else, where the brokers check rights (authorizer.class.name).

    [bold]Examples[/bold]

    wardwatch init renai zhongxin

    wardwatch init renai --principal User:CN=renai
    """
    if principal and len(tenants or []) != 1:
        raise SettingsError("a principal belongs to one hospital", step="init", remedy="name one tenant")
    settings = load(config)
    bus, store = open_bus(settings.bus_url, settings.bus_access), open_store(settings.store_url)
    wanted = [*topics.shared(), *(topic for tenant in tenants or [] for topic in topics.of_tenant(tenant))]
    bus.ensure_topics(wanted)
    store.setup()
    for topic in wanted:
        typer.echo(f"topic {topic.name}: {bus.topics()[topic.name]} partitions")
    typer.echo(f"store {store.url}: ready")
    if principal and tenants:
        _allow(bus, principal, tenants[0])
    store.close()
    bus.close()


def _allow(bus: Bus, principal: str, tenant: str) -> None:
    if not isinstance(bus, KafkaBus):
        raise SettingsError(f"{bus.url} knows no principals", step="init", remedy="leave --principal out")
    if not principal.startswith("User:") or not principal.removeprefix("User:"):
        raise SettingsError("a principal is User:NAME", step="init", remedy=f"--principal User:CN={tenant}")
    own = [topic.name for topic in topics.of_tenant(tenant)]
    bus.allow_writing(principal, own)
    typer.echo(f"{safe_text(principal)} may write to {', '.join(own)}")
