"""A JSON object behind any syslog header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.parsers import Record, Site
from ingest.parsers.charset import text
from wardwatch.errors import DecodeError, ParseError
from wardwatch.event import Document, decode


def body(record: Record, site: Site, *, step: str) -> tuple[str, Document]:
    """Return what stands before the first brace, and the object from there to the end; raises ParseError."""
    before, brace, rest = record.data.partition(b"{")
    if not brace:
        raise ParseError("no JSON object", step=step)
    return text(before, site.charset).strip("\ufeff[, \r\n"), _object(brace + rest.rstrip(b", ]\r\n\0"), site, step)


def _object(data: bytes, site: Site, step: str) -> Document:
    try:
        return decode(data)
    except DecodeError:
        try:
            return decode(text(data, site.charset).encode("utf-8", "replace"))
        except DecodeError as error:
            raise ParseError(error.reason, step=step) from None


def inner(value: object, *names: str) -> Mapping[str, Any]:
    """Return the object that stands inside others under these names, or an empty one."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def flat(value: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return an object's values by their dotted names."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict):
            found |= flat(item, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = item
    return found
