"""Each trap of kafka-python that was found by trying, on a broker of our own that can be frozen and killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove

from tests.wardwatch.bus.conftest import Collect
from wardwatch.bus.kafka import KafkaBus
from wardwatch.bus.kafka.producer import KafkaRecordProducer
from wardwatch.errors import BusUnavailable, SettingsError
from wardwatch.testing.kafka import KafkaServer
from wardwatch.testing.kafka_fixture import no_kafka
from wardwatch.topics import Topic

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    """Give a broker that tests may freeze and kill."""
    try:
        own = KafkaServer()
    except SettingsError as error:
        no_kafka(error)
    with own:
        yield own


@pytest.fixture
def bus(server: KafkaServer) -> KafkaBus:
    """Give the bus of that broker."""
    return KafkaBus(server.url)


def test_bytes_that_no_codec_reads_are_handed_over_and_the_next_record_follows(
    bus: KafkaBus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    for value in (b"\xff{", b"{}"):
        producer.send(name, value)
    producer.flush()
    producer.close()
    with bus.consumer(name, topics=[name]) as consumer:
        assert [record.value for record in collect(consumer, 2)] == [b"\xff{", b"{}"]


def test_memory_is_bounded_while_the_broker_is_frozen(server: KafkaServer, bus: KafkaBus, name: str) -> None:
    bus.ensure_topics([Topic(name, 1)])
    limit = 2 * 2**20
    producer = KafkaRecordProducer([server.url.removeprefix("kafka://")], in_flight_bytes=limit, block_s=0.5)
    producer.send(name, b"first")
    producer.flush()
    server.pause()
    sent = [0]
    try:
        with pytest.raises(BusUnavailable, match="in flight"):
            _send_for_ever(producer, name, sent)
    finally:
        server.resume()
        producer.close()
    assert 0.9 * limit < sent[0] <= limit


def _send_for_ever(producer: KafkaRecordProducer, topic: str, sent: list[int]) -> None:
    while True:
        producer.send(topic, b"x" * 10_000)
        sent[0] = max(sent[0], producer.in_flight_bytes)


def test_flush_reports_a_broker_that_does_not_answer_and_sending_again_loses_nothing(
    server: KafkaServer, bus: KafkaBus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    producer.send(name, b"0")
    producer.flush()
    server.pause()
    try:
        producer.send(name, b"1")
        with pytest.raises(BusUnavailable):
            producer.flush(timeout_s=0.5)
    finally:
        server.resume()
    producer.send(name, b"1")
    producer.flush()
    producer.close()
    with bus.reader([name]) as reader:
        assert {record.value for record in collect(reader, 2)} == {b"0", b"1"}


_ABSENT = """
from concurrent.futures import ThreadPoolExecutor
from wardwatch.bus import open_bus
bus = open_bus("kafka://127.0.0.1:1")
calls = [
    bus.ping,
    bus.topics,
    bus.consumer("g", topics=["t"]).poll,
    bus.reader(["t"]).poll,
    lambda: bus.producer().send("t", b""),
    lambda: bus.lag("g", topics=["t"]),
]
with ThreadPoolExecutor(len(calls)) as pool:
    print(*{type(future.exception(10)).__name__ for future in [pool.submit(call) for call in calls]})
"""


def test_an_absent_broker_is_unavailable_for_every_call() -> None:
    # in a process of its own: kafka-python leaves the sockets of failed connections to the garbage collector
    done = subprocess.run([sys.executable, "-c", _ABSENT], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.strip() == "BusUnavailable", done.stderr


def test_a_member_thrown_out_of_its_group_commits_nothing_and_gets_its_records_again(
    server: KafkaServer, bus: KafkaBus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    producer.send(name, b"0")
    producer.flush()
    producer.close()
    with bus.consumer(name, topics=[name]) as consumer:
        collect(consumer, 1)
        admin = KafkaAdminClient(bootstrap_servers=server.url.removeprefix("kafka://"))
        members = [MemberToRemove(member["member_id"]) for member in admin.describe_groups([name])[name]["members"]]
        admin.remove_group_members(name, members)
        admin.close()
        consumer.commit()
        assert bus.lag(name, topics=[name]) == {(name, 0): 1}
        assert [record.value for record in collect(consumer, 1)] == [b"0"]
        consumer.commit()
    assert bus.lag(name, topics=[name]) == {(name, 0): 0}


def test_what_was_flushed_survives_kill_9_of_the_broker_and_clients_go_on(
    server: KafkaServer, bus: KafkaBus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    with bus.reader([name]) as reader:
        producer.send(name, b"0")
        producer.flush()
        assert [record.value for record in collect(reader, 1)] == [b"0"]
        server.kill()
        server.start()
        producer.send(name, b"1")
        producer.flush()
        producer.close()
        assert [record.value for record in collect(reader, 1)] == [b"1"]


def test_without_crc32c_the_bus_refuses_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wardwatch.bus.kafka.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="pip install crc32c"):
        KafkaBus("kafka://127.0.0.1:9092")


@pytest.mark.parametrize("url", ["kafka://", "kafka://host", "kafka://host:port", "kafka://a:1,", "kafka://u:p@h:1"])
def test_a_url_that_names_no_servers_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="host:port"):
        KafkaBus(url)
