"""Small collections in Elasticsearch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elasticsearch import Elasticsearch

from wardwatch.errors import Conflict, Forbidden, NotFound
from wardwatch.event import Document
from wardwatch.store import Collection, Find, Page, Stored
from wardwatch.store.cursor import decode_cursor, page_size
from wardwatch.store.elasticsearch.client import answers, split_version
from wardwatch.store.elasticsearch.search import Clause, containing, nothing, one_of, page, search, time_range
from wardwatch.store.elasticsearch.templates import COLLECTIONS, ID
from wardwatch.store.reading import read_document, texts

_NEWEST = [{"at": {"order": "desc"}}, {ID: {"order": "asc"}}]


class ElasticsearchDocuments:
    """One collection; a version is ``seq_no/primary_term``. Each write is visible to ``find`` when it returns."""

    def __init__(self, client: Elasticsearch, collection: Collection) -> None:
        self._client = client
        self._collection = collection
        self._index = f"{COLLECTIONS}{collection}"

    def create(self, identifier: str, doc: Document) -> None:
        """Store a new document."""
        read_document(identifier, doc)
        with answers(f"{self._collection} {identifier!r}"):
            self._client.create(index=self._index, id=identifier, document={**doc, ID: identifier}, refresh=True)

    def get(self, identifier: str) -> Stored:
        """Return a document as last written."""
        if not identifier:
            raise NotFound(f"no document without id in {self._collection}", step="store")
        with answers(f"{identifier[:80]!r} in {self._collection}"):
            return _stored(self._client.get(index=self._index, id=identifier).body)

    def replace(self, identifier: str, doc: Document, *, version: str) -> Stored:
        """Replace a document that nobody changed since ``version`` was read."""
        self._mutable()
        read_document(identifier, doc)
        try:
            with answers(f"{self._collection} {identifier!r}"):
                written = self._client.index(
                    index=self._index,
                    id=identifier,
                    document={**doc, ID: identifier},
                    refresh=True,
                    **split_version(version),
                )
        except Conflict:
            self.get(identifier)  # NotFound says it better
            raise
        return _stored({**written.body, "_source": doc})

    def delete(self, identifier: str) -> None:
        """Delete a document."""
        self._mutable()
        try:
            with answers(f"{self._collection} {identifier!r}"):
                self._client.delete(index=self._index, id=identifier, refresh=True)
        except NotFound:
            return

    def find(self, find: Find) -> Page:
        """Return a page of documents, newest first."""
        key = decode_cursor(find.after, (int, str)) if find.after is not None else None
        answer = search(
            self._client,
            self._collection,
            index=self._index,
            ignore_unavailable=True,
            query={"bool": {"filter": _filter(find)}},
            sort=_NEWEST,
            search_after=key,
            size=page_size(find.limit) + 1,
            seq_no_primary_term=True,
        )
        return page(answer, page_size(find.limit), _stored)

    def _mutable(self) -> None:
        if self._collection == "audit":
            raise Forbidden("audit records are never changed", step="store")


def _stored(hit: Mapping[str, Any]) -> Stored:
    return Stored(dict(hit["_source"]), f"{hit['_seq_no']}/{hit['_primary_term']}")


def _filter(find: Find) -> list[Clause]:
    clauses: list[Clause] = [{"term": {name: text}} for name, value in find.fields.items() for text in texts(value)]
    if find.title:
        clauses.append(containing("title", find.title))
    if find.tenants is not None:
        clauses += one_of("tenant", find.tenants) or [nothing()]
    return clauses + time_range("at", find.start, find.end)
