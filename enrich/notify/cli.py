"""``wardwatch notify``: try a channel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import typer

from enrich.notify import channels
from enrich.notify.kinds import Post
from enrich.notify.message import trial
from wardwatch.bus import open_bus
from wardwatch.errors import NotFound
from wardwatch.outbound import Outbound
from wardwatch.settings import load as load_settings
from wardwatch.tables import Tables
from wardwatch.text import safe_text
from wardwatch.topics import TABLES

notify = typer.Typer(
    help="Notifications over the channels of the table channels.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@notify.callback()
def _group() -> None:
    """Notifications over the channels of the table channels.

    [bold]Example[/bold]: wardwatch notify test soc
    """


@notify.command("test")
def try_channel(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Key of a row of channels.")],
    tenant: Annotated[str, typer.Option(help="Slug of the hospital whose row it is.")] = "",
    address: Annotated[str, typer.Option(help="A person's address or mention on the channel.")] = "",
) -> None:
    """Send one message over a channel, past the same address guard as all others; exits with 1 where it is not taken.

    [bold]Example[/bold]: wardwatch notify test soc-dingtalk
    """
    settings = load_settings()
    bus = open_bus(settings.bus_url, settings.bus_access)
    tables = Tables(bus)
    try:
        bus.ensure_topics([TABLES])
        tables.catch_up()
        row = tables.get(channels.TABLE, tenant, channel)
    finally:
        tables.close()
        bus.close()
    if row is None:
        raise NotFound(f"no row {channel!r} in {channels.TABLE!r}", step="notify")
    found = channels.parse(row)
    post = Post(uuid4().hex, datetime.now(UTC), trial(channel, found.lang), address=address)
    channels.send(found, post, Outbound(settings.outbound))
    typer.echo(f"{safe_text(channel)} has taken the message")
