"""What Oracle's two audits have in common: the client's address inside a text, actions by number."""

from __future__ import annotations

import re

from ingest.parsers.fields import put
from wardwatch.event import Document

_CLIENT = re.compile(r"\(HOST=([^()\s]{1,64})\)(?:\(PORT=(\d{1,5})\))?", re.I)

ACTIONS = {
    "1": "CREATE TABLE",
    "2": "INSERT",
    "3": "SELECT",
    "6": "UPDATE",
    "7": "DELETE",
    "12": "DROP TABLE",
    "15": "ALTER TABLE",
    "17": "GRANT OBJECT",
    "18": "REVOKE OBJECT",
    "43": "ALTER USER",
    "47": "EXECUTE",
    "49": "ALTER SYSTEM",
    "51": "CREATE USER",
    "52": "CREATE ROLE",
    "53": "DROP USER",
    "85": "TRUNCATE TABLE",
    "100": "LOGON",
    "101": "LOGOFF",
    "102": "LOGOFF BY CLEANUP",
    "104": "AUDIT OBJECT",
    "105": "NOAUDIT OBJECT",
    "108": "GRANT SYSTEM",
    "109": "REVOKE SYSTEM",
    "114": "GRANT ROLE",
    "115": "REVOKE ROLE",
    "189": "MERGE",
}
"""The usual ones of the view AUDIT_ACTIONS."""


def client(doc: Document, text: str) -> None:
    """Set the client's address that ``(CLIENT ADDRESS=((PROTOCOL=tcp)(HOST=…)(PORT=…)))`` names."""
    found = _CLIENT.search(text)
    if found:
        put(doc, "source.ip", found[1])
        put(doc, "source.port", found[2])
        put(doc, "client.ip", found[1])
