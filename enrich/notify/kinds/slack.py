"""Slack incoming webhook; it has no signature, its address is the secret.

Source: Slack's documentation of incoming webhooks, rate limits (one message a second) and Block Kit (header of 150,
section of 3,000 characters, ``plain_text`` without markup; ``&``, ``<`` and ``>`` escaped elsewhere).
"""

from __future__ import annotations

from html import escape
from typing import Any, Final, Literal

from enrich.notify.kinds import Post, WebRow, post_json
from wardwatch.outbound import Outbound

PER_MINUTE: Final = 60
DIGESTS: Final = True


class Row(WebRow):
    """``url`` is the webhook's."""

    kind: Literal["slack"]


def send(row: Row, post: Post, outbound: Outbound) -> None:
    """Send as plain text blocks; the mention is a member id."""
    message = post.message
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(message.subject, 150)}]
    if message.lines:
        blocks.append({"type": "section", "text": _plain("\n".join(message.lines), 3000)})
    ours = " ".join(
        ([f"<{escape(message.url, quote=False)}>"] if message.url else [])
        + ([f"<@{post.address}>"] if post.address.isalnum() else [])
    )
    if ours:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": ours}})
    body = {"text": escape(message.subject, quote=False), "blocks": blocks}
    post_json(outbound, outbound.secret(row.url.get_secret_value()), body)


def _plain(text: str, limit: int) -> dict[str, Any]:
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return {"type": "plain_text", "text": cut, "emoji": False}
