"""The source catalogue: a page for each parser, made from its entry, its sample and the fields that come of it.

``make catalogue`` writes it; a test fails where it is not what the parsers say.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from ingest.parsers import PARSERS, Parsed, Parser, Record, Site, parser
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
_INDEX = """# Sources

What each parser reads and the Sigma log source of its events. A page for each has its fields and an example. See for
yourself: `wardwatch parse --source NAME FILE`. This list is written by `make catalogue`;
[how the fields are meant](../sources.md) is told apart.

| source | product | reads | log source (product / category / service) |
|---|---|---|---|
"""


def events(source: Parser, data: bytes) -> Iterator[Parsed]:
    """Yield the events of a sample, as if it arrived at RECEIVED from PEER; raises ParseError."""
    for record in source.split(data):
        yield from source.parse(Record(record, peer=PEER, received=RECEIVED), Site())


def index() -> str:
    """Return the catalogue's first page, in Markdown."""
    rows = (
        f"| [`{name}`]({name}.md) | {source.title} | {source.reads} | {_logsources(source)} |\n"
        for name in PARSERS
        for source in [parser(name)]
    )
    return _INDEX + "".join(rows)


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


def main(folder: Path) -> None:
    """Write the catalogue."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.md"):
        stale.unlink()
    (folder / "README.md").write_text(index(), "utf-8")
    for name in PARSERS:
        (folder / f"{name}.md").write_text(page(parser(name)), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
