"""DingTalk custom robot.

Source: DingTalk's guide of custom robots (open.dingtalk.com/document/robots/custom-robot-access), as repeated by public
copies: ``sign`` is Base64 of HMAC-SHA256 with the secret as key over ``timestamp + "\\n" + secret``, URL-encoded;
``timestamp`` is Unix milliseconds, at most an hour off; 20 messages a minute, more are refused for ten minutes with
errcode 130101. Not verified against the live service: the codes but 0, 130101 and 310000 (security settings).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final, Literal
from urllib.parse import urlencode

from pydantic import Field, SecretStr

from enrich.notify.kinds import Post, WebRow, demand_code, post_json
from wardwatch.outbound import Outbound

PER_MINUTE: Final = 20
DIGESTS: Final = True
_TEXT_BYTES = 8000
_TOO_FAST = frozenset({130101, 90030})


class Row(WebRow):
    """``url`` holds the access token; ``secret`` is the one that begins with SEC."""

    kind: Literal["dingtalk"]
    secret: SecretStr = Field(SecretStr(""), max_length=200)


def send(row: Row, post: Post, outbound: Outbound) -> None:
    """Send as text, which has no markup; the mention is a mobile number."""
    url, secret = outbound.secret(row.url.get_secret_value()), outbound.secret(row.secret.get_secret_value())
    text = post.message.text(_TEXT_BYTES)
    body = {
        "msgtype": "text",
        "text": {"content": f"{text}\n@{post.address}" if post.address else text},
        "at": {"atMobiles": [post.address] if post.address else [], "isAtAll": False},
    }
    if secret:
        url = signed(url, secret, round(post.at.timestamp() * 1000))
    demand_code(post_json(outbound, url, body), "errcode", _TOO_FAST)


def signed(url: str, secret: str, timestamp_ms: int) -> str:
    """Return the address with time and signature."""
    digest = hmac.new(secret.encode(), f"{timestamp_ms}\n{secret}".encode(), hashlib.sha256).digest()
    query = urlencode({"timestamp": timestamp_ms, "sign": base64.b64encode(digest).decode()})
    return f"{url}{'&' if '?' in url else '?'}{query}"
