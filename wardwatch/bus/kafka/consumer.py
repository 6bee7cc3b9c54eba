"""Reading from Kafka in a group."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import structlog
from kafka import TopicPartition
from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from kafka.structs import OffsetAndMetadata

from wardwatch.bus import Partition, Record
from wardwatch.bus.kafka.client import CLIENT, Cluster, translated
from wardwatch.bus.kafka.connection import Batches, Connection, records
from wardwatch.bus.losses import Losses
from wardwatch.errors import BusUnavailable

log = structlog.get_logger()

_JOIN_S = 4.0
_LOST = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)


class KafkaGroupConsumer(Connection):
    """A member of a group."""

    def __init__(
        self,
        cluster: Cluster,
        group: str,
        topics: tuple[str, ...],
        prefix: str,
        on_assign: Callable[[set[Partition]], None] | None,
    ) -> None:
        super().__init__(cluster, group)
        self._topics = topics
        self._prefix = prefix
        self._on_assign = on_assign
        self._announced: set[Partition] = set()
        self._next: dict[TopicPartition, int] = {}
        self._moved: dict[TopicPartition, int] = {}
        self._losses = Losses(group)

    def poll(self, *, max_records: int = 500, timeout_s: float = 1.0) -> list[Record]:
        """Return the next records of the partitions held."""
        with translated(self._cluster):
            self._connect()
            batches = self._fetch(max_records, timeout_s)
            try:
                self._announce()
                self._advance(batches)
            except BaseException:
                self.rewind()  # what this poll has fetched was not returned
                raise
        return records(batches)

    def commit(self, before: Mapping[Partition, int] = {}) -> None:
        """Commit the positions; a rebalance in between means that others get the records again."""
        reached = {each: min(at, before.get((each.topic, each.partition), at)) for each, at in self._moved.items()}
        if not reached:
            return
        offsets = {each: OffsetAndMetadata(at, "", -1) for each, at in reached.items()}
        with translated(self._cluster):
            try:
                self._client.commit(offsets, timeout_ms=CLIENT["request_timeout_ms"])
            except _LOST as error:
                log.warning("partitions_lost", group=self._group, reason=type(error).__name__)
                self.rewind()
                return
        self._losses.commit()
        self._moved = {each: at for each, at in self._moved.items() if at != reached[each]}

    def rewind(self) -> None:
        """Seek every partition to what the group has committed."""
        self._moved.clear()
        self._losses.rewind()
        if self._client is None:
            return
        try:
            with translated(self._cluster):
                self._next = self._committed(self._client.assignment())
                for each in self._client.assignment():
                    if each in self._next:
                        self._client.seek(each, self._next[each])
                    else:
                        self._client.seek_to_beginning(each)
        except BusUnavailable as error:
            # a new client starts at what is committed, whenever the broker is back
            log.warning("rewound_by_reconnecting", group=self._group, reason=str(error))
            self._forget()

    def _fetch(self, max_records: int, timeout_s: float) -> Batches:
        # kafka-python forgets a join that ends between two polls, and begins another: stay in the poll meanwhile
        joining = self._client._coordinator.need_rejoin()
        return super()._fetch(max_records, max(timeout_s, _JOIN_S) if joining else timeout_s)

    def _subscribe(self) -> None:
        self._announced = set()
        self._next = {}
        if self._prefix:
            self._client.subscribe(pattern=f"^{re.escape(self._prefix)}")
        else:
            self._client.subscribe(list(self._topics))

    def _announce(self) -> None:
        now = self.assignment()
        if now == self._announced:
            return
        held = {TopicPartition(*partition) for partition in now}
        taken = {TopicPartition(*partition) for partition in now - self._announced}
        self._moved = {each: at for each, at in self._moved.items() if each in held}
        self._next = {each: at for each, at in self._next.items() if each in held} | self._committed(taken)
        if self._on_assign is not None:
            self._on_assign(now)
        self._announced = now

    def _committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        found = {each: self._client.committed(each, timeout_ms=CLIENT["request_timeout_ms"]) for each in partitions}
        return {each: offset for each, offset in found.items() if offset is not None}

    def _advance(self, batches: Batches) -> None:
        for each, messages in batches.items():
            after = messages[-1].offset + 1
            missing = after - self._next.get(each, messages[0].offset) - len(messages)
            if missing > 0:
                self._losses.meet(each.topic, min(missing, self._deleted(each)))
            self._next[each] = self._moved[each] = after

    def _deleted(self, each: TopicPartition) -> int:
        # compaction leaves gaps too, but only retention moves the beginning
        beginning = self._client.beginning_offsets([each], timeout_ms=CLIENT["request_timeout_ms"])[each]
        return max(0, int(beginning) - self._next[each])

    def _forget(self) -> None:
        client, self._client = self._client, None
        client.close(autocommit=False, timeout_ms=0)
