"""What every bus adapter promises, on both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import prometheus_client
import pytest

from tests.wardwatch.bus.conftest import Collect, expire
from wardwatch.bus import MAX_RECORD_BYTES, Bus, Consumer, Partition, Producer, Record
from wardwatch.errors import BusUnavailable, RecordError, RecordTooLarge
from wardwatch.testing.ports import wait_until
from wardwatch.topics import Topic


def _fill(bus: Bus, topic: str, values: Sequence[bytes], *, keys: int = 7) -> None:
    producer = bus.producer()
    for number, value in enumerate(values):
        producer.send(topic, value, key=f"key {number % keys}")
    producer.flush()
    producer.close()


def _send_and_flush(producer: Producer, topic: str) -> None:
    producer.send(topic, b"")
    producer.flush()


def _numbers(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def _values(records: Sequence[Record]) -> list[bytes]:
    return sorted((record.value or b"" for record in records), key=int)


def _share(consumers: Sequence[Consumer], partitions: int) -> None:
    """Let each member poll in a thread of its own, as in a process, until each has a share."""
    done = threading.Event()

    def member(consumer: Consumer) -> None:
        while not done.is_set():
            consumer.poll(timeout_s=0.1)

    def settled() -> bool:
        held = [consumer.assignment() for consumer in consumers]
        return all(held) and sum(map(len, held)) == len(set().union(*held)) == partitions

    threads = [threading.Thread(target=member, args=(consumer,)) for consumer in consumers]
    for thread in threads:
        thread.start()
    try:
        wait_until(settled, timeout_s=60, what="each member has a share")
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_records_of_one_key_keep_their_order_and_their_partition(bus: Bus, name: str, collect: Collect) -> None:
    bus.ensure_topics([Topic(name, 3)])
    _fill(bus, name, _numbers(300))
    _fill(bus, name, [str(300 + number).encode() for number in range(300)], keys=300 % 7 + 1)
    with bus.reader([name]) as reader:
        records = collect(reader, 600)
    by_key: dict[str | None, list[Record]] = defaultdict(list)
    for record in records:
        by_key[record.key].append(record)
    for found in by_key.values():
        assert len({record.partition for record in found}) == 1
        assert all(int(a.value or b"") < int(b.value or b"") and a.offset < b.offset for a, b in pairwise(found))
    assert _values(records) == _numbers(600)


def test_tombstones_headers_and_text_keys_come_back_as_they_were_sent(bus: Bus, name: str, collect: Collect) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    producer.send(name, None, key="病人/7", headers={"source": "hl7v2", "院": "仁爱"})
    producer.send(name, b"\x00\xff")
    producer.flush()
    producer.close()
    with bus.reader([name]) as reader:
        tombstone, plain = collect(reader, 2)
    assert (tombstone.key, tombstone.value) == ("病人/7", None)
    assert tombstone.headers == {"source": "hl7v2", "院": "仁爱"}
    assert (plain.key, plain.value, plain.headers) == (None, b"\x00\xff", {})
    assert plain.position == f"{name}/0@1"
    assert plain.timestamp_ms > 1_700_000_000_000


def test_members_of_a_group_share_the_partitions(bus: Bus, name: str) -> None:
    bus.ensure_topics([Topic(name, 4)])
    with bus.consumer(name, topics=[name]) as one, bus.consumer(name, topics=[name]) as two:
        _share([one, two], 4)
        assert {len(one.assignment()), len(two.assignment())} == {2}


def test_two_groups_see_every_record(bus: Bus, name: str, collect: Collect) -> None:
    bus.ensure_topics([Topic(name, 2)])
    _fill(bus, name, _numbers(50))
    for group in (f"{name}-a", f"{name}-b"):
        with bus.consumer(group, topics=[name]) as consumer:
            assert _values(collect(consumer, 50)) == _numbers(50)


def test_what_was_not_committed_is_delivered_again_and_what_was_is_not(bus: Bus, name: str, collect: Collect) -> None:
    bus.ensure_topics([Topic(name, 2)])
    _fill(bus, name, _numbers(20))
    with bus.consumer(name, topics=[name]) as consumer:
        collect(consumer, 20)
        consumer.commit()
        _fill(bus, name, [b"20", b"21"])
        assert _values(collect(consumer, 2)) == [b"20", b"21"]
    with bus.consumer(name, topics=[name]) as consumer:
        assert _values(collect(consumer, 2)) == [b"20", b"21"]


def test_rewind_returns_to_the_last_commit(bus: Bus, name: str, collect: Collect) -> None:
    bus.ensure_topics([Topic(name, 1)])
    _fill(bus, name, _numbers(5))
    with bus.consumer(name, topics=[name]) as consumer:
        assert len(consumer.poll(max_records=2, timeout_s=10) or collect(consumer, 1)) <= 2
        consumer.rewind()
        assert [record.value for record in collect(consumer, 5)] == _numbers(5)
        consumer.commit()
        _fill(bus, name, [b"5"])
        assert [record.value for record in collect(consumer, 1)] == [b"5"]
        consumer.rewind()
        assert [record.value for record in collect(consumer, 1)] == [b"5"]


def test_topics_that_appear_under_the_prefix_are_picked_up(bus: Bus, name: str, collect: Collect) -> None:
    bus.ensure_topics([Topic(f"{name}.a", 1)])
    with bus.consumer(name, prefix=f"{name}.") as consumer, bus.reader(prefix=f"{name}.") as reader:
        consumer.poll(timeout_s=0.1)
        reader.poll(timeout_s=0.1)
        bus.ensure_topics([Topic(f"{name}.b", 1), Topic(f"{name}x", 1)])
        _fill(bus, f"{name}x", [b"0"])
        _fill(bus, f"{name}.b", [b"1"])
        assert [record.topic for record in collect(consumer, 1)] == [f"{name}.b"]
        assert [record.topic for record in collect(reader, 1)] == [f"{name}.b"]


def test_lag_counts_what_is_not_committed_and_end_offsets_what_was_written(
    bus: Bus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    _fill(bus, name, _numbers(9))
    assert bus.end_offsets(name) == {0: 9}
    assert bus.lag(name, topics=[name]) == {(name, 0): 9}
    with bus.consumer(name, topics=[name]) as consumer:
        collect(consumer, 9)
        consumer.commit()
    assert bus.lag(name, prefix=name) == {(name, 0): 0}


def test_a_reader_starts_at_either_end_and_replays_after_rewind(bus: Bus, name: str, collect: Collect) -> None:
    bus.ensure_topics([Topic(name, 1)])
    _fill(bus, name, _numbers(3))
    with bus.reader([name]) as earliest, bus.reader([name], start="latest") as latest:
        assert latest.poll(timeout_s=0.1) == []
        assert len(collect(earliest, 3)) == 3
        earliest.rewind()
        assert [record.offset for record in collect(earliest, 3)] == [0, 1, 2]
        _fill(bus, name, [b"3"])
        assert [record.value for record in collect(latest, 1)] == [b"3"]


def test_on_assign_is_told_every_whole_assignment(bus: Bus, name: str) -> None:
    bus.ensure_topics([Topic(name, 2)])
    told: list[set[Partition]] = []
    with bus.consumer(name, topics=[name], on_assign=told.append) as one:
        wait_until(lambda: one.poll(timeout_s=0.1) or told, what="first assignment")
        assert told == [{(name, 0), (name, 1)}]
        with bus.consumer(name, topics=[name]) as two:
            _share([one, two], 2)
            assert told[-1] == one.assignment()


def test_a_record_above_the_limit_is_refused_at_send_and_the_next_goes_through(
    bus: Bus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1)])
    producer = bus.producer()
    with pytest.raises(RecordTooLarge):
        producer.send(name, b"x" * (MAX_RECORD_BYTES + 1))
    with pytest.raises(RecordError, match="Unicode"):
        producer.send(name, b"", key="\ud800")
    producer.send(name, b"x" * (MAX_RECORD_BYTES - 1), key="k")
    producer.flush()
    producer.close()
    with bus.reader([name]) as reader:
        assert len(collect(reader, 1)[0].value or b"") == MAX_RECORD_BYTES - 1


def test_a_topic_that_does_not_exist_is_unavailable_and_existing_ones_stay_as_they_are(bus: Bus, name: str) -> None:
    bus.ensure_topics([Topic(name, 2)])
    bus.ensure_topics([Topic(name, 5)])
    assert bus.topics()[name] == 2
    producer = bus.producer()
    with pytest.raises(BusUnavailable):
        _send_and_flush(producer, f"{name}.absent")
    producer.close()


def test_what_retention_deletes_before_a_group_has_read_it_is_counted_once_and_the_group_goes_on(
    bus: Bus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1, retention_s=60)])
    _fill(bus, name, _numbers(3))
    with bus.consumer(name, topics=[name]) as consumer:
        collect(consumer, 3)
        consumer.commit()
    _fill(bus, name, [b"3", b"4", b"5", b"6"])
    expire(bus, name)
    _fill(bus, name, [b"7"])
    with bus.consumer(name, topics=[name]) as consumer:
        assert [record.offset for record in collect(consumer, 1)] == [7]
        consumer.rewind()
        assert [record.offset for record in collect(consumer, 1)] == [7]
        consumer.commit()
        _fill(bus, name, [b"8"])
        assert [record.offset for record in collect(consumer, 1)] == [8]
        consumer.commit()
    assert _lost(name, name) == 4
    assert bus.lag(name, topics=[name]) == {(name, 0): 0}


def test_a_new_group_loses_nothing_to_a_retention_that_was_before_its_time(
    bus: Bus, name: str, collect: Collect
) -> None:
    bus.ensure_topics([Topic(name, 1, retention_s=60)])
    _fill(bus, name, _numbers(5))
    expire(bus, name)
    _fill(bus, name, [b"5"])
    with bus.consumer(name, topics=[name]) as consumer:
        assert [record.offset for record in collect(consumer, 1)] == [5]
        consumer.commit()
    assert _lost(name, name) is None


def _lost(group: str, topic: str) -> float | None:
    labels = {"group": group, "topic": topic}
    return prometheus_client.REGISTRY.get_sample_value("wardwatch_bus_lost_records_total", labels)


_PRODUCE = """
import sys
from wardwatch.bus import open_bus
url, topic, who = sys.argv[1:]
producer = open_bus(url).producer()
for number in range(2000):
    producer.send(topic, f"{who} {number}".encode(), key=f"{who} {number % 5}")
    if number % 100 == 99:
        producer.flush()
producer.close()
"""
_CONSUME = """
import os, sys
from wardwatch.bus import open_bus
url, topic, path = sys.argv[1:]
consumer = open_bus(url).consumer(topic, topics=[topic])
with open(path, "ab", buffering=0) as file:
    while True:
        records = consumer.poll(max_records=50, timeout_s=0.2)
        for record in records:
            file.write(f"{record.key}\\t{record.value.decode()}\\n".encode())
        consumer.commit()
"""


def _start(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments])


def test_killing_a_consumer_process_loses_nothing_and_keeps_the_order_of_each_key(
    bus: Bus, name: str, tmp_path: Path
) -> None:
    bus.ensure_topics([Topic(name, 4)])
    files = [tmp_path / f"read {number}" for number in range(2)]
    consumers = [_start(_CONSUME, bus.url, name, str(file)) for file in files]
    producers = [_start(_PRODUCE, bus.url, name, who) for who in ("a", "b")]
    try:
        wait_until(lambda: sum(file.stat().st_size for file in files if file.exists()) > 2000, what="half the work")
        os.kill(consumers[0].pid, signal.SIGKILL)
        assert [producer.wait(60) for producer in producers] == [0, 0]
        wait_until(lambda: not any(bus.lag(name, topics=[name]).values()), timeout_s=40, what="everything committed")
    finally:
        for process in (*consumers, *producers):
            process.kill()
            process.wait()
    read = [file.read_text().splitlines() for file in files if file.exists()]
    expected = {f"{who} {number}" for who in "ab" for number in range(2000)}
    assert {line.split("\t")[1] for lines in read for line in lines} == expected
    for lines in read:
        _assert_ordered(lines)


def _assert_ordered(lines: list[str]) -> None:
    # what is delivered again after a hand-over starts a second run; within a run the numbers of a key rise
    last: dict[str, int] = {}
    seen: set[str] = set()
    for line in lines:
        key, value = line.split("\t")
        number = int(value.split()[1])
        assert number > last.get(key, -1) or line in seen, line
        seen.add(line)
        last[key] = number


def test_a_commit_stops_before_what_is_not_processed_yet(bus: Bus, name: str, collect: Collect) -> None:
    bus.ensure_topics([Topic(name, partitions=1)])
    _fill(bus, name, _numbers(10))
    with bus.consumer(name, topics=[name]) as consumer:
        assert len(collect(consumer, 10)) == 10
        consumer.commit({(name, 0): 4})
        assert bus.lag(name, topics=[name]) == {(name, 0): 6}
        consumer.rewind()
        assert _values(collect(consumer, 6)) == _numbers(10)[4:]
        consumer.commit({(name, 0): 7})
        consumer.commit()
        assert bus.lag(name, topics=[name]) == {(name, 0): 0}


def test_history_reads_what_lies_before_an_offset_since_a_moment(bus: Bus, name: str, collect: Collect) -> None:
    bus.ensure_topics([Topic(name, partitions=2)])
    _fill(bus, name, _numbers(20), keys=1)
    with bus.reader([name]) as reader:
        records = collect(reader, 20)
    partition = (name, records[0].partition)
    assert [each.offset for each in bus.history(partition, 0, 15)] == list(range(15))
    later = records[-1].timestamp_ms + 1
    assert list(bus.history(partition, later, 15)) == []
    assert list(bus.history(partition, 0, 0)) == []


def test_who_may_write_to_a_topic_is_told_and_a_topic_that_is_missing_is_none(bus: Bus, name: str) -> None:
    assert bus.may_write(name) is None
    bus.ensure_topics([Topic(name, 1)])
    assert bus.may_write(name) is True
