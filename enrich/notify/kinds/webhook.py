"""Webhook: one POST per notice, signed.

Source: Standard Webhooks 1.0 (standardwebhooks.com): ``webhook-signature`` is ``v1,`` and Base64 of HMAC-SHA256 over
``id.timestamp.body`` with the key that follows ``whsec_`` in Base64; ``webhook-id`` is the same at every try.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any, Final, Literal

import orjson
from pydantic import Field, SecretStr

from enrich.notify.kinds import Post, WebRow, post_json
from enrich.notify.ocsf import finding
from wardwatch.errors import PeerRefused
from wardwatch.event import rfc3339
from wardwatch.outbound import Outbound

PER_MINUTE: Final = 300
DIGESTS: Final = False


class Row(WebRow):
    """``secret`` is ``whsec_`` and a key of 24 to 64 bytes in Base64; ``format`` that of the body.

    ``ocsf`` is a Detection Finding for what is about an alert; requests and tests are sent as ``json``.
    """

    kind: Literal["webhook"]
    secret: SecretStr = Field(min_length=1, max_length=200)
    format: Literal["ocsf", "json"] = "json"


def send(row: Row, post: Post, outbound: Outbound) -> None:
    """Send one notice."""
    told = post.told[0] if post.told else None
    body = finding(told) if told and told.alert and row.format == "ocsf" else _own(post)
    content, timestamp = orjson.dumps(body), int(post.at.timestamp())
    headers = {
        "webhook-id": post.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(outbound.secret(row.secret.get_secret_value()), post.id, timestamp, content),
    }
    post_json(outbound, outbound.secret(row.url.get_secret_value()), content, headers)


def sign(secret: str, identifier: str, timestamp_s: int, body: bytes) -> str:
    """Return the signature header; raises PeerRefused for a secret that is none."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise PeerRefused("the secret is not whsec_ and 24 to 64 bytes in Base64", step="notify")
    digest = hmac.new(key, f"{identifier}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _own(post: Post) -> dict[str, Any]:
    told = post.told[0] if post.told else None
    data: dict[str, Any] = {"subject": post.message.subject, "lines": post.message.lines, "url": post.message.url}
    if told:
        own = told.alert.get("wardwatch", {}).get("alert", {})
        data |= {
            "tenant": told.tenant,
            "alert": told.alert.get("event", {}).get("id"),
            "case": told.case or None,
            "severity": told.severity.value,
            "status": own.get("status"),
            "due_at": told.due_at or None,
            "person": told.person or None,
        }
    kind = told.kind.value if told else "test"
    return {"type": f"wardwatch.{kind}", "timestamp": rfc3339(post.at), "data": data}
