"""What events can hold: the log sources and fields of every parser, and whether a rule can ever be met by them.

``sources.json`` is written by ``make catalogue`` from the parsers; enrichment adds the fields of ``ENRICHED``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from detections.logsource import holds
from detections.sigma.expression import And, Expression, Named, Not, Or, Test, fields
from wardwatch.event import LogSource

FILE = Path(__file__).with_name("sources.json")

ENRICHED = {
    **{
        f"{side}.asset.{fact}": kind
        for side in ("source", "destination", "host")
        for fact, kind in (
            ("known", "boolean"),
            ("id", "keyword"),
            ("name", "keyword"),
            ("class", "keyword"),
            ("criticality", "keyword"),
            ("department", "keyword"),
            ("clinical", "boolean"),
            ("owner", "keyword"),
        )
    },
    "hospital.local_hour": "long",
    "hospital.off_hours": "boolean",
    "event.id": "keyword",
}
"""The fields that collectors and enrichment add to any event, with their types (docs/reference/assets.md)."""


class Source(msgspec.Struct, frozen=True):
    """One parser: the log sources of its events, and its fields with their types; ``x.*`` is any field below x."""

    name: str
    title: str
    logsources: tuple[LogSource, ...]
    fields: dict[str, str]

    def knows(self, field: str) -> bool:
        """Tell whether an event may have the field; "" is any value."""
        if field in self.fields or field in ENRICHED or not field:
            return True
        parts = field.split(".")
        return any(".".join(parts[:length]) + ".*" in self.fields for length in range(1, len(parts)))


@cache
def sources() -> tuple[Source, ...]:
    """Return every parser's entry."""
    return msgspec.json.decode(FILE.read_bytes(), type=tuple[Source, ...])


def no_data(logsource: LogSource, condition: Expression) -> str:
    """Return why no event of any parser can meet a rule, "" where one may.

    A field that a parser never sets is missing from its events; the rest of the condition is taken to hold as needed.
    """
    found = _of(logsource)
    if not found:
        named = "/".join((logsource.product, logsource.category, logsource.service))
        return f"no parser gives events of the log source {named}"
    if any(_outcomes(condition, source)[0] for source in found):
        return ""
    missing = sorted(name for name in fields(condition) if not any(source.knows(name) for source in found))
    names = ", ".join(missing) or "all the fields together"
    return f"no parser of the log source has {names}"


@cache
def _of(logsource: LogSource) -> tuple[Source, ...]:
    return tuple(one for one in sources() if any(holds(logsource, own) for own in one.logsources))


def _outcomes(node: Expression, source: Source) -> tuple[bool, bool]:
    """Tell whether a tree may be true of an event of a source, and whether it may be false."""
    if isinstance(node, Test):
        return _of_test(node, source)
    if isinstance(node, Named):
        return _outcomes(node.item, source)
    if isinstance(node, Not):
        true, false = _outcomes(node.item, source)
        return false, true
    return _joined(node, source)


def _of_test(test: Test, source: Source) -> tuple[bool, bool]:
    if all(map(source.knows, fields(test))):
        return True, True
    return (True, False) if test.op == "null" else (False, True)


def _joined(node: And | Or, source: Source) -> tuple[bool, bool]:
    found = [_outcomes(item, source) for item in node.items]
    true, false = [true for true, _ in found], [false for _, false in found]
    return (all(true), any(false)) if isinstance(node, And) else (any(true), all(false))
