"""Bus: produce and consume records of 2.4 KB, beside the bare library of each adapter doing the same.

Ours and the bare library take turns, so that both meet the same machine; the best turn of each counts. Connecting is
not timed.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bench.figures import Figure
from wardwatch.bus import Bus, open_bus
from wardwatch.errors import SettingsError
from wardwatch.testing.kafka import KafkaServer
from wardwatch.topics import Topic

_OURS = "events.bench"
_BARE = "events.bare"
_BATCH = 1000
_HEADERS = {"tenant": "bench", "source": "windows"}
_TARGET = 0.5

Turn = Callable[[], float]
"""Does the work once and returns the seconds it took."""


def run(quick: bool) -> list[Figure]:
    """Return records per second for both adapters; Kafka is left out, with a note, where no broker can be started."""
    count, turns = (4_000, 2) if quick else (20_000, 5)
    records = [os.urandom(600).hex().encode() * 2 for _ in range(count)]
    return [*_sqlite(records, turns), *_kafka(records, turns)]


def _sqlite(records: list[bytes], turns: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        bus = open_bus(f"sqlite:///{folder}/bus.sqlite")
        bus.ensure_topics([Topic(_OURS, 1)])
        with closing(sqlite3.connect(Path(folder) / "bare.sqlite", isolation_level=None)) as bare:
            bare.execute("PRAGMA journal_mode=WAL")
            bare.execute("PRAGMA synchronous=FULL")
            bare.execute("CREATE TABLE r (id INTEGER PRIMARY KEY, at INTEGER, key TEXT, headers BLOB, value BLOB)")
            yield _compare("sqlite produce", len(records), turns, _produce(bus, records), _insert(bare, records))
            yield _compare("sqlite consume", len(records), turns, _consume(bus, records), _select(bare, records))


def _kafka(records: list[bytes], turns: int) -> Iterator[Figure]:
    with ExitStack() as stack:
        try:
            url = os.environ.get("WARDWATCH_TEST_KAFKA") or stack.enter_context(KafkaServer()).url
        except SettingsError as error:
            print(f"bus kafka left out: {error}", file=sys.stderr)
            return
        bus = open_bus(url)
        bus.ensure_topics([Topic(_OURS, 1), Topic(_BARE, 1)])
        servers = url.removeprefix("kafka://").split(",")
        yield _compare("kafka produce", len(records), turns, _produce(bus, records), _bare_produce(servers, records))
        yield _compare("kafka consume", len(records), turns, _consume(bus, records), _bare_consume(servers, records))


def _compare(what: str, count: int, turns: int, ours: Turn, bare: Turn) -> Figure:
    times = [(ours(), bare()) for _ in range(turns)]
    ours_s, bare_s = (min(column) for column in zip(*times, strict=True))
    library = "bare sqlite3" if what.startswith("sqlite") else "bare kafka-python"
    name = f"bus {what}, 2.4 KB records"
    return Figure(name, count / ours_s, "records/s", library, bare_s / ours_s, f"≥ {_TARGET} × {library}")


def _produce(bus: Bus, records: list[bytes]) -> Turn:
    def turn() -> float:
        with closing(bus.producer()) as producer:
            producer.send(_OURS, records[0], key="k", headers=_HEADERS)
            producer.flush()
            with _clock() as took:
                for number, value in enumerate(records, 1):
                    producer.send(_OURS, value, key="k", headers=_HEADERS)
                    if number % _BATCH == 0:
                        producer.flush()
        return took()

    return turn


def _bare_produce(servers: list[str], records: list[bytes]) -> Turn:
    headers = [(name, text.encode()) for name, text in _HEADERS.items()]

    def turn() -> float:
        with closing(
            KafkaProducer(bootstrap_servers=servers, compression_type="lz4", linger_ms=5, batch_size=256 * 1024)
        ) as producer:
            producer.send(_BARE, records[0], key=b"k", headers=headers)
            producer.flush()
            with _clock() as took:
                for number, value in enumerate(records, 1):
                    producer.send(_BARE, value, key=b"k", headers=headers)
                    if number % _BATCH == 0:
                        producer.flush()
        return took()

    return turn


def _consume(bus: Bus, records: list[bytes]) -> Turn:
    def turn() -> float:
        with bus.reader([_OURS]) as reader:
            while not reader.poll(max_records=1):
                pass
            left = len(records)
            with _clock() as took:
                while left > 0:
                    left -= len(reader.poll(max_records=_BATCH))
        return took()

    return turn


def _bare_consume(servers: list[str], records: list[bytes]) -> Turn:
    def turn() -> float:
        consumer = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
        consumer.assign([TopicPartition(_BARE, 0)])
        while not consumer.poll(timeout_ms=1000, max_records=1):
            pass
        left = len(records)
        with _clock() as took:
            while left > 0:
                left -= sum(map(len, consumer.poll(timeout_ms=1000, max_records=_BATCH).values()))
        consumer.close()
        return took()

    return turn


def _insert(connection: sqlite3.Connection, records: list[bytes]) -> Turn:
    def turn() -> float:
        with _clock() as took:
            for start in range(0, len(records), _BATCH):
                rows = [(0, "k", b'{"tenant":"bench","source":"windows"}', value) for value in records[start:][:_BATCH]]
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT INTO r (at, key, headers, value) VALUES (?,?,?,?)", rows)
                connection.execute("COMMIT")
        return took()

    return turn


def _select(connection: sqlite3.Connection, records: list[bytes]) -> Turn:
    query = "SELECT id, at, key, headers, value FROM r WHERE id>? ORDER BY id LIMIT ?"

    def turn() -> float:
        last = 0
        with _clock() as took:
            while last < len(records):
                last = connection.execute(query, (last, _BATCH)).fetchall()[-1][0]
        return took()

    return turn


@contextmanager
def _clock() -> Iterator[Callable[[], float]]:
    began = time.perf_counter()
    ended: list[float] = []
    yield lambda: ended[0] - began
    ended.append(time.perf_counter())
