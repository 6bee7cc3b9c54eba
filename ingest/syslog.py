"""Syslog messages: RFC 5424 and the older BSD form (RFC 3164), in one frame without its transport's framing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from wardwatch.errors import ParseError

_PRIORITY = re.compile(rb"<(\d{1,3})>")
_RFC5424 = re.compile(
    rb"1 (\S+) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) (-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: |$)", re.S
)
_RFC3164 = re.compile(rb"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\S+) ")
_TAG = re.compile(rb"([^\s:\[]{1,64})(?:\[(\d{1,10})\])?: ?")
MONTHS = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"]
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Syslog:
    """One message: "" and None stand for what the header lacks; ``body`` are the bytes behind it."""

    facility: int | None
    severity: int | None
    timestamp: datetime | None
    host: str
    app: str
    process_id: str
    message_id: str
    body: bytes


def parse(frame: bytes, *, zone: tzinfo, received: datetime) -> Syslog:
    """Return the message in a frame.

    A time of RFC 3164 has neither year nor zone: it is read in the site's ``zone`` and as the latest such time not
    more than a day after ``received``. Raises ParseError when the priority is missing or above 191 (RFC 5424, 6.2.1).
    """
    priority = _PRIORITY.match(frame)
    if not priority or int(priority[1]) > 191:
        raise ParseError("no syslog priority <0> to <191> at the start", step="syslog")
    facility, severity = divmod(int(priority[1]), 8)
    rest = frame[priority.end() :]
    modern = _RFC5424.match(rest)
    if modern:
        time, host, app, process_id, message_id = (None if part == b"-" else part for part in modern.groups()[:5])
        body = rest[modern.end() :].removeprefix(_BOM)
        return Syslog(
            facility,
            severity,
            _modern_time(time) if time else None,
            _text(host),
            _text(app),
            _text(process_id),
            _text(message_id),
            body,
        )
    old = _RFC3164.match(rest)
    timestamp = _old_time(old, zone, received) if old else None
    host = old[6] if old else None
    body = rest[old.end() :] if old else rest
    tag = _TAG.match(body)
    return Syslog(
        facility,
        severity,
        timestamp,
        _text(host),
        _text(tag[1] if tag else None),
        _text(tag[2] if tag else None),
        "",
        body[tag.end() :] if tag else body,
    )


def _text(part: bytes | None) -> str:
    return "" if part is None else part.decode("utf-8", "replace")


def _modern_time(text: bytes) -> datetime:
    try:
        moment = datetime.fromisoformat(text.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        raise ParseError("not an RFC 5424 time", step="syslog") from None
    if moment.tzinfo is None:
        raise ParseError("an RFC 5424 time without zone", step="syslog")
    return moment


def _old_time(found: re.Match[bytes], zone: tzinfo, received: datetime) -> datetime:
    local = received.astimezone(zone)
    try:
        month = MONTHS.index(found[1]) + 1
        moment = datetime(local.year, month, int(found[2]), int(found[3]), int(found[4]), int(found[5]), tzinfo=zone)
        return moment if moment <= local + timedelta(days=1) else moment.replace(year=local.year - 1)
    except ValueError:
        raise ParseError("not a syslog time", step="syslog") from None
