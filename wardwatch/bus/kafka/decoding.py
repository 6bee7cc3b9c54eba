"""Records out of what a broker sends, at half the cost of kafka-python's own objects.

Record batches are of format 2 (Kafka protocol guide, "Record Batch"); a broker of version 4 has no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.util import decode_varint

from wardwatch.bus import Record

_LONG = 0x81  # bits of the first byte of a varint: more bytes follow, or it is negative


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What a fetch brought of one partition, as our records; raises CorruptRecordError."""

    def _unpack_records(self, tp: TopicPartition, records: Any, *_: object) -> Iterator[Record]:
        for batch in iter(records.next_batch, None):
            if batch.magic != 2 or not batch.validate_crc():
                raise CorruptRecordError(f"batch of {tp.topic}/{tp.partition} at {batch.base_offset}")
            self.leader_epoch = batch.leader_epoch
            if not batch.is_control_batch:
                for record in decoded(tp, batch):
                    self.next_fetch_offset = record.offset + 1
                    yield record
            self.next_fetch_offset = batch.next_offset  # compaction may have taken the last record
        self.drain()


def decoded(tp: TopicPartition, batch: Any) -> Iterator[Record]:
    """Yield the records of a batch; text that is not UTF-8 is replaced. Raises CorruptRecordError."""
    batch._maybe_uncompress()
    data, at = bytes(batch._buffer), batch._pos
    base_offset, first_ms = batch.base_offset, batch.first_timestamp
    appended_ms = batch.max_timestamp if batch.timestamp_type == batch.LOG_APPEND_TIME else None
    try:
        for _ in range(batch.records_count):
            size, at = decode_varint(data, at)
            end = at + size
            since_ms, at = decode_varint(data, at + 1)  # after a byte of attributes
            offset, at = decode_varint(data, at)
            key, at = _bytes(data, at)
            value, at = _bytes(data, at)
            headers = _headers(data, at, end)
            at = end
            taken_ms = first_ms + since_ms if appended_ms is None else appended_ms
            text = None if key is None else key.decode("utf-8", "replace")
            yield Record(tp.topic, tp.partition, base_offset + offset, text, value, headers, taken_ms)
    except (IndexError, ValueError) as error:
        raise CorruptRecordError(f"record of {tp.topic}/{tp.partition} from {base_offset} on: {error!r}") from None
    if at != len(data):
        raise CorruptRecordError(f"{tp.topic}/{tp.partition} at {base_offset}: {len(data) - at} bytes beside records")


def _bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    size, at = decode_varint(data, at)
    return (None, at) if size < 0 else (data[at : at + size], at + size)


def _headers(data: bytes, at: int, end: int) -> dict[str, str]:
    count, at = decode_varint(data, at)
    if not 0 <= count <= end - at:
        raise ValueError(f"{count} headers")
    headers = {}
    for _ in range(count):
        size = data[at]
        size, start = decode_varint(data, at) if size & _LONG else (size >> 1, at + 1)
        at = start + size
        name = data[start:at].decode("utf-8", "replace")
        size = data[at]
        size, start = decode_varint(data, at) if size & _LONG else (size >> 1, at + 1)
        at = start + size if size > 0 else start
        headers[name] = data[start:at].decode("utf-8", "replace")
    if at != end:
        raise ValueError(f"headers end at {at}, not {end}")
    return headers
