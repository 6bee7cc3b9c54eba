"""Searches: clauses of queries, answers of all shards, pages."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from elasticsearch import ApiError, Elasticsearch

from wardwatch.store import Page, Stored
from wardwatch.store.cursor import encode_cursor
from wardwatch.store.elasticsearch.client import answers
from wardwatch.store.reading import unix_ms

Clause = dict[str, Any]

_WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.6)  # an index that was opened now has its shard sooner
_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def search(client: Elasticsearch, what: str, **request: Any) -> Mapping[str, Any]:
    """Return the answer of every shard that holds ``what``; a part of the documents is no answer.

    A shard answers what it was asked before from its cache until it changes (request cache).

    Raises as ``answers`` does: StoreUnavailable when a shard is missing for longer than a new index needs.
    """
    with answers(what):
        for wait_s in _WAITS_S:
            try:
                return _search(client, request)
            except ApiError as error:
                if error.status_code not in _LATER:
                    raise
            time.sleep(wait_s)
        return _search(client, request)


def _search(client: Elasticsearch, request: Mapping[str, Any]) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = client.search(
        **request, allow_partial_search_results=False, track_total_hits=True, request_cache=True
    ).body
    return answer


def total(client: Elasticsearch, what: str, index: str) -> int:
    """Return how many documents the indices hold, as last refreshed."""
    return int(search(client, what, index=index, size=0)["hits"]["total"]["value"])


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


def containing(field: str, part: str) -> Clause:
    """Return the clause of "the keyword contains this", whatever the case of A to Z."""
    escaped = re.sub(r"([*?\\])", r"\\\1", part)
    return {"wildcard": {field: {"value": f"*{escaped}*", "case_insensitive": True}}}


def kind(fields: Sequence[str], values: Sequence[str | None]) -> Clause:
    """Return the clause of "each keyword field holds its value"; None is a field without value."""
    pairs = list(zip(fields, values, strict=True))
    return {
        "bool": {
            "filter": [{"term": {field: value}} for field, value in pairs if value is not None],
            "must_not": [{"exists": {"field": field}} for field, value in pairs if value is None],
        }
    }


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
