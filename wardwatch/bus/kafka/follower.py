"""Reading from Kafka without a group, from offsets that the caller keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import structlog
from kafka import TopicPartition

from wardwatch.bus import Partition, Record
from wardwatch.bus.kafka.client import CLIENT, Cluster, translated
from wardwatch.bus.kafka.connection import Batches, Connection, records

log = structlog.get_logger()

_DISCOVER_S = 3.0


class KafkaFollower(Connection):
    """Reads all partitions that ``discover`` finds, each from its offset in ``offsets``, else from its beginning.

    ``offsets`` are those of the next records; ``lost`` counts what retention deleted before it was read.
    """

    def __init__(
        self,
        cluster: Cluster,
        discover: Callable[[], list[TopicPartition]],
        offsets: Mapping[Partition, int],
    ) -> None:
        super().__init__(cluster, None)
        self._discover = discover
        self._discovered = float("-inf")
        self.offsets = dict(offsets)
        self.lost = 0

    def poll(self, *, max_records: int = 500, timeout_s: float = 1.0) -> list[Record]:
        """Return the next records of all partitions, [] when none came in time; raises BusUnavailable."""
        with translated(self._cluster):
            self._connect()
            if time.monotonic() - self._discovered > _DISCOVER_S:
                self._assign()
            if not self._client.assignment():
                time.sleep(timeout_s)  # a client without partitions can't wait for them
                return []
            batches = self._fetch(max_records, timeout_s)
            self._advance(batches)
        return records(batches)

    def _subscribe(self) -> None:
        self._discovered = float("-inf")

    def _assign(self) -> None:
        """Take up partitions that are new, and go back where a topic was made again."""
        found = self._discover()
        held = self._client.assignment()
        if set(found) != held:
            new = [each for each in found if each not in held]
            begins = self._client.beginning_offsets(new, timeout_ms=CLIENT["request_timeout_ms"]) if new else {}
            ends = self._client.end_offsets(new, timeout_ms=CLIENT["request_timeout_ms"]) if new else {}
            self._client.assign(found)
            for each in found:
                place = (each.topic, each.partition)
                at = self.offsets.get(place, begins.get(each, 0))
                if each in begins and not begins[each] <= at <= ends[each]:
                    at = self._jump(each, at, begins[each], ends[each])
                self.offsets[place] = at
                self._client.seek(each, at)
        self._discovered = time.monotonic()

    def _jump(self, each: TopicPartition, at: int, begin: int, end: int) -> int:
        if at < begin:
            self._lose(each, begin - at)
        else:
            log.warning("topic_begins_again", topic=each.topic, partition=each.partition, at=at, end=end)
        return begin

    def _advance(self, batches: Batches) -> None:
        for each, messages in batches.items():
            place = (each.topic, each.partition)
            missing = messages[-1].offset + 1 - self.offsets[place] - len(messages)
            if missing > 0:
                self._lose(each, min(missing, self._deleted(each, place)))
            self.offsets[place] = messages[-1].offset + 1

    def _deleted(self, each: TopicPartition, place: Partition) -> int:
        # compaction and transactions leave gaps too, but only retention moves the beginning
        beginning = self._client.beginning_offsets([each], timeout_ms=CLIENT["request_timeout_ms"])[each]
        return max(0, int(beginning) - self.offsets[place])

    def _lose(self, each: TopicPartition, count: int) -> None:
        if count:
            self.lost += count
            log.error("records_lost", topic=each.topic, partition=each.partition, records=count, reason="retention")
