"""Clauses of queries and pages of answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from wardwatch.store import Page, Stored
from wardwatch.store.cursor import encode_cursor
from wardwatch.store.reading import unix_ms

Clause = dict[str, Any]


def nothing() -> Clause:
    """Return the clause that no document meets."""
    return {"match_none": {}}


def one_of(field: str, values: Iterable[object]) -> list[Clause]:
    """Return the clauses of "is one of these"; no values mean any."""
    chosen = sorted(values, key=str)
    return [{"terms": {field: chosen}}] if chosen else []


def exactly(field: str, value: str) -> Clause:
    """Return the clause of one exact value; a value that the field's type can't hold is found nowhere."""
    return {"match": {field: {"query": value, "lenient": True}}}


def phrases(field: str, terms: Sequence[str]) -> list[Clause]:
    """Return the clauses of "each term is found as a phrase"; no terms find nothing."""
    return [{"match_phrase": {field: term}} for term in terms] or [nothing()]


def time_range(field: str, start: datetime | None, end: datetime | None) -> list[Clause]:
    """Return the clauses of "from ``start`` until before ``end``"."""
    bounds = {name: unix_ms(moment) for name, moment in (("gte", start), ("lt", end)) if moment}
    return [{"range": {field: {**bounds, "format": "epoch_millis"}}}] if bounds else []


def page(answer: Mapping[str, Any], size: int, stored: Callable[[Mapping[str, Any]], Stored]) -> Page:
    """Return the first ``size`` hits, of which one more was asked for to know whether there is a next page."""
    hits = answer["hits"]["hits"]
    after = encode_cursor(hits[size - 1]["sort"]) if len(hits) > size else None
    return Page([stored(hit) for hit in hits[:size]], answer["hits"]["total"]["value"], after)
