"""Bus: produce and consume records of 2.4 KB, beside the bare library of each adapter."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bench.figures import Figure
from wardwatch.bus import Bus, open_bus
from wardwatch.errors import SettingsError
from wardwatch.testing.kafka import KafkaServer
from wardwatch.topics import Topic

_TOPIC = "events.bench"
_BARE = "events.bare"
_BATCH = 1000


def run(quick: bool) -> list[Figure]:
    """Return records per second for both adapters; Kafka is left out, with a note, where no broker can be started."""
    count = 4_000 if quick else 40_000
    records = [os.urandom(600).hex().encode() * 2 for _ in range(count)]
    return [*_sqlite(records), *_kafka(records)]


def _sqlite(records: list[bytes]) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        bus = open_bus(f"sqlite:///{folder}/bus.sqlite")
        produced, consumed = _measure(bus, records)
        with closing(sqlite3.connect(Path(folder) / "bare.sqlite", isolation_level=None)) as bare:
            bare.execute("PRAGMA journal_mode=WAL")
            bare.execute("PRAGMA synchronous=FULL")
            bare.execute("CREATE TABLE r (id INTEGER PRIMARY KEY, value BLOB)")
            bare_produced = _rate(len(records), lambda: _insert(bare, records))
            bare_consumed = _rate(len(records), lambda: bare.execute("SELECT * FROM r ORDER BY id").fetchall())
    return [
        _figure("sqlite", "produce", produced, "sqlite3 executemany", bare_produced, 0.5),
        _figure("sqlite", "consume", consumed, "sqlite3 select", bare_consumed, 0.2),
    ]


def _kafka(records: list[bytes]) -> list[Figure]:
    with ExitStack() as stack:
        try:
            url = os.environ.get("WARDWATCH_TEST_KAFKA") or stack.enter_context(KafkaServer()).url
        except SettingsError as error:
            print(f"bus kafka left out: {error}", file=sys.stderr)
            return []
        bus = open_bus(url)
        bus.ensure_topics([Topic(_BARE, 1)])
        produced, consumed = _measure(bus, records)
        servers = url.removeprefix("kafka://").split(",")
        bare_produced = _rate(len(records), lambda: _bare_produce(servers, records))
        bare_consumed = _rate(len(records), lambda: _bare_consume(servers, len(records)))
    return [
        _figure("kafka", "produce", produced, "bare kafka-python", bare_produced, 0.8),
        _figure("kafka", "consume", consumed, "bare kafka-python", bare_consumed, 0.6),
    ]


def _measure(bus: Bus, records: list[bytes]) -> tuple[float, float]:
    bus.ensure_topics([Topic(_TOPIC, 1)])
    return _rate(len(records), lambda: _produce(bus, records)), _rate(len(records), lambda: _consume(bus, len(records)))


def _produce(bus: Bus, records: list[bytes]) -> None:
    producer = bus.producer()
    for number, value in enumerate(records, 1):
        producer.send(_TOPIC, value, key="k", headers={"tenant": "bench", "source": "windows"})
        if number % _BATCH == 0:
            producer.flush()
    producer.flush()
    producer.close()


def _consume(bus: Bus, count: int) -> None:
    with bus.reader([_TOPIC]) as reader:
        while count > 0:
            count -= len(reader.poll(max_records=_BATCH))


def _insert(connection: sqlite3.Connection, records: list[bytes]) -> None:
    for start in range(0, len(records), _BATCH):
        connection.execute("BEGIN")
        rows = [(value,) for value in records[start : start + _BATCH]]
        connection.executemany("INSERT INTO r (value) VALUES (?)", rows)
        connection.execute("COMMIT")


def _bare_produce(servers: list[str], records: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=servers, compression_type="lz4", linger_ms=5, batch_size=256 * 1024)
    headers = [("tenant", b"bench"), ("source", b"windows")]
    for number, value in enumerate(records, 1):
        producer.send(_BARE, value, key=b"k", headers=headers)
        if number % _BATCH == 0:
            producer.flush()
    producer.flush()
    producer.close()


def _bare_consume(servers: list[str], count: int) -> None:
    consumer = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([TopicPartition(_BARE, 0)])
    while count > 0:
        count -= sum(map(len, consumer.poll(timeout_ms=1000, max_records=_BATCH).values()))
    consumer.close()


def _rate(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def _figure(adapter: str, what: str, value: float, compared_with: str, bare: float, target: float) -> Figure:
    name = f"bus {adapter} {what}, 2.4 KB records"
    return Figure(name, value, "records/s", compared_with, value / bare, f"≥ {target} × {compared_with}")
