"""Feishu and Lark custom bot.

Source: Feishu's guide of custom bots (open.feishu.cn/document/client-docs/bot-v3/add-custom-bot): ``sign`` is Base64 of
HMAC-SHA256 with ``timestamp + "\\n" + secret`` as key over nothing; ``timestamp`` is Unix seconds, at most an hour off;
both stand in the body; 100 messages a minute and 5 a second, at most 20 KB; 11232 is "too fast", 9499 a bad body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Final, Literal

from pydantic import Field, SecretStr

from enrich.notify.kinds import Post, WebRow, demand_code, post_json
from wardwatch.outbound import Outbound

PER_MINUTE: Final = 100
DIGESTS: Final = True
_TOO_FAST = frozenset({11232})


class Row(WebRow):
    """``url`` holds the bot's token; ``secret`` signs."""

    kind: Literal["feishu"]
    secret: SecretStr = Field(SecretStr(""), max_length=200)


def send(row: Row, post: Post, outbound: Outbound) -> None:
    """Send as rich text, whose elements ``text`` are taken as they are; the mention is a user's or open id."""
    secret = outbound.secret(row.secret.get_secret_value())
    lines: list[list[dict[str, Any]]] = [[{"tag": "text", "text": line}] for line in post.message.lines]
    if post.message.url:
        lines.append([{"tag": "a", "text": post.message.url, "href": post.message.url}])
    if post.address:
        lines.append([{"tag": "at", "user_id": post.address}])
    content = {"post": {"zh_cn": {"title": post.message.subject, "content": lines}}}
    body: dict[str, Any] = {"msg_type": "post", "content": content}
    if secret:
        timestamp = int(post.at.timestamp())
        body = {"timestamp": str(timestamp), "sign": sign(secret, timestamp), **body}
    answer = post_json(outbound, outbound.secret(row.url.get_secret_value()), body)
    demand_code(answer, "code", _TOO_FAST)


def sign(secret: str, timestamp_s: int) -> str:
    """Return the signature of a moment."""
    return base64.b64encode(hmac.new(f"{timestamp_s}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()
