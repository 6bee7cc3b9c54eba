"""Times of logs as the wire wants them: RFC 3339 in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from wardwatch.errors import ParseError
from wardwatch.event import rfc3339

_EPOCH = re.compile(r"(\d{9,19})(?:\.(\d{1,9}))?")
_SPOKEN = re.compile(r"([A-Z][a-z]{2}) {1,2}(\d{1,2})(?:,? (\d{4}))? (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?: (\S{1,32}))?")
_OFFSET = re.compile(r"(?:(?:UTC|GMT)?([+-])(\d\d):?(\d\d))|UTC|GMT|Z")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def moment(text: str, zone: tzinfo, *, step: str) -> str:
    """Return the RFC 3339 text of a time; one without zone is read in ``zone``; raises ParseError."""
    found = _USUAL.fullmatch(text)
    if found:
        minute, second, fraction, offset = found.groups()
        start = _minute(minute, offset, zone)
        if start:
            return f"{start}{second}.{fraction or '000'}Z"
    return _moment(text, zone, step)


_USUAL = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d):([0-5]\d)(?:\.(\d{3})\d{0,6})?(Z|[+-]\d\d:\d\d|)", re.A)


@lru_cache(maxsize=4096)
def _minute(minute: str, offset: str, zone: tzinfo) -> str:
    """Return what the times of a minute start with, ``2026-03-01T02:11:``; "" for no time or a zone with seconds."""
    try:
        start = _moment(f"{minute}:00{offset}", zone, "")
    except ParseError:
        return ""
    return start[:17] if start[17:] == "00.000Z" else ""


def _moment(text: str, zone: tzinfo, step: str) -> str:
    try:
        found = datetime.fromisoformat(text)
        return rfc3339(found if found.tzinfo else found.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise ParseError("not a time", step=step) from None


def epoch(value: object, *, step: str) -> str:
    """Return the RFC 3339 text of a time since 1970 in s, ms, µs or ns, told apart by its digits; raises ParseError."""
    if isinstance(value, str) and len(value) == _MILLISECONDS and value.isascii() and value.isdecimal():
        return f"{_second(value[:-3])}.{value[-3:]}Z"
    found = _EPOCH.fullmatch(str(value))
    if not found:
        raise ParseError("not a time since 1970", step=step)
    whole = found[1]
    digits = next((count for count in (10, 13, 16, 19) if len(whole) <= count), 19)
    seconds = int(whole) / 10 ** (digits - 10) + float(f"0.{found[2] or 0}") / 10 ** (digits - 10)
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


_MILLISECONDS = 13  # digits


@lru_cache(maxsize=4096)
def _second(digits: str) -> str:
    return rfc3339(datetime.fromtimestamp(int(digits), UTC))[:19]


def spoken(text: str, zone: tzinfo, year: int, *, step: str) -> str:
    """Return the RFC 3339 text of ``Mar 01 2026 02:11:09.5 +0800``, its year ``year`` if it has none; or ParseError.

    A zone in letters other than UTC and GMT is ambiguous (CST) and read as the site's.
    """
    found = _SPOKEN.fullmatch(text.strip())
    if not found or found[1] not in _MONTHS:
        raise ParseError("not a time", step=step)
    month, fraction = _MONTHS.index(found[1]) + 1, (found[5] or "0").ljust(6, "0")
    offset = _OFFSET.fullmatch(found[6] or "")
    named = f"{offset[1]}{offset[2]}:{offset[3]}" if offset and offset[1] else "Z" if offset else ""
    date = f"{found[3] or year}-{month:02}-{found[2]:0>2}"
    return moment(f"{date}T{found[4]}.{fraction}{named}", zone, step=step)
