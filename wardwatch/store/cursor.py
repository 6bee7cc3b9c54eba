"""The key of the next page: sort values of the last row, opaque to callers."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from sqlite3 import Row

import orjson

from wardwatch.errors import RecordError

MAX_PAGE = 1000

Key = list[int | float | str]


def encode_cursor(key: Key) -> str:
    """Return the sort values of a row as text that is safe in a URL."""
    return urlsafe_b64encode(orjson.dumps(key)).decode().rstrip("=")


def decode_cursor(text: str, kinds: tuple[type, ...]) -> Key:
    """Return the sort values in the text; raises RecordError unless they are of these kinds."""
    try:
        key = orjson.loads(urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
    except (binascii.Error, orjson.JSONDecodeError, UnicodeEncodeError):
        key = None
    if not isinstance(key, list) or tuple(map(type, key)) != kinds:
        raise RecordError("the page's key is garbled", step="store", remedy="start from the first page")
    return key


def next_page(rows: Sequence[Row], size: int, names: Sequence[str]) -> str | None:
    """Return the cursor behind the page of ``size`` rows, or None when no further row was read."""
    return encode_cursor([rows[size - 1][name] for name in names]) if len(rows) > size else None


def page_size(limit: int) -> int:
    """Return the number of rows to read: at least one, at most MAX_PAGE."""
    return min(max(limit, 1), MAX_PAGE)
