"""The source catalogue: a page for each parser, made from its entry, its sample and the fields that come of it.

``make catalogue`` writes it; a test fails where it is not what the parsers say.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import orjson

from ingest.framing import SyslogFraming
from ingest.listeners.http import items
from ingest.parsers import MAPPINGS, PARSERS, Parsed, Parser, Record, Site, parser, windows_events
from ingest.scrub import Action, scrub
from ingest.vault import HmacTokens
from wardwatch.event import Document, LogSource

RECEIVED = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
PEER = "10.3.1.5"

_TOKENS = HmacTokens(bytes(32))
_SCRUBBED = {
    Action.PATIENT: "token of a patient",
    Action.STAFF: "token of a member of staff",
    Action.ENCOUNTER: "token of a visit or order",
    Action.STUDY: "token of a study",
    Action.TEXT: "free text, identifiers in it replaced",
    Action.URL: "route and shape of the query only",
    Action.QUERY: "names and shapes of values only",
    Action.MASK: "ASCII only, long numbers and homes masked",
    Action.COMMAND: "ASCII only, contents of quotes masked",
}
_OWN_TRANSPORT = {"snmp_trap": "snmp", "netflow": "flow"}
_OPEN = {"windows": ("winlog.event_data.*", "winlog.user_data.*")}
_LOGSOURCES = {"windows": windows_events.logsources()}
_DOTTED = re.compile(r"[\"']([a-z_]+(?:\.\w*[a-z0-9])+)[\"']")
_IMPORTED = re.compile(r"^from ingest\.parsers\.(\w+) import", re.M)
_INDEX = """# Sources

What each parser reads and the Sigma log source of its events. A page for each has its fields and an example. See for
yourself: `wardwatch parse --source NAME FILE`. This list is written by `make catalogue`;
[how the fields are meant](../sources.md) is told apart. `wardwatch collector sources` prints it.

| source | product | reads | transports | log source (product / category / service) |
|---|---|---|---|---|
"""


def events(source: Parser, data: bytes) -> Iterator[Parsed]:
    """Yield the events of a sample, as if it arrived at RECEIVED from PEER; raises ParseError."""
    for record in source.split(data):
        yield from source.parse(Record(record, peer=PEER, received=RECEIVED), Site())


def transports(source: Parser) -> tuple[str, ...]:
    """Return the transports whose framing hands on records of the source's sample as they are.

    HL7 belongs to MLLP, which alone answers each message; what a transport makes of its own protocol, to that one. A
    record of several lines needs a file or octet counting. The value of a record of Kafka and a message of MQTT is
    always one as it is, files come by SFTP and from S3 too. Rows of a database are asked for where the parser says how.
    """
    if source.name in _OWN_TRANSPORT:
        return (_OWN_TRANSPORT[source.name], "file")
    records = list(source.split(source.sample()))
    if all(record.startswith(b"MSH") for record in records):
        return ("mllp", "kafka", "mqtt", *_FILES)
    syslog = ("udp", "tcp", "tls") if any(SyslogFraming().feed(_framed(one)) == [one] for one in records) else ()
    http = ("http",) if any(items(one) == [one] for one in records) else ()
    rows = ("sql",) if source.query else ()
    brokers = () if source.parts else ("kafka", "mqtt")  # whose records are not joined
    return (*syslog, *http, *rows, *brokers, *_FILES)


def _framed(record: bytes) -> bytes:
    """Return a record as it goes over TCP: counted where it begins like a syslog message, else a line."""
    return b"%d %s" % (len(record), record) if record.startswith(b"<") else record + b"\n"


def index() -> str:
    """Return the catalogue's first page, in Markdown."""
    rows = (f"| [`{name}`]({name}.md) | {' | '.join(_cells(parser(name)))} |\n" for name in PARSERS)
    return _INDEX + "".join(rows)


def _cells(source: Parser) -> tuple[str, ...]:
    return source.title, source.reads, ", ".join(transports(source)), _logsources(source)


def page(source: Parser) -> str:
    """Return the page of one source, in Markdown."""
    docs = [scrub(one.doc, source.policy, _TOKENS) for one in events(source, source.sample())]
    return "\n\n".join(
        (
            f"# {source.title}",
            f"`wardwatch parse --source {source.name} FILE` reads {source.reads}.",
            f"Log source (product / category / service): {_logsources(source)}",
            inspect.getdoc(inspect.getmodule(source.parse)) or "",
            "## Fields\n\n| field | values | scrub |\n|---|---|---|\n" + "\n".join(_rows(source, docs)),
            f"Never leave the hospital: {_dropped(source.policy)}.",
            f"## Example\n\n```json\n{orjson.dumps(docs[0], option=_PRETTY).decode()}\n```\n",
        )
    )


_FILES = ("file", "sftp", "s3")
_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


def _rows(source: Parser, docs: list[Document]) -> Iterator[str]:
    names = sorted({name for doc in docs for name in doc if not name.startswith("privacy.")})
    for name in names:
        kind = next(type_of(doc[name]) for doc in docs if name in doc)
        done = _SCRUBBED.get(source.policy[name], "") if name in source.policy else ""
        yield f"| `{name}` | {kind} | {done} |"


def type_of(value: object) -> str:
    """Return what a value is in an index: ``keyword``, ``long``, ``float`` or ``boolean``, and ``[]`` for a list."""
    if isinstance(value, list):
        return f"{type_of(value[0])}[]" if value else "keyword[]"
    return {bool: "boolean", int: "long", float: "float", str: "keyword"}.get(type(value), "object")


def _dropped(policy: Mapping[str, Action]) -> str:
    names = sorted(name for name, action in policy.items() if action is Action.DROP)
    return ", ".join(f"`{name}`" for name in names) or "fields that the parser does not name"


def _logsources(source: Parser) -> str:
    return "; ".join(_logsource(one) for one in source.logsources)


def _logsource(found: LogSource) -> str:
    parts = (found.product, found.category, found.service)
    return " / ".join({"": "–", "*": "by event"}.get(part, part) for part in parts)


def entries() -> bytes:
    """Return what rules can count on, as JSON: of each source its log sources, and its fields with their types."""
    return orjson.dumps([_entry(parser(name)) for name in PARSERS], option=_PRETTY) + b"\n"


def _entry(source: Parser) -> dict[str, object]:
    found = list(events(source, source.sample()))
    told = {one.logsource for one in found} | {each for each in source.logsources if "*" not in astuple(each)}
    told |= set(_LOGSOURCES.get(source.name, ()))
    own = {name: type_of(value) for one in found for name, value in one.doc.items() if value is not None}
    stated = {name: kind for name in _named(source) if (kind := _type(name, source.name, own))}
    kinds = stated | own | dict.fromkeys(_OPEN.get(source.name, ()), "any")
    return {
        "name": source.name,
        "title": source.title,
        "logsources": [asdict(each) for each in sorted(told, key=astuple)],
        "fields": {name: kind for name, kind in kinds.items() if not name.startswith("privacy.")},
    }


def _named(source: Parser) -> set[str]:
    """Return the dotted names in a source's module, those it is made of, or its mapping: what it may set."""
    if source.name in MAPPINGS:
        return set(_DOTTED.findall(files("ingest").joinpath("mappings", f"{source.name}.toml").read_text("utf-8")))
    seen: set[str] = set()
    waiting = [source.name]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _IMPORTED.findall(_code(name))
    return {name for module in seen for name in _DOTTED.findall(_code(module))}


def _code(name: str) -> str:
    return files("ingest").joinpath("parsers", f"{name}.py").read_text("utf-8")


def _type(name: str, source: str, own: Mapping[str, str]) -> str:
    """Return a name's type: the schema's, or keyword for a name beside others of the source's own; "" for no field."""
    beside = name.rpartition(".")[0]
    ours = beside.startswith(source) or any(each.rpartition(".")[0] == beside for each in own)
    return schema().get(name, "keyword" if ours else "")


@cache
def schema() -> dict[str, str]:
    """Return the fields of ``ecs.toml`` with their types."""
    tables = tomllib.loads(files("ingest").joinpath("ecs.toml").read_text("utf-8"))
    return {name: kind for table in ("ecs", "own") for kind, names in tables[table].items() for name in names}


def main(folder: Path, data: Path) -> None:
    """Write the catalogue: its pages, and the data that rules are judged by."""
    data.write_bytes(entries())
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.md"):
        stale.unlink()
    (folder / "README.md").write_text(index(), "utf-8")
    for name in PARSERS:
        (folder / f"{name}.md").write_text(page(parser(name)), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
