"""What stands before a log: a time and the sender's name, as syslog and as network devices write them.

Sources: RFC 3164, RFC 5424, the log references of Huawei USG, H3C Comware and Cisco ASA (timestamp formats). A time
without zone is the device's local one, read in the site's zone.
"""

from __future__ import annotations

import re

from ingest.parsers import Record, Site
from ingest.parsers.clock import moment
from ingest.syslog import MONTHS
from ingest.syslog import parse as parse_syslog
from wardwatch.event import rfc3339

_NAME = r"[, ]+(\S{1,255})?"
_ISO = re.compile(
    rf"(\d{{4}})-(\d\d?)-(\d\d?)[ T](\d\d:\d\d:\d\d(?:\.\d{{1,6}})?)\d*(Z|[+-]\d\d:?\d\d)?(?: DST)?(?:{_NAME}|$)"
)
_MONTH = r"([A-Z][a-z]{2}) {1,2}(\d{1,2})"
_YEAR_FIRST = re.compile(rf"{_MONTH} (\d{{4}}) (\d\d:\d\d:\d\d)[+-.\d:]*{_NAME}")
_YEAR_LAST = re.compile(rf"{_MONTH} (\d\d:\d\d:\d\d)(?:[.:]\d{{1,6}})? (\d{{4}}){_NAME}")
_FILE_PRIORITY = b"<190>"  # a file does not keep the priority


def header(before: str, record: Record, site: Site, *, step: str) -> tuple[str, str]:
    """Return RFC 3339 time and name of the header that ``before`` is: without a time, when the record was received.

    The device's own time goes before that of a relay's syslog header. Raises ParseError for a time that there is not.
    """
    iso = _ISO.search(before)
    if iso:
        year, month, day, time, zone, name = iso.groups()
        return moment(f"{year}-{month:0>2}-{day:0>2}T{time}{zone or ''}", site.zone, step=step), _bare(name)
    dated = _dated(before)
    if dated:
        year, month, day, time, name = dated
        return moment(f"{year}-{_number(month):02}-{day:0>2}T{time}", site.zone, step=step), _bare(name)
    if not before.strip():
        return rfc3339(record.received), ""
    frame = before.encode()
    message = parse_syslog(
        frame if frame.startswith(b"<") else _FILE_PRIORITY + frame, zone=site.zone, received=record.received
    )
    return rfc3339(message.timestamp or record.received), message.host


def _dated(before: str) -> tuple[str, str, str, str, str | None] | None:
    first = _YEAR_FIRST.search(before)
    if first:
        month, day, year, time, name = first.groups()
        return year, month, day, time, name
    last = _YEAR_LAST.search(before)
    if last:
        month, day, time, year, name = last.groups()
        return year, month, day, time, name
    return None


def _number(month: str) -> int:
    name = month.encode()
    return MONTHS.index(name) + 1 if name in MONTHS else 0


def _bare(name: str | None) -> str:
    return (name or "").rstrip(":")
