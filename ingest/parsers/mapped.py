"""Any source, by a mapping file: JSON, ``name=value``, CSV or a regular expression, behind any syslog header.

The mapping (mapping.py) names every field that is copied; what it does not name stays in the hospital. Sources: none of
a format, it is the file's; JSON (RFC 8259), CSV (RFC 4180), regular expressions as RE2 has them, which are linear.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, tzinfo
from fnmatch import translate
from importlib.resources import files
from pathlib import Path
from re import Pattern
from re import compile as compile_glob
from typing import Any

import re2  # type: ignore[import-untyped]

from ingest import syslog
from ingest.parsers import Parsed, Parser, Query, Record, Site, json_body, key_value, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import epoch, moment
from ingest.parsers.fields import classify, fill, put, text_of
from ingest.parsers.json_objects import json_objects
from ingest.parsers.mapping import Mapping as Source
from ingest.parsers.mapping import Meaning, Test, Time, read, refusal
from ingest.parsers.networks import direction
from ingest.parsers.sql_features import describe
from ingest.scrub import scrub
from ingest.vault import HmacTokens
from wardwatch.errors import ParseError, RecordError
from wardwatch.event import Document, LogSource, rfc3339

_STEP = "mapped"
_MAX_LEVELS = 32
_TEST_TOKENS = HmacTokens(bytes(32))
_Values = Mapping[str, Any]
_Read = Callable[[Record, Site], _Values]


def load(path: Path) -> Parser:
    """Return the parser that a mapping file describes; raises SettingsError for a wrong one, and where a test fails."""
    try:
        return parser_of(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise refusal(str(path), f"it can't be read: {error}", "name a mapping file in UTF-8") from None


def shipped(name: str) -> Parser:
    """Return the parser of a mapping of ours."""
    return parser_of(files("ingest").joinpath("mappings", f"{name}.toml").read_text("utf-8"), f"{name}.toml")


def parser_of(content: str, file: str) -> Parser:
    """Return the parser that a mapping's text describes; raises SettingsError."""
    source = read(content, file)
    logsource = LogSource(**{str(part): value for part, value in source.logsource.items()})
    values, meanings = _READERS[source.format](source), [_Meant(meaning) for meaning in source.events]

    def parse(record: Record, site: Site) -> list[Parsed]:
        return [
            Parsed(_document(source, meanings, {**values(record, site), **_topic(record)}, record, site), logsource)
        ]

    split = json_objects if source.format == "json" else lines
    rows = source.query
    found = Parser(
        source.name,
        split,
        parse,
        source.policy(),
        title=source.title,
        reads=source.reads,
        logsources=(logsource,),
        query=Query(rows.select, rows.cursor, rows.databases) if rows else None,
    )
    for number, test in enumerate(source.tests, 1):
        _check(found, test, number, file)
    return found


def _topic(record: Record) -> _Values:
    """Return a broker's topic by the name ``@topic``, and its levels by ``@topic.0``, ``@topic.1`` and so on."""
    levels = enumerate(record.topic.split("/", _MAX_LEVELS)[:_MAX_LEVELS])
    return {"@topic": record.topic, **{f"@topic.{at}": level for at, level in levels}} if record.topic else {}


class _Meant:
    """A meaning, its globs compiled."""

    def __init__(self, meaning: Meaning) -> None:
        self.meaning = meaning
        self._globs = {name: _globs(when) for name, when in meaning.when.items()}

    def matches(self, values: _Values) -> bool:
        return all(glob.match(text_of(values.get(name))) for name, glob in self._globs.items())


def _globs(when: str | list[str]) -> Pattern[str]:
    return compile_glob("|".join(map(translate, [when] if isinstance(when, str) else when)))


def _document(source: Source, meanings: list[_Meant], values: _Values, record: Record, site: Site) -> Document:
    doc: Document = {
        "@timestamp": _time(source.time, values, record, site),
        "event.kind": "event",
        "event.module": source.module,
        "event.dataset": source.dataset,
    }
    for name in source.fields:
        put(doc, name, _value(source, name, values))
    meaning = next((found.meaning for found in meanings if found.matches(values)), None)
    if meaning is None:
        raise ParseError("none of the mapping's events match", step=source.name)
    doc["event.kind"] = meaning.kind
    outcome = doc.pop("event.outcome", None) or meaning.outcome
    classify(doc, list(meaning.category), list(meaning.type), meaning.action, outcome)
    if source.sql and text_of(values.get(source.sql.source)):
        describe(doc, text_of(values.get(source.sql.source)), source.sql.dialect)
    fill(doc, {"direction": direction(doc.get("source.ip", ""), doc.get("destination.ip", ""))}, _DERIVED)
    return doc


_DERIVED = {"direction": "network.direction"}


def _value(source: Source, name: str, values: _Values) -> object:
    field = source.field(name)
    if field.value:
        return field.value
    found = next((value for one in field.names if (value := values.get(one)) not in (None, "", "-")), None)
    return field.values.get(text_of(found), field.other) if field.values else found


def _time(time: Time | None, values: _Values, record: Record, site: Site) -> str:
    if time is None:
        return _sent(record, site.zone)
    value = text_of(values.get(time.source))
    if time.format == "iso":
        return moment(value.replace("/", "-"), site.zone, step=_STEP)
    if time.format == "epoch":
        return epoch(value, step=_STEP)
    try:
        found = datetime.strptime(value, time.format)  # noqa: DTZ007 the zone is given below
        return rfc3339(found if found.tzinfo else found.replace(tzinfo=site.zone))
    except (ValueError, OverflowError):
        raise ParseError("not a time as the mapping says", step=_STEP) from None


def _sent(record: Record, zone: tzinfo) -> str:
    """Return the time of the syslog header, or when the record was received."""
    if not record.data.startswith(b"<"):
        return rfc3339(record.received)
    return rfc3339(syslog.parse(record.data, zone=zone, received=record.received).timestamp or record.received)


def _json(_source: Source) -> _Read:
    return lambda record, site: json_body.flat(json_body.body(record, site, step=_STEP)[1])


def _key_value(source: Source) -> _Read:
    separators = source.separator or r"\s"
    return lambda record, site: _some(key_value.pairs(text(record.data, site.charset), separators))


def _csv(source: Source) -> _Read:
    def values(record: Record, site: Site) -> _Values:
        line = text(record.data, site.charset).strip().replace("\0", "")
        body = line.partition(source.after)[2] if source.after else line
        try:
            row = next(csv.reader([body], delimiter=source.separator or ","), [])
        except csv.Error:
            row = []
        if len(row) < len(source.columns):
            raise ParseError(f"fewer than {len(source.columns)} values", step=_STEP)
        return dict(zip(source.columns, row, strict=False))

    return values


def _regex(source: Source) -> _Read:
    pattern = re2.compile(source.pattern)

    def values(record: Record, site: Site) -> _Values:
        found = pattern.search(text(record.data, site.charset))
        return _some(found.groupdict() if found else {})

    return values


def _some(values: _Values) -> _Values:
    if not values:
        raise ParseError("not what the mapping describes", step=_STEP)
    return values


_READERS: Mapping[str, Callable[[Source], _Read]] = {
    "json": _json,
    "key_value": _key_value,
    "csv": _csv,
    "regex": _regex,
}


def _check(parser: Parser, test: Test, number: int, file: str) -> None:
    """Raise SettingsError when a test of the mapping fails."""
    try:
        (parsed,) = parser.parse(Record(test.record.encode(), topic=test.topic), Site())
        doc = scrub(parsed.doc, parser.policy, _TEST_TOKENS)
    except RecordError as error:
        raise refusal(file, f"test {number}: {error.reason}", "correct the mapping or the test's record") from None
    wrong = sorted(_differences(doc, test.expect))
    if wrong:
        raise refusal(file, f"test {number}: {'; '.join(wrong)}", "correct the mapping or what the test expects")


def _differences(doc: Document, expect: Mapping[str, Any]) -> Iterator[str]:
    for name, value in expect.items():
        found = doc.get(name, "")
        is_prefix = isinstance(value, str) and value.endswith("_*")
        if not (str(found).startswith(value[:-1]) if is_prefix else found == value):
            yield f"{name} is {found!r}, not {value!r}"
