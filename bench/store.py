"""Bulk writes of events: each adapter beside the plain way of writing to the same server or file."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from elasticsearch import Elasticsearch, helpers

from bench.figures import Figure
from wardwatch.errors import SettingsError
from wardwatch.event import Event, event_id, rfc3339
from wardwatch.store import Outcome, Store, open_store
from wardwatch.store.elasticsearch.templates import EVENTS, TEXT
from wardwatch.store.reading import texts
from wardwatch.testing.elasticsearch import ElasticsearchServer

BATCH = 500
Write = Callable[[Sequence[Event]], None]
_TENANTS = "benchmark"
_START = datetime(2026, 3, 10, tzinfo=UTC)


def run(quick: bool) -> list[Figure]:
    """Measure both adapters; without an Elasticsearch only SQLite, with a note on standard error.

    The server is that of WARDWATCH_TEST_ES, else one started here; a quick run starts none.
    """
    count = 1_500 if quick else 30_000
    figures = [_sqlite(count)]
    with ExitStack() as stack:
        try:
            url = os.environ.get("WARDWATCH_TEST_ES") or _started(stack, quick)
        except (SettingsError, TimeoutError) as error:
            print(f"no figure for Elasticsearch: {error}", file=sys.stderr)
            return figures
        figures.append(_elasticsearch(url, count))
    return figures


def _started(stack: ExitStack, quick: bool) -> str:
    if quick:
        raise SettingsError("a quick run starts no server", step="bench", remedy="WARDWATCH_TEST_ES=http://host:9200")
    return stack.enter_context(ElasticsearchServer()).url


def _sqlite(count: int) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/store.sqlite")
        store.setup()
        ours, plain = _rates(count, _archive(store), _executemany(Path(folder) / "plain.sqlite"))
        store.close()
    return Figure("store: events to SQLite, text indexed", ours, "docs/s", "bare executemany", ours / plain, "≥ 0.1 ×")


def _elasticsearch(url: str, count: int) -> Figure:
    store = open_store(url)
    store.setup()
    client = Elasticsearch(url)
    _rates(count // 2, _archive(store), _helpers_bulk(client))  # the server's own warm-up
    ours, plain = _rates(count, _archive(store), _helpers_bulk(client))
    for index in client.indices.get(index=f"{EVENTS}{_TENANTS}*"):
        client.indices.delete(index=index)
    client.close()
    store.close()
    return Figure("store: events to Elasticsearch", ours, "docs/s", "helpers.bulk", ours / plain, "≥ 1 ×")


def _rates(count: int, *writes: Write) -> list[float]:
    """Return events per second of each way.

    They take turns batch by batch, each with events of its own; the first batch opens file or index and is not counted.
    """
    events = [_events(BATCH + count) for _ in writes]
    spent = [0.0] * len(writes)
    for first in range(0, BATCH + count, BATCH):
        for way, write in enumerate(writes):
            batch = events[way][first : first + BATCH]
            started = time.perf_counter()
            write(batch)
            spent[way] += (time.perf_counter() - started) if first else 0.0
    return [count / seconds for seconds in spent]


def _archive(store: Store) -> Write:
    def write(events: Sequence[Event]) -> None:
        assert all(result.outcome is Outcome.STORED for result in store.events.write(events))

    return write


def _executemany(path: Path) -> Write:
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE events (id TEXT PRIMARY KEY, doc BLOB)")

    def write(events: Sequence[Event]) -> None:
        with connection:
            rows = [(event.id, orjson.dumps(event.doc)) for event in events]
            connection.executemany("INSERT INTO events VALUES (?, ?)", rows)

    return write


def _helpers_bulk(client: Elasticsearch) -> Write:
    def actions(events: Sequence[Event]) -> Iterator[dict[str, Any]]:
        for event in events:
            index = f"{EVENTS}{event.tenant}-2026.03.10"
            source = {**event.doc, TEXT: "\n".join(texts(event.doc))}
            yield {"_op_type": "create", "_index": index, "_id": event.id, "_source": source}

    def write(events: Sequence[Event]) -> None:
        helpers.bulk(client, actions(events), chunk_size=BATCH)

    return write


def _events(count: int) -> list[Event]:
    """Return events of about 1 KB of one tenant that no earlier run has used."""
    tenant = f"{_TENANTS}{uuid4().hex[:12]}"
    return [Event(_doc(tenant, number), tenant, "windows", received=_START) for number in range(count)]


def _doc(tenant: str, number: int) -> dict[str, Any]:
    moment = rfc3339(_START + timedelta(milliseconds=number))
    return {
        "@timestamp": moment,
        "event.id": event_id(tenant, "bench", str(number)),
        "event.created": moment,
        "event.category": ["process"],
        "event.type": ["start"],
        "event.action": "process-created",
        "event.code": "4688",
        "event.module": "windows",
        "host.name": f"his-ws-{number % 200:03d}",
        "source.ip": f"10.3.{number % 8}.{number % 250}",
        "user.id": f"st_{number % 500:06x}",
        "process.executable": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
        "process.command_line": f"powershell.exe -NoProfile -File D:\\his\\job{number}.ps1 -Ward ICU",
        "process.pid": number % 65_536,
        "process.parent.executable": "C:\\Windows\\explorer.exe",
        "winlog.channel": "Security",
        "winlog.event_id": 4688,
        **{f"winlog.event_data.Field{place}": f"value {number % 97} of {place}" for place in range(12)},
        "message": f"A new process has been created by st_{number % 500:06x} 新进程已创建",
    }
