"""Archived events in Elasticsearch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from wardwatch.errors import RecordError
from wardwatch.event import Document, Event
from wardwatch.store import Kinds, Outcome, Page, Result, Scope, Stored, Values
from wardwatch.store.cursor import MAX_PAGE, decode_cursor, page_size
from wardwatch.store.elasticsearch.bulk import Answer, BulkWriter, Item
from wardwatch.store.elasticsearch.client import answers
from wardwatch.store.elasticsearch.partitions import drop_before, tenant_of_index
from wardwatch.store.elasticsearch.search import exactly, kind, page, phrases, search, time_range, total
from wardwatch.store.elasticsearch.templates import EVENTS, TEXT
from wardwatch.store.reading import event_day, read_event, terms, texts
from wardwatch.topics import check_tenant

_NEWEST = [{"@timestamp": {"order": "desc"}}, {"event.id": {"order": "asc"}}]
_OLDEST = [{"@timestamp": {"order": "asc"}}, {"event.id": {"order": "asc"}}]
_SCANNED = 500  # events that a scan reads at a time
_BUCKETS = 1000  # combinations that a tally reads at a time


class ElasticsearchEvents:
    """Events of all tenants; a tenant's event exists once by its id."""

    def __init__(self, client: Elasticsearch, bulk: BulkWriter) -> None:
        self._client = client
        self._bulk = bulk

    def write(self, events: Sequence[Event]) -> list[Result]:
        """Create each event by its id, each by itself."""
        results: dict[int, Result] = {}
        items: dict[int, Item] = {}
        for place, event in enumerate(events):
            try:
                items[place] = _item(event)
            except RecordError as error:
                results[place] = Result(Outcome.REJECTED, error.reason)
        for place, answer in zip(items, self._bulk.write(list(items.values())), strict=True):
            results[place] = _result(answer)
        return [results[place] for place in range(len(events))]

    def get(self, scope: Scope, tenant: str, ids: Iterable[str]) -> list[Document]:
        """Return the events that exist, oldest first."""
        scope.check(tenant, f"tenant {tenant!r}")
        wanted = list(dict.fromkeys(ids))
        hits: list[dict[str, Any]] = []
        for start in range(0, len(wanted), MAX_PAGE):
            part = {"ids": {"values": wanted[start : start + MAX_PAGE]}}
            answer = search(self._client, "events", index=_indices(tenant), query=part, sort=_NEWEST, size=MAX_PAGE)
            hits += answer["hits"]["hits"]
        hits.sort(key=lambda hit: hit["sort"])
        return [hit["_source"] for hit in hits]

    def search(
        self,
        scope: Scope,
        tenant: str,
        *,
        text: str = "",
        fields: Mapping[str, str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Return a page of one tenant's events, newest first, from ``start`` until before ``end``."""
        scope.check(tenant, f"tenant {tenant!r}")
        key = decode_cursor(after, (int, str)) if after is not None else None
        clauses = [exactly(name, value) for name, value in (fields or {}).items()]
        clauses += phrases(TEXT, terms(text)) if text.strip() else []
        answer = search(
            self._client,
            "events",
            index=_indices(tenant),
            query={"bool": {"filter": clauses + time_range("@timestamp", start, end)}},
            sort=_NEWEST,
            search_after=key,
            size=page_size(limit) + 1,
        )
        return page(answer, page_size(limit), lambda hit: Stored(hit["_source"], "1"))

    def scan(
        self,
        scope: Scope,
        tenant: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        kinds: Kinds | None = None,
    ) -> Iterator[Document]:
        """Yield one tenant's events from ``start`` until before ``end``, oldest first, a page of them in memory."""
        scope.check(tenant, f"tenant {tenant!r}")
        chosen = [{"bool": {"should": [kind(kinds.fields, each) for each in kinds.values]}}] if kinds else []
        query = {"bool": {"filter": chosen + time_range("@timestamp", start, end)}}
        request: dict[str, Any] = {"index": _indices(tenant), "query": query, "sort": _OLDEST, "size": _SCANNED}
        while hits := search(self._client, "events", **request)["hits"]["hits"]:
            yield from (hit["_source"] for hit in hits)
            request["search_after"] = hits[-1]["sort"]

    def tally(
        self,
        scope: Scope,
        tenant: str,
        fields: Sequence[str],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> dict[Values, int]:
        """Return how many of one tenant's events hold each combination of values, as last indexed."""
        scope.check(tenant, f"tenant {tenant!r}")
        sources = [{name: {"terms": {"field": name, "missing_bucket": True}}} for name in fields]
        composite: dict[str, Any] = {"sources": sources, "size": _BUCKETS}
        query = {"bool": {"filter": time_range("@timestamp", start, end)}}
        counts: dict[Values, int] = {}
        while True:
            aggs = {"kinds": {"composite": composite}}
            answer = search(self._client, "events", index=_indices(tenant), query=query, aggs=aggs, size=0)
            found = answer.get("aggregations", {}).get("kinds", {"buckets": []})
            for bucket in found["buckets"]:
                counts[tuple(bucket["key"][name] for name in fields)] = bucket["doc_count"]
            if "after_key" not in found:
                return counts
            composite["after"] = found["after_key"]

    def tenants(self) -> list[str]:
        """Return the tenants that have archived events, by name."""
        with answers("indices of events"):
            found = self._client.indices.get(index=f"{EVENTS}*", features="aliases")
        return sorted({tenant_of_index(EVENTS, index) for index in found.body})

    def count(self, tenant: str) -> int:
        """Return the number of archived events of one tenant, as last indexed."""
        return total(self._client, "events", _indices(tenant))

    def expire(self, tenant: str, before: datetime) -> int:
        """Delete whole days before the moment."""
        return drop_before(self._client, EVENTS, tenant, f"{before.astimezone(UTC):%Y.%m.%d}")


def _indices(tenant: str) -> str:
    return f"{EVENTS}{check_tenant(tenant)}-*"


def _item(event: Event) -> Item:
    _, doc = read_event(event)
    index = f"{EVENTS}{check_tenant(event.tenant)}-{event_day(event):%Y.%m.%d}"
    words = orjson.dumps({TEXT: "\n".join(texts(event.doc))})
    return Item("create", index, event.id, doc[:-1] + b"," + words[1:])


def _result(answer: Answer) -> Result:
    if answer.status in (200, 201):
        return Result(Outcome.STORED)
    if answer.status == 409:
        return Result(Outcome.ALREADY_THERE)
    return Result(Outcome.REJECTED, f"{answer.kind}: {answer.reason}")
