"""What is handed out to be kept: a download, never a page in the console's place."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response

from dashboards.pages.render import render

_SANDBOX = "sandbox; default-src 'none'"
_PRINTED = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def attachment(content: bytes, name: str) -> Response:
    """Return bytes that no browser opens in the console's place."""
    answer = Response(content, media_type="application/octet-stream", headers={"Content-Security-Policy": _SANDBOX})
    return named(answer, name)


def printed(request: Request, template: str, **values: Any) -> Response:
    """Return a page that stands alone, to print or to send."""
    answer = render(request, template, **values)
    answer.headers["Content-Security-Policy"] = _PRINTED
    return answer


def named(answer: Response, name: str) -> Response:
    """Make an answer a download of this name: percent-encoded UTF-8 and nothing else (RFC 6266, RFC 8187)."""
    answer.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return answer
