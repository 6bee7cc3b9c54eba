"""Each trap of kafka-python that was found by trying, on a broker of our own that can be frozen and killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove

from tests.wardwatch.bus.conftest import Collect
from wardwatch.bus import Consumer, Producer, Record
from wardwatch.bus.kafka import KafkaBus
from wardwatch.errors import BusUnavailable, RecordTooLarge, SettingsError
from wardwatch.testing.kafka import KafkaServer
from wardwatch.testing.ports import wait_until
from wardwatch.topics import Topic

pytestmark = pytest.mark.kafka


@pytest.fixture
def bus(kafka_server: KafkaServer) -> KafkaBus:
    """Give the bus of that broker."""
    return KafkaBus(kafka_server.url)


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


_HOARD = """
import os, sys
from wardwatch.bus.kafka.client import Cluster
from wardwatch.bus.kafka.producer import KafkaRecordProducer
from wardwatch.errors import BusUnavailable
server, topic, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
producer = KafkaRecordProducer(Cluster((server,)), in_flight_bytes=limit, block_s=0.5)
producer.send(topic, b"first")
producer.flush()
print("connected", flush=True)
sys.stdin.readline()
before, sent, most = resident(), 0, 0
try:
    while sent < 20 * limit:
        producer.send(topic, os.urandom(10_000))
        sent += 10_000
        most = max(most, resident())
except BusUnavailable as error:
    print(error.reason, sent, most - before, sep="\\n")
os._exit(0)
"""


def test_the_memory_of_a_producer_is_bounded_while_the_broker_is_frozen(
    kafka_server: KafkaServer, bus: KafkaBus, name: str
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    limit = 16 * 2**20
    command = [sys.executable, "-c", _HOARD, kafka_server.url.removeprefix("kafka://"), name, str(limit)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        kafka_server.pause()
        try:
            printed, _ = process.communicate("go\n", timeout=60)
        finally:
            kafka_server.resume()
            process.kill()
    reason, sent, grown = printed.splitlines()
    assert "in flight" in reason
    assert 0.9 * limit < int(sent) <= limit
    assert int(grown) < 2 * limit


def test_a_broker_frozen_until_requests_time_out_loses_and_doubles_nothing(
    kafka_server: KafkaServer, bus: KafkaBus, name: str, collect: Collect, caplog: pytest.LogCaptureFixture
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    numbers = [str(number).encode() for number in range(3000)]
    for value in numbers[:1000]:
        producer.send(name, value)
    kafka_server.pause()
    try:
        for value in numbers[1000:]:
            producer.send(name, value)
        wait_until(lambda: "Request timed out" in caplog.text, what="request timed out")
    finally:
        kafka_server.resume()
    producer.flush()
    producer.close()
    with bus.reader([name]) as reader:
        assert [record.value for record in collect(reader, 3000)] == numbers
    assert bus.end_offsets(name) == {0: 3000}


def test_no_call_waits_longer_than_15_s_for_a_frozen_broker(
    kafka_server: KafkaServer, bus: KafkaBus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    producer.send(name, b"0")
    producer.flush()
    consumer, reader = bus.consumer(name, topics=[name]), bus.reader([name])
    collect(consumer, 1)
    collect(reader, 1)
    producer.send(name, b"1")
    calls: dict[str, Callable[[], object]] = {
        "flush": producer.flush,
        "commit": consumer.commit,
        "read": lambda: _poll_for_ever(reader),
        "read anew": lambda: bus.reader([name]).poll(),
        "join": lambda: bus.consumer(name, topics=[name]).poll(),
        "send anew": lambda: _flushed(bus.producer(), name),
        "ping": bus.ping,
        "topics": bus.topics,
        "ensure_topics": lambda: bus.ensure_topics([Topic(f"{name}.new", 1)]),
        "end_offsets": lambda: bus.end_offsets(name),
        "lag": lambda: bus.lag(name, topics=[name]),
    }
    kafka_server.pause()
    try:
        with ThreadPoolExecutor(len(calls)) as pool:
            answers = {what: pool.submit(call) for what, call in calls.items()}
            raised = {what: type(answer.exception(15)) for what, answer in answers.items()}
    finally:
        kafka_server.resume()
    assert raised == dict.fromkeys(calls, BusUnavailable)
    for each in (producer, consumer, reader):
        each.close()


def _poll_for_ever(consumer: Consumer) -> None:
    while True:
        consumer.poll(timeout_s=0.2)


def _flushed(producer: Producer, topic: str) -> None:
    producer.send(topic, b"")
    producer.flush()


def test_flush_reports_a_broker_that_does_not_answer_and_sending_again_loses_nothing(
    kafka_server: KafkaServer, bus: KafkaBus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    producer.send(name, b"0")
    producer.flush()
    kafka_server.pause()
    try:
        producer.send(name, b"1")
        with pytest.raises(BusUnavailable):
            producer.flush(timeout_s=0.5)
    finally:
        kafka_server.resume()
    producer.send(name, b"1")
    producer.flush()
    producer.close()
    with bus.reader([name]) as reader:
        assert {record.value for record in collect(reader, 2)} == {b"0", b"1"}


def test_an_absent_broker_is_unavailable_for_every_call_and_no_thread_stays_behind() -> None:
    bus = KafkaBus("kafka://127.0.0.1:1")
    calls: list[Callable[[], object]] = [
        bus.ping,
        bus.topics,
        bus.consumer("g", topics=["t"]).poll,
        bus.reader(["t"]).poll,
        lambda: bus.producer().send("t", b""),
        lambda: bus.lag("g", topics=["t"]),
    ]
    threads = set(threading.enumerate())
    with ThreadPoolExecutor(len(calls)) as pool:
        raised = {type(future.exception(15)) for future in [pool.submit(call) for call in calls]}
    assert raised == {BusUnavailable}
    assert set(threading.enumerate()) <= threads


def test_a_member_thrown_out_of_its_group_commits_nothing_and_gets_its_records_again(
    kafka_server: KafkaServer, bus: KafkaBus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    producer.send(name, b"0")
    producer.flush()
    producer.close()
    with bus.consumer(name, topics=[name]) as consumer:
        collect(consumer, 1)
        admin = KafkaAdminClient(bootstrap_servers=kafka_server.url.removeprefix("kafka://"))
        members = [MemberToRemove(member["member_id"]) for member in admin.describe_groups([name])[name]["members"]]
        admin.remove_group_members(name, members)
        admin.close()
        consumer.commit()
        assert bus.lag(name, topics=[name]) == {(name, 0): 1}
        assert [record.value for record in collect(consumer, 1)] == [b"0"]
        consumer.commit()
    assert bus.lag(name, topics=[name]) == {(name, 0): 0}


def test_a_broker_killed_is_unavailable_until_it_is_back_and_no_record_is_lost(
    kafka_server: KafkaServer, bus: KafkaBus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    with bus.reader([name]) as reader, bus.consumer(name, topics=[name]) as consumer:
        producer.send(name, b"0")
        producer.flush()
        for each in (reader, consumer):
            assert [record.value for record in collect(each, 1)] == [b"0"]
        producer.send(name, b"1")
        producer.flush()
        kafka_server.kill()
        read: list[Record] = []
        wait_until(lambda: not _answers(reader, read), what="the reader notices")
        wait_until(lambda: not _answers(consumer, []), what="the member notices")
        kafka_server.start()
        producer.send(name, b"2")
        producer.flush()
        producer.close()
        wait_until(lambda: _answers(reader, read) and len(read) >= 2, what="the reader goes on")
        assert [record.value for record in read] == [b"1", b"2"]
        consumer.rewind()
        again: list[Record] = []
        wait_until(lambda: _answers(consumer, again) and len(again) >= 3, what="the member goes on")
        assert [record.value for record in again] == [b"0", b"1", b"2"]
        consumer.commit()
    assert bus.lag(name, topics=[name]) == {(name, 0): 0}


def _answers(consumer: Consumer, into: list[Record]) -> bool:
    try:
        into.extend(consumer.poll(timeout_s=0.2))
    except BusUnavailable:
        return False
    return True


def test_without_crc32c_the_bus_refuses_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wardwatch.bus.kafka.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="pip install crc32c"):
        KafkaBus("kafka://127.0.0.1:9092")


@pytest.mark.parametrize("url", ["kafka://", "kafka://host", "kafka://host:port", "kafka://a:1,", "kafka://u:p@h:1"])
def test_a_url_that_names_no_servers_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="host:port"):
        KafkaBus(url)


def test_of_a_batch_that_is_too_large_for_its_topic_only_the_record_that_is_too_large_alone_is_refused(
    kafka_server: KafkaServer, bus: KafkaBus, name: str, collect: Collect
) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka_server.url.removeprefix("kafka://"))
    admin.create_topics({name: {"num_partitions": 1, "configs": {"max.message.bytes": "3000"}}}, wait_for_metadata=True)
    admin.close()
    small = [os.urandom(1000) for _ in range(10)]
    producer = bus.producer()
    for value in small:
        producer.send(name, value)
    producer.flush()
    producer.send(name, small[0])
    producer.send(name, os.urandom(9000))
    with pytest.raises(RecordTooLarge):
        producer.flush()
    producer.send(name, b"after")
    producer.flush()
    producer.close()
    with bus.reader([name]) as reader:
        values = [record.value for record in collect(reader, 11)]
    assert values[:10] == small
    assert values[-1] == b"after"
