"""JumpServer bastions: ``jumpserver: login_log - {…}`` in syslog, one JSON object a log.

Source: JumpServer documentation (SYSLOG_ENABLE, SYSLOG_ADDR) and its audit models (apps/audits, apps/terminal). What
commands print and how settings differ is never copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events, lines
from ingest.parsers.clock import epoch, moment
from ingest.parsers.fields import classify, fill, put, text_of
from ingest.parsers.header import header
from ingest.parsers.json_body import body
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "jumpserver"
_KIND = re.compile(r"(?:jumpserver: )?\b(\w{3,40}_log) - ?$")
_TIME = re.compile(r"(\d{4})[/-](\d\d)[/-](\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)? ?(?:([+-]\d\d):?(\d\d)|Z)?")
_BRACKETED = re.compile(r"(.{0,128})\(([^()]{1,128})\)", re.S)
_ACCOUNTS = ("username", "user", "account", "system_user", "change_by")
_NAMES: Mapping[str, str] = {
    "ip": "source.ip",
    "remote_addr": "source.ip",
    "user_agent": "user_agent.original",
    "username": "user.name",
    "user": "user.name",
    "account": "user.target.name",
    "system_user": "user.target.name",
    "asset": "host.name",
    "protocol": "network.protocol",
    "input": "process.command_line",
    "resource_type": "jumpserver.resource_type",
    "operate": "jumpserver.operation",
    "action": "jumpserver.operation",
    "filename": "file.path",
    "risk_level": "jumpserver.risk_level",
    "backend": "jumpserver.backend",
    "login_from": "jumpserver.login_from",
    "session": "jumpserver.session",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when its kind is not said."""
    before, raw = body(record, site, step=_STEP)
    found = _KIND.search(before)
    if not found:
        raise ParseError("no jumpserver: <kind>_log before the object", step=_STEP)
    kind = found[1].removesuffix("_log")
    doc: Document = {
        "@timestamp": _time(raw, site)
        or header(before[: found.start()].partition("jumpserver")[0], record, site, step=_STEP)[0],
        "event.kind": "event",
        "event.module": "jumpserver",
        "event.dataset": f"jumpserver.{kind}" if kind in _KINDS else "jumpserver.other",
    }
    values = {name: _plain(name, value) for name, value in raw.items()}
    machine = _BRACKETED.fullmatch(text_of(raw.get("asset")))
    if machine:
        values["asset"] = machine[1]
        put(doc, "host.ip", machine[2])
    fill(doc, values, _NAMES)
    _KINDS.get(kind, _other)(doc, raw)
    return [Parsed(doc, LogSource("jumpserver", "", kind if kind in _KINDS else ""))]


def _plain(name: str, value: object) -> object:
    """Return a choice's value, and the account that stands in brackets behind a person's name."""
    if isinstance(value, dict):
        return value.get("value")
    found = _BRACKETED.fullmatch(value) if name in _ACCOUNTS and isinstance(value, str) else None
    return found[2] if found else value


def _time(raw: Mapping[str, Any], site: Site) -> str:
    for name in ("datetime", "date_start", "timestamp"):
        text = text_of(raw.get(name))
        found = _TIME.fullmatch(text)
        if found:
            year, month, day, time, hours, minutes = found.groups()
            zone = f"{hours}:{minutes}" if hours else "Z" if text.endswith("Z") else ""
            return moment(f"{year}-{month}-{day}T{time}{zone}", site.zone, step=_STEP)
        if text:
            return epoch(text, step=_STEP)
    return ""


def _succeeded(raw: Mapping[str, Any]) -> bool:
    return str(_plain("status", raw.get("status", raw.get("is_success", True)))).lower() in ("true", "1", "success")


def _login(doc: Document, raw: Mapping[str, Any]) -> None:
    firewall_events.login(doc, failed=not _succeeded(raw), where="bastion")


def _session(doc: Document, raw: Mapping[str, Any]) -> None:
    ended = raw.get("is_finished") is True
    classify(doc, "session", "end" if ended else "start", f"session-{'ended' if ended else 'started'}", "success")


def _command(doc: Document, raw: Mapping[str, Any]) -> None:
    refused = text_of(_plain("risk_level", raw.get("risk_level"))) in ("4", "5", "6", "7")
    classify(doc, "process", "denied" if refused else "start", "bastion-command", "failure" if refused else "success")


def _file(doc: Document, raw: Mapping[str, Any]) -> None:
    sent = str(doc.get("jumpserver.operation", "")).lower()
    kind = {"upload": "creation", "delete": "deletion", "rmdir": "deletion", "rename": "change"}.get(sent, "access")
    classify(doc, "file", kind, "bastion-file-transfer", "success" if _succeeded(raw) else "failure")


def _operation(doc: Document, _raw: Mapping[str, Any]) -> None:
    kind = {"create": "creation", "delete": "deletion", "view": "access"}.get(
        str(doc.get("jumpserver.operation", "")), "change"
    )
    classify(doc, ["configuration", "iam"], kind, "bastion-operation", "success")


def _password(doc: Document, raw: Mapping[str, Any]) -> None:
    doc.pop("user.name", None)
    put(doc, "user.target.name", _plain("user", raw.get("user")))
    put(doc, "user.name", _plain("change_by", raw.get("change_by")))
    classify(doc, "iam", "change", "password-change", "success")


def _other(doc: Document, _raw: Mapping[str, Any]) -> None:
    classify(doc, "host", "info", "bastion-event")


_KINDS: dict[str, Callable[[Document, Mapping[str, Any]], None]] = {
    "login": _login,
    "host_session": _session,
    "session": _session,
    "session_command": _command,
    "command": _command,
    "ftp": _file,
    "operation": _operation,
    "operate": _operation,
    "password_change": _password,
}

PARSER = Parser(
    "jumpserver",
    lines,
    parse,
    {
        **dict.fromkeys(("user.name", "user.target.name"), Action.STAFF),
        **dict.fromkeys(("user_agent.original", "file.path", "host.name"), Action.MASK),
        "process.command_line": Action.COMMAND,
    },
    title="JumpServer bastions",
    reads="logins, sessions, commands, file transfers and operations as JSON in syslog",
    logsources=(LogSource("jumpserver", "", "*"),),
)
