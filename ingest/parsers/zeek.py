"""Zeek logs, JSON or tab-separated: conn, dns, http, ssl, dhcp, mysql, smb_files, rdp, ssh, notice and others.

Source: Zeek manual, "Zeek log formats and inspection" and the script reference of each log's record. A tab-separated
file is one record (its header names the columns), so collect rotated ones; JSON without ``_path`` is told by columns.
Logs that are not known give the connection only. Messages, mail and file contents are never copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events
from ingest.parsers.charset import text
from ingest.parsers.clock import epoch, moment
from ingest.parsers.fields import classify, fill, number_of, put, text_of
from ingest.parsers.json_body import body, flat
from ingest.parsers.json_objects import json_objects
from ingest.parsers.sql_features import describe
from ingest.parsers.zeek_logs import CONNECTION, LOGS, Log
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "zeek"
_MAGIC = b"#separator"
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})")
_UNSET = ("-", "(empty)")


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file into its JSON objects; tab-separated ones stay whole from header to header."""
    if not data.startswith(_MAGIC):
        yield from json_objects(data)
        return
    for part in data.split(_MAGIC)[1:]:
        yield (_MAGIC + part).rstrip(b"\r\n")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the event of a JSON object, or those of a tab-separated log; raises ParseError."""
    if record.data.startswith(_MAGIC):
        return [_event(path, values, site) for path, values in _rows(text(record.data, site.charset))]
    _, raw = body(record, site, step=_STEP)
    values = flat(raw)
    return [_event(text_of(values.get("_path") or values.get("@path")) or _path_of(values), values, site)]


def _rows(log: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield each line of a tab-separated log with its path; raises ParseError for a log without columns or lines."""
    header: dict[str, list[str]] = {}
    found = False
    for line in log.splitlines():
        values = line.split("\t")
        if line.startswith("#"):
            header[values[0]] = values[1:]
        elif len(values) != len(header.get("#fields", [])):
            raise ParseError("a line has not the columns of #fields", step=_STEP)
        else:
            found = True
            types = header.get("#types", ["string"] * len(values))
            yield (
                "".join(header.get("#path", [])),
                dict(zip(header["#fields"], map(_cell, values, types), strict=False)),
            )
    if not found:
        raise ParseError("a tab-separated log without a line", step=_STEP)


def _cell(value: str, kind: str) -> object:
    if value in _UNSET:
        return None
    if kind.startswith(("set[", "vector[")):
        return [_unescaped(item) for item in value.split(",")]
    return value == "T" if kind == "bool" else _unescaped(value)


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)


def _path_of(values: Mapping[str, object]) -> str:
    return next((path for path, log in LOGS.items() if log.mark and log.mark in values), "")


def _event(path: str, values: Mapping[str, object], site: Site) -> Parsed:
    doc: Document = {
        "@timestamp": _time(text_of(values.get("ts")), site),
        "event.kind": "event",
        "event.module": "zeek",
        "event.dataset": f"zeek.{path}" if path in LOGS else "zeek.other",
    }
    log = LOGS.get(path, Log())
    if path == "kerberos":  # the realm behind the name is no part of the account
        values = {**values, "client": text_of(values.get("client")).partition("/")[0]}
    fill(doc, values, {**log.names, **CONNECTION})
    classify(doc, list(log.category), list(log.type), log.action)
    firewall_events.towards(doc)
    _finish(doc, path, values)
    return Parsed(doc, LogSource("zeek", _category(path, doc), path if path in LOGS else ""))


def _time(ts: str, site: Site) -> str:
    return epoch(ts, step=_STEP) if ts[:9].isdecimal() else moment(ts, site.zone, step=_STEP)


def _category(path: str, doc: Document) -> str:
    if path == "http":  # what hospital machines ask of the internet is what a proxy's log holds
        return "webserver" if doc.get("network.direction") in ("inbound", "internal") else "proxy"
    return "dns" if path == "dns" else ""


def _finish(doc: Document, path: str, values: Mapping[str, object]) -> None:
    succeeded = values.get("success", values.get("auth_success"))
    if isinstance(succeeded, bool):
        doc["event.outcome"] = "success" if succeeded else "failure"
    elif {"authentication", "database"} & {*doc["event.category"]}:
        doc["event.outcome"] = "unknown"
    if path == "mysql" and text_of(values.get("cmd")) in ("query", "prepare", "statement prepare"):
        describe(doc, text_of(values.get("arg")))
        put(doc, "db.rows", number_of(values.get("rows")))
    if path == "notice":
        doc["event.kind"] = "alert"
    seconds = text_of(values.get("duration"))
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", seconds):
        put(doc, "event.duration", round(float(seconds) * 1e9))


PARSER = Parser(
    "zeek",
    split,
    parse,
    {
        **dict.fromkeys(("user.name", "client.domain", "source.domain"), Action.STAFF),
        **dict.fromkeys(("url.original", "http.request.referrer"), Action.URL),
        **dict.fromkeys(("user_agent.original", "file.name", "file.share", "tls.server.subject"), Action.MASK),
    },
    title="Zeek network logs",
    reads="conn, dns, http, ssl, dhcp, mysql, smb_files, rdp, ssh, notice and others, JSON or tab-separated",
    logsources=(LogSource("zeek", "*", "*"),),
    magic=_MAGIC,
)
