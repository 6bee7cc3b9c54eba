"""Our decoding of Kafka's record batches beside kafka-python's own, on batches that kafka-python builds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import calc_crc32c

from wardwatch.bus import Record
from wardwatch.bus.kafka.decoding import PartitionRecords, decoded

PARTITION = TopicPartition("events.hospital_a", 3)
_ATTRIBUTES = DefaultRecordBatch.ATTRIBUTES_OFFSET + 1  # of two bytes the one that has them all

Row = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
TEXTS = st.text(max_size=80)
ROWS = st.tuples(
    st.integers(0, 2**42),
    st.none() | st.binary(max_size=80),
    st.none() | st.binary(max_size=200),
    st.lists(st.tuples(TEXTS, st.none() | st.binary(max_size=80)), max_size=5),
)


def built(rows: list[Row], codec: int = 0) -> bytearray:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**20)
    for offset, row in enumerate(rows):
        builder.append(offset, *row)
    return bytearray(builder.build())


def marked(batch: bytearray, bits: int) -> bytearray:
    batch[_ATTRIBUTES] |= bits
    crc = calc_crc32c(memoryview(batch)[DefaultRecordBatch.ATTRIBUTES_OFFSET :])
    batch[DefaultRecordBatch.CRC_OFFSET : DefaultRecordBatch.ATTRIBUTES_OFFSET] = crc.to_bytes(4, "big")
    return batch


def read(*batches: bytearray, start: int = 0) -> tuple[list[Record], int]:
    found = PartitionRecords(start, PARTITION, MemoryRecords(b"".join(batches)))
    return found.take(), found.next_fetch_offset


def theirs(batch: bytearray) -> list[Record]:
    return [_record(each) for each in DefaultRecordBatch(batch)]


def _record(each: Any) -> Record:
    key = None if each.key is None else each.key.decode("utf-8", "replace")
    headers = {name: (text or b"").decode("utf-8", "replace") for name, text in each.headers}
    return Record(PARTITION.topic, PARTITION.partition, each.offset, key, each.value, headers, each.timestamp)


@given(st.lists(ROWS, min_size=1, max_size=8), st.sampled_from([0, 1, 3]))
def test_the_records_are_those_that_the_library_reads(rows: list[Row], codec: int) -> None:
    batch = built(rows, codec)
    found, after = read(batch)
    assert found == theirs(batch)
    assert after == len(rows)


def test_reading_starts_in_the_middle_of_a_batch() -> None:
    found, _ = read(built([(0, None, b"a", []), (0, None, b"b", [])]), start=1)
    assert [record.value for record in found] == [b"b"]


def test_a_topic_whose_brokers_stamp_records_has_their_time() -> None:
    batch = marked(built([(5, None, b"a", []), (9, None, b"b", [])]), DefaultRecordBatch.TIMESTAMP_TYPE_MASK)
    found, _ = read(batch)
    assert [record.timestamp_ms for record in found] == [9, 9] == [record.timestamp_ms for record in theirs(batch)]


def test_markers_of_transactions_are_passed_over() -> None:
    marker = marked(built([(0, b"\0\0\0\1", b"", [])]), DefaultRecordBatch.CONTROL_MASK)
    assert read(marker) == ([], 1)


def test_a_header_that_is_no_text_stops_nobody() -> None:
    batch = built([(0, None, b"a", [("name", b"\xff")])])
    batch[batch.index(b"name")] = 0xFE
    (record,), _ = read(marked(batch, 0))
    assert record.headers == {"\ufffdame": "\ufffd"}


@pytest.mark.parametrize("at", [17, 30, 60, -1])
def test_a_batch_that_was_damaged_on_its_way_is_refused(at: int) -> None:
    batch = built([(0, b"key", b"value", [("name", b"text")])])
    batch[at] ^= 0x10
    with pytest.raises(CorruptRecordError):
        read(batch)


def test_a_record_that_is_longer_than_what_it_says_is_refused() -> None:
    batch = built([(0, None, b"a", [("name", b"text")])])
    batch[batch.index(b"name") - 2] = 0  # headers
    with pytest.raises(CorruptRecordError):
        read(marked(batch, 0))


@given(
    st.lists(ROWS, min_size=1, max_size=3), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)
)
def test_a_batch_written_to_deceive_gives_records_or_is_refused(rows: list[Row], forged: list[tuple[int, int]]) -> None:
    batch = built(rows)
    body = DefaultRecordBatch.HEADER_STRUCT.size
    for at, byte in forged:
        batch[body + at % (len(batch) - body)] = byte
    try:
        found = list(decoded(PARTITION, DefaultRecordBatch(batch)))
    except CorruptRecordError:
        return
    assert len(found) == len(rows)
