"""Files and rows as one set of texts: a row speaks for the rules whose ids it names, whatever file they are in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from detections.control.rows import PipelineRow, PlaceholderRow, Row, RuleRow, TextRow, place, rule_text
from detections.sigma import documents
from detections.sigma.documents import YamlDocument
from detections.sigma.pipelines import PipelineText, combined
from detections.sigma.rule import RuleText
from detections.sigma.vocabulary import Vocabulary
from wardwatch.errors import RuleError
from wardwatch.tables import RowId

_ID = re.compile(r"""\bid['"]?\s*:\s*['"]?([\w-]+)""")


def texts(files: Sequence[RuleText], rows: Mapping[RowId, Row]) -> list[RuleText]:
    """Return the texts in force: those of the files without the rules that rows for all speak for, and the rows'."""
    spoken = {rule_id for tenant, rule_id in spoken_for(rows) if not tenant}
    own = [
        rule_text(row, value)
        for row, value in sorted(rows.items())
        if isinstance(value, TextRow) or (isinstance(value, RuleRow) and value.enabled)
    ]
    return [*_without(files, spoken), *own]


def vocabulary(rows: Mapping[RowId, Row], files: Vocabulary) -> Vocabulary:
    """Return what the names in rules stand for by rows, and by files where no row says it.

    Of pipelines with one priority those of rows come first.
    """
    values = {row[2]: list(value.values) for row, value in rows.items() if isinstance(value, PlaceholderRow)}
    own = (PipelineText(place(row), each.text) for row, each in sorted(rows.items()) if isinstance(each, PipelineRow))
    pipelines = combined((*own, *files.pipelines.texts))
    return replace(files, placeholders={**files.placeholders, **values}, pipelines=pipelines)


def spoken_for(rows: Mapping[RowId, Row]) -> frozenset[tuple[str, str]]:
    """Return (tenant, rule id) of every rule that a row of the tenant replaces or switches off."""
    return frozenset(
        (row[1], rule_id)
        for row, value in rows.items()
        if isinstance(value, RuleRow)
        for rule_id in (row[2], *ids(row, value))
    )


def ids(row: RowId, value: Row) -> list[str]:
    """Return the ids in the row's text, none where it has no text that can be read."""
    if not isinstance(value, RuleRow | TextRow):
        return []
    try:
        return [found for each in documents.split(value.text, place(row)) if (found := _id(each))]
    except RuleError:
        return []


def _id(document: YamlDocument) -> str:
    return str(document.value.get("id", "")) if isinstance(document.value, dict) else ""


def _without(files: Sequence[RuleText], spoken: set[str]) -> Iterator[RuleText]:
    for file in files:
        # reading YAML is slow: only texts that may hold one of the ids are read
        if spoken.isdisjoint(_named(file)):
            yield file
        else:
            yield from _blanked(file, spoken)


@lru_cache(maxsize=16_384)
def _named(file: RuleText) -> frozenset[str]:
    return frozenset(_ID.findall(file.text))


def _blanked(file: RuleText, spoken: set[str]) -> Iterator[RuleText]:
    try:
        found = documents.split(file.text, file.file)
    except RuleError:
        yield file  # which the engine rejects
        return
    text = file.text
    for document in found:
        if _id(document) in spoken:
            # lines stay where they are, so that the reasons of other rules name the right ones
            text = text.replace(document.text, "---" + "\n" * document.text.count("\n"), 1)
    if not all(_id(document) in spoken for document in found):
        yield RuleText(file.file, text, file.tenant)
