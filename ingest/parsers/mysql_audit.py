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

from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.json_objects import json_objects
from ingest.parsers.networks import address
from ingest.parsers.sql_features import MAX_SHAPE, features
from ingest.parsers.sql_shape import literal_free, shape_hash
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
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")

_CONNECTIONS = {
    "connect": ("db-connect", "start", "success"),
    "failed_connect": ("db-connect", "start", "failure"),
    "disconnect": ("db-disconnect", "end", "success"),
    "quit": ("db-disconnect", "end", "success"),
}
_TYPES = {
    **dict.fromkeys(("insert", "load", "replace", "create"), "creation"),
    **dict.fromkeys(("update", "alter", "rename", "set", "grant", "revoke"), "change"),
    **dict.fromkeys(("delete", "drop", "truncate"), "deletion"),
}
_TABLE_TYPES = {"read": "access", "write": "change", "create": "creation", "alter": "change", "drop": "deletion"}
_TABLE_TYPES["rename"] = "change"


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file into its JSON objects, or else its lines (server_audit escapes the newlines in a statement)."""
    return json_objects(data) if data.lstrip(b"\xef\xbb\xbf \t\r\n[")[:1] == b"{" else lines(data)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a record; raises ParseError."""
    if record.data.lstrip()[:1] == b"{":
        return [Parsed(_json(record, site), _LOGSOURCE)]
    return [Parsed(_csv(text(record.data, site.charset).strip(), record, site.zone), _LOGSOURCE)]


def _csv(line: str, record: Record, zone: tzinfo) -> Document:
    """Read ``time,server,user,host,connection,query id,operation,database,object,retcode``."""
    doc = _head()
    time = _HEADER.match(line)
    relayed = None if time else _SYSLOG.match(line)
    if time:
        year, month, day, clock = time.groups()
        doc["@timestamp"] = moment(f"{year}-{month}-{day}T{clock:0>8}", zone, step=_STEP)
    elif relayed:
        doc["@timestamp"] = rfc3339(record.received)
    parts = line[(time or relayed).end() :].split(",", 7) if time or relayed else []  # type: ignore[union-attr]
    if len(parts) != 8:
        raise ParseError("not server_audit's ten values after a time like 20260301 02:11:09", step=_STEP)
    server, user, host, connection, query, operation, database, rest = parts
    _set(doc, "db.instance", server)
    _set(doc, "user.name", user)
    _set(doc, "db.schema", database)
    _set_number(doc, "db.connection_id", connection)
    _set_number(doc, "db.query_id", query)
    _set_client(doc, host)
    _operation(doc, operation.strip().lower(), rest)
    return doc


def _operation(doc: Document, operation: str, rest: str) -> None:
    found = _QUERY.fullmatch(rest) or _OTHER.fullmatch(rest)
    if not found:
        raise ParseError(f"no object and return code behind {operation[:40]!r}", step=_STEP)
    value, status = found.groups()
    if operation in _CONNECTIONS:
        failed = status not in ("", "0") and operation == "connect"
        _connection(doc, "failed_connect" if failed else operation)
    elif operation.startswith("query"):
        _statement(doc, _unescaped(value))
        _outcome(doc, status)
    elif operation in _TABLE_TYPES:
        _table(doc, operation, value)
    else:
        raise ParseError(f"not an operation of server_audit: {operation[:40]!r}", step=_STEP)


def _json(record: Record, site: Site) -> Document:
    try:
        raw = decode(record.data.strip(b", \t\r\n"))
    except DecodeError as error:
        raise ParseError(error.reason, step=_STEP) from None
    if isinstance(raw.get("audit_record"), dict):
        return _percona(raw["audit_record"], site)
    if isinstance(raw.get("class"), str):
        return _enterprise(raw, site)
    raise ParseError("neither audit_record (Percona) nor class (MySQL Enterprise)", step=_STEP)


def _percona(audited: Mapping[str, Any], site: Site) -> Document:
    doc = _head()
    doc["@timestamp"] = _json_time(audited.get("timestamp"), site)
    account = _PERCONA_ACCOUNT.match(_text(audited.get("user")))
    _set(doc, "user.name", account[1] if account else "")
    _set(doc, "db.schema", _text(audited.get("db")))
    _set(doc, "db.os_user", _text(audited.get("os_user")) or _text(audited.get("os_login")))
    _set_number(doc, "db.connection_id", _text(audited.get("connection_id")))
    _set_client(doc, _text(audited.get("ip")) or _text(audited.get("host")))
    name, status = _text(audited.get("name")).lower(), _text(audited.get("status"))
    if name in _CONNECTIONS:
        _connection(doc, "failed_connect" if name == "connect" and status not in ("", "0") else name)
    elif "sqltext" in audited:
        _statement(doc, _text(audited["sqltext"]))
        _outcome(doc, status)
    else:
        _server(doc, name)
    return doc


def _enterprise(raw: Document, site: Site) -> Document:
    doc = _head()
    account, login = _object(raw.get("account")), _object(raw.get("login"))
    general, connection = _object(raw.get("general_data")), _object(raw.get("connection_data"))
    table = _object(raw.get("table_access_data"))
    doc["@timestamp"] = _json_time(raw.get("timestamp"), site)
    _set(doc, "user.name", _text(account.get("user")) or _text(login.get("user")))
    _set(doc, "db.os_user", _text(login.get("os")))
    _set(doc, "db.schema", _text(connection.get("db")) or _text(table.get("db")))
    _set(doc, "db.client_program", _program(connection) or _program(general))
    _set_number(doc, "db.connection_id", _text(raw.get("connection_id")))
    _set_client(doc, _text(login.get("ip")) or _text(account.get("host")))
    event, status = _text(raw.get("event")).lower(), _text(general.get("status")) or _text(connection.get("status"))
    query = _text(general.get("query")) or _text(table.get("query"))
    if raw["class"] == "connection" and event in _CONNECTIONS:
        _connection(doc, "failed_connect" if event == "connect" and status not in ("", "0") else event)
    elif query:
        _statement(doc, query)
        _outcome(doc, status)
        _add_table(doc, _text(table.get("table")))
    else:
        _server(doc, f"{_text(raw['class'])}-{event}")
    return doc


def _program(data: Mapping[str, Any]) -> str:
    attributes = _object(data.get("connection_attributes"))
    return _text(attributes.get("program_name")) or _text(attributes.get("_client_name"))


def _head() -> Document:
    return {"event.kind": "event", "event.module": "mysql_audit", "event.category": ["database"]}


def _connection(doc: Document, operation: str) -> None:
    action, kind, outcome = _CONNECTIONS[operation]
    doc["event.category"] = ["database", "authentication"]
    doc["event.type"] = [kind]
    doc["event.action"] = action
    doc["event.outcome"] = outcome


def _table(doc: Document, operation: str, name: str) -> None:
    doc["event.type"] = [_TABLE_TYPES[operation]]
    doc["event.action"] = f"db-table-{operation}"
    doc["event.outcome"] = "success"
    _add_table(doc, name)


def _add_table(doc: Document, name: str) -> None:
    if name:
        shape = features(f"TABLE `{literal_free('`' + name.replace('`', '') + '`').strip('`')}`")
        doc["db.objects"] = sorted({*doc.get("db.objects", []), *shape.objects})
        doc["db.objects_role"] = sorted({*doc.get("db.objects_role", []), *shape.objects_role})


def _server(doc: Document, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z _-]{0,40}", name):
        raise ParseError(f"not an event of an audit log: {name[:40]!r}", step=_STEP)
    doc["event.type"] = ["info"]
    doc["event.action"] = f"db-{name.replace(' ', '-')}"


def _statement(doc: Document, sql: str) -> None:
    shape = literal_free(sql)
    found = features(shape)
    doc["event.action"] = f"db-{found.verb or 'statement'}"
    doc["event.type"] = [_TYPES.get(found.verb, "access")]
    if found.verb in ("grant", "revoke"):
        doc["event.category"] = ["database", "iam"]
    doc["db.sql_parsed"] = found.parsed
    doc["db.sql_shape_hash"] = shape_hash(shape)
    doc["db.statement"] = _leaving(shape, known=bool(found.verb), parsed=found.parsed)
    if found.is_export:
        doc["db.export"] = True
    if found.parsed:
        _features(doc, found)


def _leaving(shape: str, *, known: bool, parsed: bool) -> str:
    """Return what may leave of a statement: text that is not SQL may be a person's, so none of it."""
    if not known:
        return "?"
    return (shape if parsed else _NOT_ASCII.sub("?", shape))[:MAX_SHAPE]


def _features(doc: Document, found: Any) -> None:
    doc["db.has_group_by"] = found.has_group_by
    for name, values in (
        ("db.objects", found.objects),
        ("db.functions", found.functions),
        ("db.group_by_columns", found.group_by),
        ("db.objects_role", found.objects_role),
        ("db.group_by_roles", found.group_by_roles),
    ):
        if values:
            doc[name] = list(values)


def _outcome(doc: Document, status: str) -> None:
    if status:
        doc["event.outcome"] = "success" if status == "0" else "failure"
        doc["event.code"] = status


def _unescaped(quoted: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), quoted)


def _json_time(value: object, site: Site) -> str:
    """Return the time of a JSON record: both forms are documented as UTC; Percona says so or writes the zone."""
    written = _text(value)
    zone = site.zone if not written else UTC
    return moment(written.removesuffix(" UTC"), zone, step=_STEP)


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


PARSER = Parser("mysql_audit", split, parse, {"db.os_user": Action.STAFF})
