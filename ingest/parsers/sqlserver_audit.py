"""SQL Server audit: rows of ``fn_get_audit_file`` as JSON, and Windows event 33205 with ``name:value`` lines.

Sources: Microsoft SQL documentation, "sys.fn_get_audit_file (Transact-SQL)", "SQL Server Audit Records" and
"SQL Server Audit Action Groups and Actions" (action_id). event_time is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from ingest.parsers import Parsed, Parser, Query, Record, Site
from ingest.parsers.clock import moment
from ingest.parsers.database_events import add_object, head, named_action, statement
from ingest.parsers.fields import fill, put, text_of
from ingest.parsers.json_body import body, flat
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "sqlserver_audit"
_LOGSOURCE = LogSource("mssql", "database", "audit")
_LINE = re.compile(r"^([a-z_]{3,40}):(.*)$", re.M)
_MESSAGES = ("winlog.event_data.param1", "EventData.Data", "Event.EventData.Data", "Message", "message", "Data")
_ACTIONS = {
    "SL": "SELECT",
    "IN": "INSERT",
    "UP": "UPDATE",
    "DL": "DELETE",
    "EX": "EXECUTE",
    "CR": "CREATE OBJECT",
    "AL": "ALTER OBJECT",
    "DR": "DROP OBJECT",
    "G": "GRANT",
    "R": "REVOKE",
    "D": "DENY",
    "LGIS": "LOGON",
    "LGIF": "LOGON",
    "LGO": "LOGOFF",
    "APRL": "ALTER ROLE",
    "DPRL": "ALTER ROLE",
    "PWC": "ALTER LOGIN",
    "PWR": "ALTER LOGIN",
    "BA": "BACKUP DATABASE",
    "RS": "RESTORE DATABASE",
    "AUSC": "ALTER AUDIT",
}
_NAMES = {
    "server_principal_name": "user.name",
    "session_server_principal_name": "user.name",
    "target_server_principal_name": "user.target.name",
    "client_ip": "source.ip",
    "application_name": "db.client_program",
    "host_name": "source.domain",
    "server_instance_name": "db.instance",
    "database_name": "db.schema",
    "response_rows": "db.rows",
    "affected_rows": "db.rows",
    "session_id": "db.connection_id",
}
_QUERY = Query(
    "SELECT a.event_time, a.sequence_number, a.action_id, a.succeeded, a.session_id, a.class_type,"
    " a.server_principal_name, a.session_server_principal_name, a.target_server_principal_name,"
    " a.server_instance_name, a.database_name, a.object_name, a.statement, a.file_name, a.audit_file_offset"
    " FROM sys.server_file_audits AS s"
    " CROSS APPLY sys.fn_get_audit_file(s.log_file_path + N'*.sqlaudit', DEFAULT, DEFAULT) AS a",
    ("event_time", "audit_file_offset"),
    ("mssql",),
)
"""Columns that every version since 2008 has, of all files of all audits that go to files."""


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a row or of event 33205; raises ParseError."""
    row = _row(body(record, site, step=_STEP)[1])
    action = text_of(row.get("action_id"))
    if not action:
        raise ParseError("no action_id of a SQL Server audit", step=_STEP)
    doc = head("mssql")
    doc["@timestamp"] = moment(text_of(row.get("event_time"))[:26].removesuffix("Z"), UTC, step=_STEP)
    fill(doc, row, _NAMES)
    _meaning(doc, action, text_of(row.get("statement")))
    add_object(doc, row.get("object_name") if row.get("class_type", "U ") in ("U", "U ", "V", "V ") else "")
    put(doc, "mssql.action_id", action)
    succeeded = row.get("succeeded")
    doc["event.outcome"] = "success" if text_of(succeeded).lower() in ("1", "true") or succeeded is True else "failure"
    return [Parsed(doc, _LOGSOURCE)]


def _row(found: Document) -> Mapping[str, Any]:
    """Return the values by name, of a row or of the text in a Windows event."""
    if "action_id" in found:
        return found
    values = flat(found)
    texts = (text_of(values.get(name)) for name in _MESSAGES)
    message = next((one for one in texts if "action_id:" in one), "")
    before, _, rest = message.partition("\nstatement:")  # a statement has lines of its own, up to the next name
    sql = rest.split("\nadditional_information:")[0]
    return {name: value.strip() for name, value in _LINE.findall(before)} | ({"statement": sql} if sql else {})


def _meaning(doc: Document, action: str, sql: str) -> None:
    name = _ACTIONS.get(action.strip(), "")
    if sql and name not in ("LOGON", "LOGOFF"):
        statement(doc, sql, "tsql")
    else:
        named_action(doc, name or "statement")


PARSER = Parser(
    "sqlserver_audit",
    json_objects,
    parse,
    dict.fromkeys(
        (
            "user.name",
            "user.domain",
            "user.target.name",
            "user.target.domain",
            "db.client_program",
            "source.domain",
            "db.instance",
            "db.schema",
            "mssql.action_id",
        ),
        Action.MASK,
    ),
    title="SQL Server audit",
    reads="rows of fn_get_audit_file as JSON, Windows event 33205 as JSON",
    logsources=(_LOGSOURCE,),
    query=_QUERY,
)
