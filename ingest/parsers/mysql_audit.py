"""MySQL and MariaDB audit logs: server_audit's CSV, and JSON of MySQL Enterprise, Percona and their filters.

SQL leaves the hospital as its literal-free shape only (sql_shape.py) with features read from that shape
(sql_features.py). Database accounts stay readable: a hospital's programs share them, so they name no person.
Sources: MariaDB "Audit Plugin Log Format", MySQL 8.4 manual 8.4.5.4 "Audit Log File Formats", Percona "Audit Log".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from typing import Any

from ingest.address import address
from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.json_objects import json_objects
from ingest.parsers.sql_features import describe, roles
from ingest.parsers.sql_shape import literal_free_name
from ingest.scrub import Action
from wardwatch.errors import DecodeError, ParseError
from wardwatch.event import Document, LogSource, decode, rfc3339

_STEP = "mysql_audit"
_LOGSOURCE = LogSource("mysql", "database", "audit")
_HEADER = re.compile(r"(\d{4})(\d\d)(\d\d) {1,2}(\d{1,2}:\d\d:\d\d),")
_SYSLOG = re.compile(r"<\d{1,3}>.{0,200}?mysql-server_auditing(?:\[\d+\])?: ?", re.S)
_QUERY = re.compile(r"'(.*)',(-?\d*)", re.S)
_OTHER = re.compile(r"([^,]*),(-?\d*)(?:,.*)?", re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "0": "\0"}
_PERCONA_ACCOUNT = re.compile(r"([^\[\s@]{0,256})")

_CONNECTIONS = {
    "connect": ("db-connect", "start", "success"),
    "failed_connect": ("db-connect", "start", "failure"),
    "disconnect": ("db-disconnect", "end", "success"),
    "quit": ("db-disconnect", "end", "success"),
}
_TABLE_TYPES = {"read": "access", "write": "change", "create": "creation", "alter": "change", "drop": "deletion"}
_TABLE_TYPES["rename"] = "change"


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file into its JSON objects, or else its lines (server_audit escapes the newlines in a statement)."""
    return json_objects(data) if data.lstrip(b"\xef\xbb\xbf \t\r\n[")[:1] == b"{" else lines(data)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a record; raises ParseError."""
    if record.data.lstrip()[:1] == b"{":
        return [Parsed(_json(record), _LOGSOURCE)]
    return [Parsed(_csv(text(record.data, site.charset).strip(), record, site.zone), _LOGSOURCE)]


def _csv(line: str, record: Record, zone: tzinfo) -> Document:
    """Read ``time,server,user,host,connection,query id,operation,database,object,retcode``."""
    doc = _head()
    doc["@timestamp"], rest = _timed(line, record, zone)
    parts = rest.split(",", 7)
    if len(parts) != 8:
        raise ParseError("fewer than server_audit's ten values", step=_STEP)
    server, user, host, connection, query, operation, database, result = parts
    _set(doc, "db.instance", server)
    _set(doc, "user.name", user)
    _set(doc, "db.schema", database)
    _set_number(doc, "db.connection_id", connection)
    _set_number(doc, "db.query_id", query)
    _set_client(doc, host)
    _operation(doc, operation.strip().lower(), result)
    return doc


def _timed(line: str, record: Record, zone: tzinfo) -> tuple[str, str]:
    time = _HEADER.match(line)
    if time:
        year, month, day, clock = time.groups()
        return moment(f"{year}-{month}-{day}T{clock:0>8}", zone, step=_STEP), line[time.end() :]
    relayed = _SYSLOG.match(line)
    if relayed:  # server_audit leaves the time to syslog, whose own is the same second
        return rfc3339(record.received), line[relayed.end() :]
    raise ParseError("neither JSON nor server_audit's time, like 20260301 02:11:09", step=_STEP)


def _operation(doc: Document, operation: str, rest: str) -> None:
    is_query = operation.startswith("query")  # QUERY_DDL, QUERY_DML and others too
    found = (_QUERY if is_query else _OTHER).fullmatch(rest)
    if not found:
        raise ParseError("no object and return code behind the operation", step=_STEP)
    value, status = found.groups()
    if operation in _CONNECTIONS:
        _connection(doc, operation, status)
    elif is_query:
        describe(doc, _unescaped(value))
        _outcome(doc, status)
    elif operation in _TABLE_TYPES:
        _table(doc, operation, value)
    else:
        raise ParseError("not an operation of server_audit", step=_STEP)


def _json(record: Record) -> Document:
    try:
        raw = decode(record.data.strip(b", \t\r\n"))
    except DecodeError as error:
        raise ParseError(error.reason, step=_STEP) from None
    if isinstance(raw.get("audit_record"), dict):
        return _percona(raw["audit_record"])
    if isinstance(raw.get("class"), str):
        return _enterprise(raw)
    raise ParseError("neither audit_record (Percona) nor class (MySQL Enterprise)", step=_STEP)


def _percona(audited: Mapping[str, Any]) -> Document:
    doc = _head()
    doc["@timestamp"] = _json_time(audited.get("timestamp"))
    account = _PERCONA_ACCOUNT.match(_text(audited.get("user")))
    _set(doc, "user.name", account[1] if account else "")
    _set(doc, "db.schema", _text(audited.get("db")))
    _set(doc, "db.os_user", _text(audited.get("os_user")) or _text(audited.get("os_login")))
    _set_number(doc, "db.connection_id", _text(audited.get("connection_id")))
    _set_client(doc, _text(audited.get("ip")) or _text(audited.get("host")))
    name, status = _text(audited.get("name")).lower(), _text(audited.get("status"))
    if name in _CONNECTIONS:
        _connection(doc, name, status)
    elif "sqltext" in audited:
        describe(doc, _text(audited["sqltext"]))
        _outcome(doc, status)
    else:
        _server(doc, name)
    return doc


def _enterprise(raw: Document) -> Document:
    doc = _head()
    account, login = _object(raw.get("account")), _object(raw.get("login"))
    general, connection = _object(raw.get("general_data")), _object(raw.get("connection_data"))
    table = _object(raw.get("table_access_data"))
    doc["@timestamp"] = _json_time(raw.get("timestamp"))
    _set(doc, "user.name", _text(account.get("user")) or _text(login.get("user")))
    _set(doc, "db.os_user", _text(login.get("os")))
    _set(doc, "db.schema", _text(connection.get("db")) or _text(table.get("db")))
    _set(doc, "db.client_program", _program(connection) or _program(general))
    _set_number(doc, "db.connection_id", _text(raw.get("connection_id")))
    _set_client(doc, _text(login.get("ip")) or _text(account.get("host")))
    event, status = _text(raw.get("event")).lower(), _text(general.get("status")) or _text(connection.get("status"))
    query = _text(general.get("query")) or _text(table.get("query"))
    if raw["class"] == "connection" and event in _CONNECTIONS:
        _connection(doc, event, status)
    elif query:
        describe(doc, query)
        _outcome(doc, status)
        _add_table(doc, _text(table.get("table")))
    else:
        _server(doc, f"{_text(raw['class'])}-{event}")
    return doc


def _program(data: Mapping[str, Any]) -> str:
    attributes = _object(data.get("connection_attributes"))
    return _text(attributes.get("program_name")) or _text(attributes.get("_client_name"))


def _head() -> Document:
    return {
        "event.kind": "event",
        "event.module": "mysql",
        "event.dataset": "mysql.audit",
        "event.category": ["database"],
    }


def _connection(doc: Document, operation: str, status: str) -> None:
    action, kind, outcome = _CONNECTIONS[operation]
    doc["event.category"] = ["database", "authentication"]
    doc["event.type"] = [kind]
    doc["event.action"] = action
    doc["event.outcome"] = outcome if status in ("", "0") else "failure"


def _table(doc: Document, operation: str, name: str) -> None:
    doc["event.type"] = [_TABLE_TYPES[operation]]
    doc["event.action"] = f"db-table-{operation}"
    doc["event.outcome"] = "success"
    _add_table(doc, name)


def _add_table(doc: Document, name: str) -> None:
    if name:
        table = literal_free_name(name.lower())
        doc["db.objects"] = sorted({*doc.get("db.objects", []), table})
        doc["db.objects_role"] = sorted({*doc.get("db.objects_role", []), *roles("objects", (table,))})


def _server(doc: Document, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z _-]{0,40}[a-z]", name):
        raise ParseError("not an event of an audit log", step=_STEP)
    doc["event.type"] = ["info"]
    doc["event.action"] = f"db-{name.replace(' ', '-')}"


def _outcome(doc: Document, status: str) -> None:
    if status:
        doc["event.outcome"] = "success" if status == "0" else "failure"
        doc["event.code"] = status


def _unescaped(quoted: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), quoted)


def _json_time(value: object) -> str:
    # both formats write UTC without saying so, but for Percona, which says " UTC" or writes an offset
    return moment(_text(value).removesuffix(" UTC"), UTC, step=_STEP)


def _set(doc: Document, name: str, value: str) -> None:
    if value:
        doc[name] = value


def _set_number(doc: Document, name: str, value: str) -> None:
    if value.isdecimal() and len(value) <= 18:
        doc[name] = int(value)


def _set_client(doc: Document, host: str) -> None:
    found = address(host)
    if found:
        doc["client.ip"] = doc["source.ip"] = found
    elif host:
        doc["source.domain"] = host


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


PARSER = Parser(
    "mysql_audit",
    split,
    parse,
    {"db.os_user": Action.STAFF},
    title="MySQL, MariaDB and Percona audit",
    reads="MariaDB and Percona server_audit CSV, MySQL Enterprise and Percona JSON",
    logsources=(_LOGSOURCE,),
)
