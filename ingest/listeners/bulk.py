"""What senders for Elasticsearch expect of ``_bulk`` and of the few requests before it (Elasticsearch 9, Bulk API).

The documents of ``index`` and ``create`` are records; other actions are refused one by one. A document that the parser
refuses is answered with 201 all the same: it is in the quarantine, and a sender could only drop it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from ingest.spool import Kind
from wardwatch.errors import ParseError

HEADERS = {"X-Elastic-Product": "Elasticsearch"}
"""Clients since 7.14 speak to nothing that does not say so."""

INFO: dict[str, object] = {
    "name": "wardwatch",
    "cluster_name": "wardwatch",
    "cluster_uuid": "wardwatch",
    "version": {"number": "9.3.0", "build_flavor": "default", "minimum_wire_compatibility_version": "8.19.0"},
    "tagline": "You Know, for Search",
}
"""Beats and Logstash read the version, clients before 7.14 also flavour and tagline."""

LICENSE: dict[str, object] = {"license": {"status": "active", "uid": "wardwatch", "type": "basic", "mode": "basic"}}
HEALTH: dict[str, object] = {"cluster_name": "wardwatch", "status": "green", "timed_out": False}
_TAKEN = ("index", "create")
_WITHOUT_DOCUMENT = "delete"


class _Target(msgspec.Struct):
    index: str = msgspec.field(name="_index", default="")
    identifier: str | None = msgspec.field(name="_id", default=None)


@dataclass(frozen=True, slots=True)
class Item:
    """One action of a request; ``document`` is None where the action is not taken."""

    action: str
    index: str
    identifier: str | None
    document: bytes | None


_actions = msgspec.json.Decoder(dict[str, _Target])


def read(body: bytes, index: str = "") -> list[Item]:
    """Return the items of a body of NDJSON, in which ``index`` is the path's; raises ParseError."""
    return list(_items(iter(body.split(b"\n")), index))


def _items(lines: Iterator[bytes], index: str) -> Iterator[Item]:
    for line in lines:
        if not line.strip():
            continue
        action, target = _action(line)
        document = b"" if action == _WITHOUT_DOCUMENT else next(lines, b"").strip()
        if not document and action != _WITHOUT_DOCUMENT:
            raise ParseError("an action without its document", step="bulk")
        taken = document if action in _TAKEN else None
        yield Item(action, target.index or index, target.identifier, taken)


def _action(line: bytes) -> tuple[str, _Target]:
    try:
        (found,) = _actions.decode(line).items()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ParseError("a line that should be an action is none", step="bulk") from None
    if found[0] not in (*_TAKEN, "update", _WITHOUT_DOCUMENT):
        raise ParseError("an unknown action", step="bulk")
    return found


def answer(items: Sequence[Item], kinds: Sequence[Kind | None], took_ms: int) -> bytes:
    """Return the answer to the items; ``kinds`` says what became of each document, None: no room, send again."""
    left = iter(kinds)
    results = [{item.action: _result(item, None if item.document is None else (next(left),))} for item in items]
    errors = any("error" in result for each in results for result in each.values())
    return orjson.dumps({"took": took_ms, "errors": errors, "items": results})


def _result(item: Item, kind: tuple[Kind | None] | None) -> dict[str, Any]:
    named = {"_index": item.index, "_id": item.identifier}
    if kind is None:
        return named | {"status": 400, **_error("illegal_argument_exception", f"{item.action} is not taken")}
    if kind[0] is None:
        return named | {"status": 429, **_error("es_rejected_execution_exception", "no room, send again")}
    return named | {"status": 201, "result": "created"}


def failure(status: int, reason: str) -> bytes:
    """Return the body of a whole request's error."""
    kind = {429: "es_rejected_execution_exception", 401: "security_exception"}.get(status, "illegal_argument_exception")
    return orjson.dumps({**_error(kind, reason), "status": status})


def _error(kind: str, reason: str) -> dict[str, Any]:
    return {"error": {"type": kind, "reason": reason}}
