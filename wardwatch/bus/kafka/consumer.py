"""Reading from Kafka in a group."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

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
from wardwatch.bus.kafka.client import CLIENT, translated
from wardwatch.bus.kafka.connection import Connection
from wardwatch.errors import BusUnavailable

log = structlog.get_logger()

_LOST = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)


class KafkaGroupConsumer(Connection):
    """A member of a group."""

    def __init__(
        self,
        servers: Sequence[str],
        group: str,
        topics: tuple[str, ...],
        prefix: str,
        on_assign: Callable[[set[Partition]], None] | None,
    ) -> None:
        super().__init__(servers, group)
        self._topics = topics
        self._prefix = prefix
        self._on_assign = on_assign
        self._announced: set[Partition] = set()
        self._positions: dict[TopicPartition, int] = {}

    def poll(self, *, max_records: int = 500, timeout_s: float = 1.0) -> list[Record]:
        """Return the next records of the partitions held."""
        with translated(self._servers):
            self._connected()
            records = self._fetch(max_records, timeout_s)
            self._announce()
        for record in records:
            self._positions[TopicPartition(record.topic, record.partition)] = record.offset + 1
        return records

    def commit(self) -> None:
        """Commit the positions; a rebalance in between means that others get the records again."""
        if not self._positions:
            return
        with translated(self._servers):
            try:
                self._client.commit({each: OffsetAndMetadata(at, "", -1) for each, at in self._positions.items()})
            except _LOST as error:
                log.warning("partitions_lost", group=self._group, reason=type(error).__name__)
                self.rewind()
        self._positions.clear()

    def rewind(self) -> None:
        """Seek every partition to what the group has committed."""
        self._positions.clear()
        if self._client is None:
            return
        try:
            with translated(self._servers):
                for each in self._client.assignment():
                    committed = self._client.committed(each, timeout_ms=CLIENT["request_timeout_ms"])
                    if committed is None:
                        self._client.seek_to_beginning(each)
                    else:
                        self._client.seek(each, committed)
        except BusUnavailable as error:
            # a new client starts at what is committed, whenever the broker is back
            log.warning("rewound_by_reconnecting", group=self._group, reason=str(error))
            self._forget()

    def _subscribe(self) -> None:
        self._announced = set()
        if self._prefix:
            self._client.subscribe(pattern=f"^{re.escape(self._prefix)}")
        else:
            self._client.subscribe(list(self._topics))

    def _announce(self) -> None:
        now = self.assignment()
        if now == self._announced:
            return
        held = {TopicPartition(*partition) for partition in now}
        self._positions = {each: at for each, at in self._positions.items() if each in held}
        if self._on_assign is not None:
            try:
                self._on_assign(now)
            except BaseException:
                self.rewind()  # what this poll has fetched was not returned
                raise
        self._announced = now

    def _forget(self) -> None:
        client, self._client = self._client, None
        client.close(autocommit=False, timeout_ms=0)
