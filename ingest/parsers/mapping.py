"""Mapping files: what a TOML file says of a source that nobody else has, checked when it is read.

Nothing is guessed: a text field names what the scrub does with it, a name below ECS's is ECS's, and the tests in the
file pass, or the file is refused.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec
import re2  # type: ignore[import-untyped]

from ingest.parsers.fields import is_typed
from ingest.parsers.sql_shape import Dialect
from ingest.scrub import Action
from wardwatch.errors import SettingsError

Scrub = Literal["keep", "patient", "staff", "encounter", "study", "drop", "text", "url", "query", "mask", "command"]


class Field(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"source": "from"}):
    """One field: the names its value may have in a record, or a constant; ``values`` translates it."""

    source: str | list[str] = ""
    value: str = ""
    scrub: Scrub | None = None
    values: dict[str, str] = {}
    other: str = ""

    @property
    def names(self) -> list[str]:
        """The names of the record, the first that has a value counts."""
        return [self.source] if isinstance(self.source, str) else self.source


class Time(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"source": "from"}):
    """Where the time is: ``iso``, ``epoch`` (s, ms, µs, ns) or a format of strptime."""

    source: str
    format: str = "iso"


class Sql(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"source": "from"}):
    """Where a statement is; it leaves as its shape."""

    source: str
    dialect: Dialect = "mysql"


class Rows(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How a database is asked for the rows: a SELECT without order, one or two columns that order them, URL schemes."""

    select: str
    cursor: tuple[str, ...]
    databases: tuple[Literal["postgresql", "mysql", "oracle", "mssql"], ...] = (
        "postgresql",
        "mysql",
        "oracle",
        "mssql",
    )


class Meaning(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The categories of records whose values match the globs of ``when``; the first meaning that does counts."""

    category: list[str]
    type: list[str]
    action: str
    when: dict[str, str | list[str]] = {}
    outcome: str = ""
    kind: str = "event"


class Test(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A record and fields of its event; "" is a field that must not be there, ``st_*`` any token."""

    record: str
    expect: dict[str, Any]
    topic: str = ""


class Mapping(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A source, as its file tells it."""

    name: str
    title: str
    reads: str
    format: Literal["json", "key_value", "csv", "regex"]
    module: str
    dataset: str
    logsource: dict[Literal["product", "category", "service"], str]
    fields: dict[str, str | Field]
    events: list[Meaning]
    tests: list[Test]
    time: Time | None = None
    sql: Sql | None = None
    query: Rows | None = None
    columns: list[str] = []
    separator: str = ""
    after: str = ""
    pattern: str = ""

    def field(self, name: str) -> Field:
        """Return a field's entry; a mere text is the record's name of its value."""
        found = self.fields[name]
        return Field(source=found) if isinstance(found, str) else found

    def policy(self) -> dict[str, Action]:
        """Return what the scrub does with the fields."""
        named = {name: self.field(name).scrub for name in self.fields}
        return {name: Action[scrub.upper()] for name, scrub in named.items() if scrub and scrub != "keep"}


def read(text: str, file: str) -> Mapping:
    """Return the mapping in a file's text; raises SettingsError naming what is wrong and the remedy."""
    try:
        found = msgspec.toml.decode(text, type=Mapping)
    except msgspec.DecodeError as error:  # of the syntax and of the names and types
        raise refusal(file, str(error), "docs/reference/mappings.md tells the keys") from None
    for name in found.fields:
        _check_field(found, name, file)
    _check_format(found, file)
    if not found.tests:
        raise refusal(file, "it has no tests", "add [[tests]] with a record and what is expected of it")
    return found


def refusal(file: str, reason: str, remedy: str) -> SettingsError:
    """Return the error of a mapping."""
    return SettingsError(reason, step="mapping", record=file, remedy=remedy)


def _check_field(found: Mapping, name: str, file: str) -> None:
    entry = found.field(name)
    if name not in _names() and name.partition(".")[0] in _sets():
        raise refusal(file, f"{name} is not a field of ECS", "correct its name, or use one of your own: his.module")
    if name.endswith("_token") and entry.scrub not in ("patient", "staff", "encounter", "study"):
        raise refusal(file, f"{name} is not made a token", 'write scrub = "patient", or what it is a token of')
    if not (entry.scrub or entry.value or entry.values or is_typed(name)):
        remedy = 'write { from = "…", scrub = "staff" }: keep, staff, patient, encounter, text, mask, url, … or drop'
        raise refusal(file, f"{name} is text, and nothing says what the scrub does with it", remedy)


def _check_format(found: Mapping, file: str) -> None:
    if found.format == "csv" and not found.columns:
        raise refusal(file, "csv without columns", 'write columns = ["time", "user", …]')
    try:
        re2.compile(found.pattern)
    except re2.error as error:
        raise refusal(file, f"pattern: {error}", "use RE2's syntax, with groups like (?P<user>…)") from None
    if found.format == "regex" and not found.pattern:
        raise refusal(file, "regex without a pattern", "write pattern = '…(?P<user>…)…'")


@cache
def _names() -> frozenset[str]:
    data = tomllib.loads(files("ingest").joinpath("ecs.toml").read_text("utf-8"))
    return frozenset(name for table in ("ecs", "own") for names in data[table].values() for name in names)


@cache
def _sets() -> frozenset[str]:
    return frozenset(name.partition(".")[0] for name in _names() if "." in name)
