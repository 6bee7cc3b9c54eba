"""PostgreSQL pgaudit: ``AUDIT: SESSION,statement,substatement,class,command,object type,object,statement,parameters``.

The line before it is PostgreSQL's log_line_prefix, in which ``user@database`` or ``user=… db=… host=…`` are looked for.
Sources: pgaudit README ("Format", ``log_rows``), PostgreSQL 16 manual, 20.8 (log_line_prefix). Parameters stay.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from ingest.parsers import Parsed, Parser, Record, Site, key_value
from ingest.parsers.beginnings import cut
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.database_events import add_object, head, named_action, statement
from ingest.parsers.fields import fill, put
from ingest.scrub import Action
from ingest.syslog import parse as parse_syslog
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource, rfc3339

_STEP = "pgaudit"
_LOGSOURCE = LogSource("postgresql", "database", "audit")
_START = re.compile(rb"^(?=<\d{1,3}>|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)", re.M)
_AUDIT = re.compile(r"AUDIT: +(?=(?:SESSION|OBJECT),)")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?: ?(UTC|GMT|[+-]\d\d(?::?\d\d)?))?")
_ACCOUNT = re.compile(r"([\w$.-]{1,63})@([\w$.-]{1,63})")
_HOST = re.compile(r"([0-9A-Fa-f.:]{3,45})\((\d{1,5})\)")
_PREFIX = {
    "user": "user.name",
    "db": "db.schema",
    "app": "db.client_program",
    "host": "source.ip",
    "client": "source.ip",
}


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file at the lines that begin with a time or a syslog priority."""
    return cut(data, _START)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of an audit line; raises ParseError for any other line."""
    line = text(record.data, site.charset)
    found = _AUDIT.search(line)
    values = _values(line[found.end() :]) if found else []
    if not found or len(values) < 8:
        raise ParseError("no AUDIT: SESSION,… or OBJECT,… of pgaudit", step=_STEP)
    kind, number, _, audit_class, command, _, name, sql = values[:8]
    doc = head("postgresql")
    doc["@timestamp"] = _time(line[: found.start()], record, site)
    _prefix(doc, line[: found.start()])
    if sql and sql != "<not logged>":
        statement(doc, sql, "postgres")
    else:
        named_action(doc, command)
    put(doc, "postgresql.audit_type", kind.lower())
    put(doc, "postgresql.audit_class", audit_class.lower())
    put(doc, "db.query_id", int(number) if number.isdecimal() and len(number) < 19 else None)
    add_object(doc, name.rpartition(".")[2])
    if len(values) > 9:
        put(doc, "db.rows", values[9])
    doc["event.outcome"] = "success"  # pgaudit logs what is executed; errors are lines of their own
    return [Parsed(doc, _LOGSOURCE)]


def _values(rest: str) -> list[str]:
    try:
        return next(csv.reader([rest.replace("\0", "").replace("\r", " ").replace("\n", " ")]), [])
    except csv.Error:
        return []


def _time(prefix: str, record: Record, site: Site) -> str:
    if prefix.startswith("<"):
        message = parse_syslog(record.data, zone=site.zone, received=record.received)
        return rfc3339(message.timestamp or record.received)
    found = _TIME.search(prefix)
    if not found:
        return rfc3339(record.received)
    zone = {"UTC": "Z", "GMT": "Z"}.get(found[2] or "", found[2] or "")
    return moment(found[1] + zone, site.zone, step=_STEP)


def _prefix(doc: Document, prefix: str) -> None:
    fill(doc, key_value.pairs(prefix, r"\s,"), _PREFIX)
    account, host = _ACCOUNT.search(prefix), _HOST.search(prefix)
    if account:
        put(doc, "user.name", account[1])
        put(doc, "db.schema", account[2])
    if host:
        put(doc, "source.ip", host[1])
        put(doc, "source.port", host[2])


PARSER = Parser(
    "pgaudit",
    split,
    parse,
    dict.fromkeys(("user.name", "db.schema", "db.client_program", "event.action"), Action.MASK),
    title="PostgreSQL pgaudit",
    reads="lines of pgaudit in PostgreSQL's log or by syslog, with any log_line_prefix",
    logsources=(_LOGSOURCE,),
)
