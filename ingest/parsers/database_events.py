"""What databases' own audits have in common: actions that they name, objects, return codes, statements."""

from __future__ import annotations

import re

from ingest.parsers.fields import classify, text_of
from ingest.parsers.sql_features import describe, roles
from ingest.parsers.sql_shape import Dialect, literal_free_name
from wardwatch.event import Document

_TYPES = {
    "select": "access",
    "execute": "access",
    "insert": "creation",
    "create": "creation",
    "update": "change",
    "merge": "change",
    "alter": "change",
    "delete": "deletion",
    "drop": "deletion",
    "truncate": "deletion",
}
_CONNECTIONS = {"logon": ("db-connect", "start"), "logoff": ("db-disconnect", "end")}
_WORD = re.compile(r"[a-z]{2,20}")
_IAM = ("user", "role", "profile", "login")
_SETTINGS = ("audit", "system", "database", "policy")


def head(module: str) -> Document:
    """Return what every event of a database's audit begins with."""
    return {"event.kind": "event", "event.module": module, "event.dataset": f"{module}.audit"}


def statement(doc: Document, sql: str, dialect: Dialect) -> None:
    """Set the categories and ``db.*`` of a statement."""
    doc["event.category"] = ["database"]
    describe(doc, sql, dialect)


def named_action(doc: Document, name: str) -> None:
    """Set the categories of an action by its name, such as ``CREATE USER``."""
    words = _WORD.findall(name.lower())[:4] or ["statement"]
    if words[0] in _CONNECTIONS:
        action, kind = _CONNECTIONS[words[0]]
        classify(doc, ["database", "authentication"], kind, action)
    elif words[0] in ("grant", "revoke") or words[-1] in _IAM:
        classify(doc, ["database", "iam"], _TYPES.get(words[0], "change"), f"db-{'-'.join(words)}")
    elif words[0] in ("audit", "noaudit") or words[-1] in _SETTINGS:
        classify(doc, ["database", "configuration"], "change", f"db-{'-'.join(words)}")
    else:
        classify(doc, "database", _TYPES.get(words[0], "access"), f"db-{'-'.join(words)}")


def add_object(doc: Document, name: object) -> None:
    """Add a table that the audit names to those of the statement, with its roles."""
    table = literal_free_name(text_of(name).lower())
    if table:
        doc["db.objects"] = sorted({*doc.get("db.objects", []), table})
        found = sorted({*doc.get("db.objects_role", []), *roles("objects", (table,))})
        if found:
            doc["db.objects_role"] = found


def outcome(doc: Document, code: str) -> None:
    """Set outcome and code of a return code, of which 0 is success."""
    doc["event.outcome"] = "success" if code == "0" else "failure" if code else "unknown"
    if code.removeprefix("-").isdecimal():
        doc["event.code"] = code
