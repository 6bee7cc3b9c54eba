"""Oracle audit files (``*.aud``): a time, and lines ``NAME:[length] "value"`` or ``NAME :[length] 'value'``.

A value is as long as its length says, so that quotes and line ends inside a statement do not end it. The time may have
no zone: it is the server's, read in the site's. Sources: Oracle 19c Database Security Guide, "Administering the Audit
Trail" (AUDIT_FILE_DEST), Oracle Reference, DBA_AUDIT_TRAIL and AUDIT_ACTIONS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.parsers import Parsed, Parser, Record, Site
from ingest.parsers.beginnings import cut
from ingest.parsers.charset import text
from ingest.parsers.clock import spoken
from ingest.parsers.database_events import add_object, head, named_action, outcome, statement
from ingest.parsers.fields import fill
from ingest.parsers.oracle_events import ACTIONS, client
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import LogSource

_STEP = "oracle_audit"
_LOGSOURCE = LogSource("oracle", "database", "audit")
_START = re.compile(rb"^(?=[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})", re.M)
_TIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d) (\d{4})(?: ([+-]\d\d:\d\d))?")
_PAIR = re.compile(r"([A-Z][A-Z0-9$_ ]{0,40}?) ?:\[(\d{1,6})\] ?(['\"])")
_NAMES = {
    "DATABASE USER": "user.name",
    "USERID": "user.name",
    "CLIENT USER": "db.os_user",
    "OS$USERID": "db.os_user",
    "USERHOST": "source.domain",
    "CLIENT ADDRESS": "source.ip",
    "TERMINAL": "oracle.terminal",
    "CLIENT TERMINAL": "oracle.terminal",
    "PRIVILEGE": "oracle.privilege",
    "OBJ$CREATOR": "db.schema",
}


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file at the lines that are a record's time; the header of the file is no record."""
    records = list(cut(data, _START))
    yield from records[1:] if len(records) > 1 and not _START.match(records[0]) else records


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a record; raises ParseError when it has no time or no named value."""
    body = text(record.data, site.charset)
    time = _TIME.search(body)
    values = dict(_pairs(body))
    if not time or not values:
        raise ParseError('no time and NAME:[length] "value" of an Oracle audit file', step=_STEP)
    month, day, clock, year, zone = time.groups()
    doc = head("oracle")
    doc["@timestamp"] = spoken(f"{month} {day.strip()} {year} {clock} {zone or ''}".strip(), site.zone, 0, step=_STEP)
    fill(doc, values, _NAMES)
    client(doc, values.get("COMMENT$TEXT", ""))
    action, number = values.get("ACTION", ""), values.get("ACTION NUMBER", "")
    if action.isdecimal():
        action, number = "", action
    if action and action.upper() not in ("CONNECT", "LOGOFF"):
        statement(doc, action, "oracle")
    else:
        named_action(doc, ACTIONS.get(number) or {"CONNECT": "LOGON"}.get(action.upper(), action.upper()))
    add_object(doc, values.get("OBJ$NAME"))
    outcome(doc, values.get("STATUS") or values.get("RETURNCODE") or "")
    return [Parsed(doc, _LOGSOURCE)]


def _pairs(body: str) -> Iterator[tuple[str, str]]:
    """Yield the values by name; lengths are bytes, which is why the quote behind them is looked for from there."""
    at = 0
    while found := _PAIR.search(body, at):
        raw = body[found.end() :].encode("utf-8", "surrogatepass")[: int(found[2])]
        value = raw.decode("utf-8", "replace")
        at = found.end() + len(value)
        yield found[1].strip(), value


PARSER = Parser(
    "oracle_audit",
    split,
    parse,
    {
        "db.os_user": Action.STAFF,
        **dict.fromkeys(
            ("user.name", "source.domain", "oracle.terminal", "oracle.privilege", "db.schema"), Action.MASK
        ),
    },
    title="Oracle audit files",
    reads="*.aud files of AUDIT_FILE_DEST, statements over several lines",
    logsources=(_LOGSOURCE,),
    whole=True,
)
