"""The bulk writer against answers that a healthy server doesn't give, and against a real index with a full disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson
import pytest
from elasticsearch import Elasticsearch

from tests.wardwatch.store.samples import EVERYBODY, event, settle
from wardwatch.errors import StoreUnavailable
from wardwatch.store import Outcome, Result, open_store
from wardwatch.store.elasticsearch.bulk import MAX_BYTES, Answer, BulkWriter, Item
from wardwatch.testing.ports import free_port, wait_until

Sent = list[dict[str, Any]]
Reply = tuple[int, dict[str, Any]]


def answered(*statuses: int, **error: str) -> Reply:
    """Return the reply of a bulk request whose items ended with these statuses."""
    return 200, {
        "items": [{"create": {"status": status} | ({"error": error} if status >= 300 else {})} for status in statuses]
    }


@dataclass
class Stub:
    """A server that answers each bulk request by ``script`` and keeps the ids that were sent."""

    script: Callable[[int, list[str]], Reply | None]
    requests: list[list[str]] = field(default_factory=list)
    bytes_sent: list[int] = field(default_factory=list)
    url: str = ""

    def reply(self, body: bytes) -> Reply | None:
        """Return the reply to a request; None closes the connection without one."""
        ids = [orjson.loads(line)["create"]["_id"] for line in body.splitlines()[::2]]
        self.requests.append(ids)
        self.bytes_sent.append(len(body))
        return self.script(len(self.requests), ids)


def handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    """Return the request handler of a stub."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply = stub.reply(self.rfile.read(int(self.headers["Content-Length"])))
            if reply is None:
                self.close_connection = True
                return
            data = orjson.dumps(reply[1])
            self.send_response(reply[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@pytest.fixture
def serve() -> Iterator[Callable[[Stub], BulkWriter]]:
    """Return a function that starts a stub and returns a writer to it."""
    running: list[tuple[ThreadingHTTPServer, Elasticsearch]] = []

    def start(stub: Stub, timeout_s: float = 10.0) -> BulkWriter:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler(stub))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stub.url = f"http://127.0.0.1:{server.server_port}"
        client = Elasticsearch(stub.url, max_retries=0, request_timeout=timeout_s)
        running.append((server, client))
        return BulkWriter(client, patience_s=1.0)

    yield start
    for server, client in running:
        client.close()
        server.shutdown()
        server.server_close()


def items(count: int, size: int = 10) -> list[Item]:
    """Return this many creations."""
    return [Item("create", "i", str(number), orjson.dumps({"x": "y" * size})) for number in range(count)]


def test_each_item_ends_as_the_index_answered(serve: Callable[[Stub], BulkWriter]) -> None:
    stub = Stub(lambda *_: answered(201, 409, 400, type="document_parsing_exception", reason="no date"))
    answers = serve(stub).write(items(3))
    assert [answer.status for answer in answers] == [201, 409, 400]
    assert answers[2] == Answer(400, "document_parsing_exception", "no date")
    assert len(stub.requests) == 1


def test_only_the_items_that_were_not_taken_are_sent_again(serve: Callable[[Stub], BulkWriter]) -> None:
    script = {1: answered(201, 429, 503, 409, type="rejected"), 2: answered(504, 201, type="t"), 3: answered(201)}
    stub = Stub(lambda number, _: script[number])
    assert [answer.status for answer in serve(stub).write(items(4))] == [201, 201, 201, 409]
    assert stub.requests == [["0", "1", "2", "3"], ["1", "2"], ["1"]]


@pytest.mark.parametrize("status", [401, 403, 429, 502, 503, 504])
def test_an_item_that_is_never_taken_makes_the_store_unavailable(
    serve: Callable[[Stub], BulkWriter], status: int
) -> None:
    stub = Stub(lambda _, ids: answered(*[status] * len(ids), type="cluster_block_exception", reason="full"))
    with pytest.raises(StoreUnavailable, match=f"2 of 2 documents were not taken: {status} cluster_block.*: full"):
        serve(stub).write(items(2))
    assert len(stub.requests) > 2


@pytest.mark.parametrize("status", [401, 403, 429, 502, 503, 504])
def test_a_request_that_is_refused_for_load_is_sent_again_whole(
    serve: Callable[[Stub], BulkWriter], status: int
) -> None:
    stub = Stub(lambda number, _: (status, {"error": "busy"}) if number == 1 else answered(201, 201))
    assert [answer.status for answer in serve(stub).write(items(2))] == [201, 201]
    assert stub.requests == [["0", "1"], ["0", "1"]]


@pytest.mark.parametrize("status", [400, 413])
def test_an_item_that_spoils_its_request_is_rejected_alone(serve: Callable[[Stub], BulkWriter], status: int) -> None:
    def script(_: int, ids: list[str]) -> Reply:
        return (status, {"error": {"type": "bad", "reason": "item 3"}}) if "3" in ids else answered(*[201] * len(ids))

    answers = serve(Stub(script)).write(items(6))
    assert [answer.status for answer in answers] == [201, 201, 201, status, 201, 201]
    assert answers[3].reason == "bad: item 3"


def test_a_full_cluster_is_not_the_documents_fault(serve: Callable[[Stub], BulkWriter]) -> None:
    stub = Stub(lambda *_: answered(400, type="validation_exception", reason="maximum shards open"))
    with pytest.raises(StoreUnavailable, match="maximum shards open"):
        serve(stub).write(items(1))


def test_a_closed_connection_makes_the_store_unavailable(serve: Callable[[Stub], BulkWriter]) -> None:
    with pytest.raises(StoreUnavailable, match="bulk write"):
        serve(Stub(lambda *_: None)).write(items(1))


def test_a_server_that_does_not_answer_in_time_makes_the_store_unavailable(
    serve: Callable[..., BulkWriter],
) -> None:
    release = threading.Event()

    def hang(*_: object) -> None:
        release.wait(20)

    writer = serve(Stub(hang), timeout_s=0.2)
    try:
        with pytest.raises(StoreUnavailable, match="timed out"):
            writer.write(items(1))
    finally:
        release.set()


def test_answers_that_do_not_fit_the_documents_make_the_store_unavailable(
    serve: Callable[[Stub], BulkWriter],
) -> None:
    with pytest.raises(StoreUnavailable, match="1 answers to 2 documents"):
        serve(Stub(lambda *_: answered(201))).write(items(2))


def test_a_batch_is_split_by_bytes(serve: Callable[[Stub], BulkWriter]) -> None:
    stub = Stub(lambda _, ids: answered(*[201] * len(ids)))
    count, size = 30, 400_000
    assert len(serve(stub).write(items(count, size))) == count
    assert max(stub.bytes_sent) <= MAX_BYTES + 10_000
    assert [name for request in stub.requests for name in request] == [str(number) for number in range(count)]
    assert len(stub.requests) == 3


def test_without_a_server_every_call_says_that_the_store_is_unavailable() -> None:
    store = open_store(f"http://user:secret@127.0.0.1:{free_port()}")
    calls: list[Callable[[], object]] = [
        store.setup,
        store.ping,
        lambda: store.events.write([event("a")]),
        lambda: store.events.count("a"),
        lambda: store.alerts.get(EVERYBODY, ["a-202603-00"]),
        lambda: store.documents("users").get("li"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable) as raised:
            call()
        assert "secret" not in str(raised.value)
    assert "secret" not in store.url
    store.close()


@pytest.mark.elasticsearch
def test_a_read_only_index_is_waited_for_and_nothing_is_lost(elasticsearch: str, tenant: str) -> None:
    store = open_store(elasticsearch)
    store.setup()
    assert store.events.write([event(tenant, 1)]) == [Result(Outcome.STORED)]
    index = f"{elasticsearch}/logs-wardwatch.event-{tenant}-2026.03.10"

    def block(value: bool | None) -> None:
        httpx.put(f"{index}/_settings", json={"index.blocks.read_only_allow_delete": value}).raise_for_status()

    block(True)
    with pytest.raises(StoreUnavailable, match="1 of 1 documents were not taken"):
        store.events.write([event(tenant, 2)])
    results: list[list[Result]] = []
    writer = threading.Thread(target=lambda: results.append(store.events.write([event(tenant, 2)])))
    writer.start()
    block(None)
    writer.join(20)
    assert results == [[Result(Outcome.STORED)]]
    settle(store)
    assert store.events.count(tenant) == 2
    httpx.delete(index)
    store.close()


@pytest.mark.elasticsearch
def test_the_events_of_an_index_that_was_deleted_meanwhile_open_it_again(elasticsearch: str, tenant: str) -> None:
    store = open_store(elasticsearch)
    store.setup()
    index = f"{elasticsearch}/logs-wardwatch.event-{tenant}-2026.03.10"
    for _ in range(2):
        assert store.events.write([event(tenant, 1)]) == [Result(Outcome.STORED)]
        httpx.delete(index).raise_for_status()
        wait_until(lambda: httpx.head(index).status_code == 404, what="deletion")
    store.close()
