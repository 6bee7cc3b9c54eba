"""Rows of Oracle's UNIFIED_AUDIT_TRAIL as JSON lines, as they are polled; names of columns in either case.

Source: Oracle Database Reference 19c, UNIFIED_AUDIT_TRAIL. EVENT_TIMESTAMP is the session's local time, read in the
site's zone; EVENT_TIMESTAMP_UTC goes before it. Bind values (SQL_BINDS) are never copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from ingest.parsers import Parsed, Parser, Query, Record, Site
from ingest.parsers.clock import moment
from ingest.parsers.database_events import add_object, head, named_action, outcome, statement
from ingest.parsers.fields import fill, put, text_of
from ingest.parsers.json_body import body
from ingest.parsers.json_objects import json_objects
from ingest.parsers.oracle_events import client
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import LogSource

_STEP = "oracle_unified"
_LOGSOURCE = LogSource("oracle", "database", "audit")
_NAMES = {
    "DBUSERNAME": "user.name",
    "OS_USERNAME": "db.os_user",
    "USERHOST": "source.domain",
    "TERMINAL": "oracle.terminal",
    "CLIENT_PROGRAM_NAME": "db.client_program",
    "OBJECT_SCHEMA": "db.schema",
    "UNIFIED_AUDIT_POLICIES": "rule.name",
    "SYSTEM_PRIVILEGE_USED": "oracle.privilege",
    "INSTANCE_ID": "db.instance",
    "TARGET_USER": "user.target.name",
}
_COLUMNS = (
    "EVENT_TIMESTAMP_UTC, INSTANCE_ID, SESSIONID, ENTRY_ID, STATEMENT_ID, DBUSERNAME, OS_USERNAME, USERHOST, TERMINAL, "
    "CLIENT_PROGRAM_NAME, AUTHENTICATION_TYPE, ACTION_NAME, OBJECT_SCHEMA, OBJECT_NAME, SQL_TEXT, RETURN_CODE, "
    "UNIFIED_AUDIT_POLICIES, SYSTEM_PRIVILEGE_USED, TARGET_USER"
)
_QUERY = Query(f"SELECT {_COLUMNS} FROM UNIFIED_AUDIT_TRAIL", ("EVENT_TIMESTAMP_UTC",), ("oracle",))  # noqa: S608 constants
"""Of 19c and later, where the time in UTC lets the database read the newest partitions only; no bind values."""


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a row; raises ParseError when it has no ACTION_NAME or no time."""
    row = {name.upper(): value for name, value in body(record, site, step=_STEP)[1].items()}
    action = text_of(row.get("ACTION_NAME"))
    if not action:
        raise ParseError("no ACTION_NAME of UNIFIED_AUDIT_TRAIL", step=_STEP)
    doc = head("oracle")
    doc["@timestamp"] = _time(row, site)
    fill(doc, row, _NAMES)
    client(doc, text_of(row.get("AUTHENTICATION_TYPE")))
    sql = text_of(row.get("SQL_TEXT"))
    if sql:
        statement(doc, sql, "oracle")
    else:
        named_action(doc, action)
    put(doc, "oracle.action_name", action)
    add_object(doc, row.get("OBJECT_NAME"))
    outcome(doc, text_of(row.get("RETURN_CODE")))
    return [Parsed(doc, _LOGSOURCE)]


def _time(row: Mapping[str, Any], site: Site) -> str:
    utc = text_of(row.get("EVENT_TIMESTAMP_UTC"))
    return moment(utc, UTC, step=_STEP) if utc else moment(text_of(row.get("EVENT_TIMESTAMP")), site.zone, step=_STEP)


PARSER = Parser(
    "oracle_unified",
    json_objects,
    parse,
    {
        "db.os_user": Action.STAFF,
        **dict.fromkeys(("user.name", "user.target.name", "source.domain", "oracle.terminal"), Action.MASK),
        **dict.fromkeys(("db.schema", "db.instance", "db.client_program", "oracle.action_name"), Action.MASK),
        **dict.fromkeys(("oracle.privilege", "rule.name"), Action.MASK),
    },
    title="Oracle unified audit",
    reads="rows of UNIFIED_AUDIT_TRAIL as JSON lines",
    logsources=(_LOGSOURCE,),
    query=_QUERY,
)
