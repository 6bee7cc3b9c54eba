"""Channels: rows of the table ``channels``, and sending over them. ``KINDS`` is the registry."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from enrich.notify.kinds import Post, dingtalk, email, feishu, slack, teams, webhook, wecom
from enrich.notify.routes import wrong_row
from wardwatch.event import Document
from wardwatch.outbound import Outbound

TABLE: Final = "channels"
KINDS: Final[dict[str, ModuleType]] = {
    "email": email,
    "webhook": webhook,
    "dingtalk": dingtalk,
    "wecom": wecom,
    "feishu": feishu,
    "slack": slack,
    "teams": teams,
}

Channel = email.Row | webhook.Row | dingtalk.Row | wecom.Row | feishu.Row | slack.Row | teams.Row
_ROW: TypeAdapter[Channel] = TypeAdapter(Annotated[Channel, Field(discriminator="kind")])


def parse(row: Document) -> Channel:
    """Return the channel of a row; raises SettingsError naming the first field that is wrong, never its value."""
    try:
        return _ROW.validate_python(row)
    except ValidationError as error:
        raise wrong_row(TABLE, error) from None


def digests(channel: Channel) -> bool:
    """Tell whether several notices may be one message."""
    return bool(KINDS[channel.kind].DIGESTS)


def per_minute(channel: Channel) -> int:
    """Return how many messages the channel takes in a minute."""
    return channel.per_minute or int(KINDS[channel.kind].PER_MINUTE)


def send(channel: Channel, post: Post, outbound: Outbound) -> None:
    """Send one message; raises PeerRefused, PeerUnavailable."""
    KINDS[channel.kind].send(channel, post, outbound)
