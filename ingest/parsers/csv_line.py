"""One line of comma-separated values (RFC 4180)."""

from __future__ import annotations

import csv

from wardwatch.errors import ParseError


def values(line: str, *, step: str) -> list[str]:
    """Return the values of a line; raises ParseError for one that is too long for the reader."""
    try:
        return next(csv.reader([line.replace("\0", "").replace("\r", " ").replace("\n", " ")]), [])
    except csv.Error:
        raise ParseError("not a line of comma-separated values", step=step) from None
