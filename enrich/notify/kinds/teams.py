"""Microsoft Teams: a webhook of Workflows ("when a Teams webhook request is received"); its address is the secret.

Source: Microsoft's documentation of incoming webhooks for Teams and Adaptive Cards 1.2: a message with the card as
attachment of type application/vnd.microsoft.card.adaptive; TextRun has no Markdown, TextBlock has. Not verified: the
limit of messages a minute.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from enrich.notify.kinds import Post, WebRow, post_json
from wardwatch.outbound import Outbound

PER_MINUTE: Final = 60
DIGESTS: Final = True


class Row(WebRow):
    """``url`` is the webhook's."""

    kind: Literal["teams"]


def send(row: Row, post: Post, outbound: Outbound) -> None:
    """Send as an Adaptive Card of text runs; there is no mention."""
    message = post.message
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [_block(message.subject, bold=True), *(_block(line) for line in message.lines)],
    }
    if message.url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "wardwatch", "url": message.url}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    body = {"type": "message", "attachments": [attachment]}
    post_json(outbound, outbound.secret(row.url.get_secret_value()), body)


def _block(text: str, *, bold: bool = False) -> dict[str, Any]:
    run = {"type": "TextRun", "text": text} | ({"weight": "Bolder"} if bold else {})
    return {"type": "RichTextBlock", "inlines": [run]}
