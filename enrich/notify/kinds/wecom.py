"""WeCom (企业微信) group robot; it has no signature, the key in its address is the secret.

Source: WeCom's guide of group robots (developer.work.weixin.qq.com/document/path/91770), as repeated by public copies:
text of at most 2,048 bytes, ``mentioned_list`` of user ids, 20 messages a minute. Not verified: errcode 45009 for more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from enrich.notify.kinds import Post, WebRow, demand_code, post_json
from wardwatch.outbound import Outbound

PER_MINUTE: Final = 20
DIGESTS: Final = True
_TEXT_BYTES = 2048
_TOO_FAST = frozenset({45009, 45033, -1})
_NO_TAGS = str.maketrans("<>", "＜＞")  # clients read <@user> and <a> in other kinds of messages


class Row(WebRow):
    """``url`` holds the key."""

    kind: Literal["wecom"]


def send(row: Row, post: Post, outbound: Outbound) -> None:
    """Send as text, which has no markup; the mention is a user id."""
    lines = tuple(line.translate(_NO_TAGS) for line in post.message.lines)
    message = replace(post.message, subject=post.message.subject.translate(_NO_TAGS), lines=lines)
    text = {
        "content": message.text(_TEXT_BYTES),
        "mentioned_list": [post.address] if post.address else [],
    }
    answer = post_json(outbound, outbound.secret(row.url.get_secret_value()), {"msgtype": "text", "text": text})
    demand_code(answer, "errcode", _TOO_FAST)
