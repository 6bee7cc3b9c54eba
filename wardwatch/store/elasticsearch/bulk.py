"""Bulk writes with an outcome for every item.

``helpers.bulk`` of the client doesn't retry an item that was refused for load and counts a 409 as a failure. Here each
item ends as answered by the index, or the whole call raises StoreUnavailable and may be repeated.
https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

import orjson
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from wardwatch.errors import StoreUnavailable
from wardwatch.store.elasticsearch.client import reason

MAX_BYTES = 5_000_000
PATIENCE_S = 5.0  # the worker waits longer, and a stage must stop within ten seconds
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0

_LATER = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,  # rights are the operator's to repair: no reason to drop documents
        HTTPStatus.FORBIDDEN,  # read-only, as a full disk makes an index
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_SPLIT = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


@dataclass(frozen=True, slots=True)
class Item:
    """One operation; ``body`` is its JSON line and ``when`` its conditions (``if_seq_no``, ``if_primary_term``)."""

    action: Literal["create", "index"]
    index: str
    id: str
    body: bytes
    when: Mapping[str, object] = field(default_factory=dict)

    def lines(self) -> bytes:
        """Return the operation as it goes over the wire."""
        head = orjson.dumps({self.action: {"_index": self.index, "_id": self.id, **self.when}})
        return head + b"\n" + self.body + b"\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the index answered to one item; ``reason`` says why it was refused."""

    status: int
    kind: str = ""
    reason: str = ""

    def later(self, item: Item) -> bool:
        """Tell whether the item may be taken when it is sent again."""
        missing_index = self.status == HTTPStatus.NOT_FOUND and item.action == "create"
        too_many_shards = self.kind == "validation_exception"
        # 5xx is the server's fault, not the document's: a mapping that could not be changed in time is 500
        troubled = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return self.status in _LATER or troubled or missing_index or too_many_shards


class BulkWriter:
    """Sends items in requests of at most MAX_BYTES and sends those again that could not be taken yet."""

    def __init__(self, client: Elasticsearch, *, patience_s: float = PATIENCE_S) -> None:
        self._client = client
        self._patience_s = patience_s

    def write(self, items: Sequence[Item]) -> list[Answer]:
        """Return the answer to each item, in their order.

        Raises StoreUnavailable when the server does not answer, or does not take an item for ``patience_s`` seconds:
        some items may have been written.
        """
        answered: dict[int, Answer] = {}
        pending = list(range(len(items)))
        deadline = time.monotonic() + self._patience_s
        wait_s = _FIRST_WAIT_S
        while pending:
            for chunk in _chunks(items, pending):
                answered.update(zip(chunk, self._send([items[place] for place in chunk]), strict=True))
            pending = [place for place in pending if answered[place].later(items[place])]
            if pending and time.monotonic() + wait_s > deadline:
                why = answered[pending[0]]
                text = f"{len(pending)} of {len(items)} documents were not taken: {why.status} {why.kind}: {why.reason}"
                raise StoreUnavailable(text, step="store")
            if pending:
                time.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 jitter, not a secret
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
        return [answered[place] for place in range(len(items))]

    def _send(self, items: Sequence[Item]) -> list[Answer]:
        try:
            response = self._client.perform_request(
                "POST",
                "/_bulk",
                params={"timeout": "5s", "filter_path": "items.*.status,items.*.error.type,items.*.error.reason"},
                headers={"accept": "application/json", "content-type": "application/x-ndjson"},
                body=b"".join(item.lines() for item in items),
            )
        except ApiError as error:
            return self._refused(items, Answer(error.status_code, reason=reason(error.body)))
        except TransportError as error:
            raise StoreUnavailable(f"bulk write: {error.message}", step="store") from None
        found = [_answer(next(iter(item.values()))) for item in response.body["items"]]
        if len(found) != len(items):
            raise StoreUnavailable(f"bulk write: {len(found)} answers to {len(items)} documents", step="store")
        return found

    def _refused(self, items: Sequence[Item], answer: Answer) -> list[Answer]:
        if answer.status not in _SPLIT or len(items) == 1:
            return [answer] * len(items)
        half = len(items) // 2  # one item may spoil the request of all
        return self._send(items[:half]) + self._send(items[half:])


def _answer(item: dict[str, Any]) -> Answer:
    error = item.get("error", {})
    return Answer(item["status"], error.get("type", ""), str(error.get("reason", ""))[:1000])


def _chunks(items: Sequence[Item], places: Sequence[int]) -> Iterator[list[int]]:
    chunk: list[int] = []
    size = 0
    for place in places:
        length = len(items[place].body)
        if chunk and size + length > MAX_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(place)
        size += length
    if chunk:
        yield chunk
