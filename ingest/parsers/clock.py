"""Times of logs as the wire wants them: RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime, tzinfo

from wardwatch.errors import ParseError
from wardwatch.event import rfc3339


def moment(text: str, zone: tzinfo, *, step: str) -> str:
    """Return the RFC 3339 text of a time; one without zone is read in ``zone``; raises ParseError."""
    try:
        found = datetime.fromisoformat(text)
        return rfc3339(found if found.tzinfo else found.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise ParseError("not a time", step=step) from None
