"""The kinds of channels, one module each: a model of the row, and how a message is sent over it.

Every kind has ``PER_MINUTE``, the messages that its service takes in a minute, ``DIGESTS``, whether several notices
may be one message, ``Row``, and ``send``, which returns when the service has taken the message. It raises PeerRefused
for what no repetition helps, PeerUnavailable for all else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from enrich.notify.message import Lang, Message, Told
from wardwatch.errors import PeerRefused, PeerUnavailable
from wardwatch.outbound import Answer, Outbound


class Row(BaseModel):
    """What the row of every channel has; secrets may be ``file:NAME`` (settings, ``outbound.secrets``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = Field("", max_length=200)
    lang: Lang = "zh"
    per_minute: int | None = Field(None, ge=1, le=600)
    digest_above: int = Field(5, ge=1, le=1000)
    enabled: bool = True


class WebRow(Row):
    """A channel that is an address to post to."""

    url: SecretStr = Field(min_length=1, max_length=2000)


@dataclass(frozen=True, slots=True)
class Post:
    """One message to send: ``id`` is the same at every try, ``address`` the person's address or mention or ""."""

    id: str
    at: datetime
    message: Message
    told: Sequence[Told] = ()
    address: str = ""


def post_json(
    outbound: Outbound, url: str, body: dict[str, Any] | bytes, headers: dict[str, str] | None = None
) -> Answer:
    """Post JSON and return the answer of a server that took it; raises PeerRefused, PeerUnavailable."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    answer = outbound.post(
        url, content, {"Content-Type": "application/json; charset=utf-8", "User-Agent": "wardwatch", **(headers or {})}
    )
    if 200 <= answer.status < 300:
        return answer
    reason = f"it answered {answer.status}"
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise PeerUnavailable(reason, step="notify")
    raise PeerRefused(reason, step="notify")


def demand_code(answer: Answer, name: Literal["errcode", "code"], slow: frozenset[int]) -> None:
    """Return when a robot's service says code 0; raises PeerUnavailable for codes of "too fast", else PeerRefused."""
    try:
        code = int(orjson.loads(answer.body)[name])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise PeerUnavailable("its answer is not that of a robot", step="notify") from None
    if code in slow:
        raise PeerUnavailable(f"it takes no more now ({name} {code})", step="notify")
    if code != 0:
        raise PeerRefused(f"it refused the message ({name} {code})", step="notify")
