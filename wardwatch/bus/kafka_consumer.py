"""Reading from Kafka: alone, or in a group."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from kafka.structs import OffsetAndMetadata

from wardwatch.bus import Partition, Record
from wardwatch.bus.kafka_errors import CLIENT, ready, translated
from wardwatch.errors import BusUnavailable

log = structlog.get_logger()

_LOST = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)
_DISCOVER_S = 3.0
# no deserializers: one that raises makes a later poll spin; no auto-commit, no jump to the end: both lose events
_CONSUMER: dict[str, Any] = CLIENT | {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "allow_auto_create_topics": False,
    "fetch_max_bytes": 16 * 2**20,
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 3_000,
}


class _KafkaConsumer:
    """What reader and member of a group share: a client that is made at the first ``poll``."""

    def __init__(self, servers: Sequence[str], group: str | None) -> None:
        self._servers = servers
        self._group = group
        self._client: Any = None

    def assignment(self) -> set[Partition]:
        """Return the partitions held now."""
        if self._client is None:
            return set()
        return {(each.topic, each.partition) for each in self._client.assignment()}

    def close(self) -> None:
        """Leave without committing."""
        client, self._client = self._client, None
        if client is not None:
            with translated(self._servers):
                client.close(autocommit=False, timeout_ms=5_000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _connected(self) -> Any:
        if self._client is None:
            self._client = ready(KafkaConsumer(bootstrap_servers=self._servers, group_id=self._group, **_CONSUMER))
            self._subscribe()
        return self._client

    def _subscribe(self) -> None:
        """Tell a new client what to read."""

    def _fetch(self, max_records: int, timeout_s: float) -> list[Record]:
        batches = self._client.poll(timeout_ms=max(int(timeout_s * 1000), 0), max_records=max_records)
        return [_record(message) for messages in batches.values() for message in messages]


class KafkaGroupConsumer(_KafkaConsumer):
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


class KafkaReader(_KafkaConsumer):
    """Reads all partitions that ``discover`` finds, asking again every few seconds."""

    def __init__(
        self,
        servers: Sequence[str],
        discover: Callable[[], list[TopicPartition]],
        start: Literal["earliest", "latest"],
    ) -> None:
        super().__init__(servers, None)
        self._discover = discover
        self._latest = start == "latest"
        self._began: dict[TopicPartition, int] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._discovered = float("-inf")

    def poll(self, *, max_records: int = 500, timeout_s: float = 1.0) -> list[Record]:
        """Return the next records of all partitions."""
        with translated(self._servers):
            self._connected()
            if time.monotonic() - self._discovered > _DISCOVER_S:
                self._assign()
            if not self._began:
                time.sleep(timeout_s)  # a client without partitions can't wait for them
                return []
            records = self._fetch(max_records, timeout_s)
        for record in records:
            self._positions[TopicPartition(record.topic, record.partition)] = record.offset + 1
        return records

    def commit(self) -> None:
        """Do nothing: a reader has no group."""

    def rewind(self) -> None:
        """Go back to where the reader began."""
        self._positions = dict(self._began)
        if self._client is not None:
            for partition, offset in self._began.items():
                self._client.seek(partition, offset)

    def _assign(self) -> None:
        new = [each for each in self._discover() if each not in self._began]
        if new:
            first_look = not self._began and self._latest
            look = self._client.end_offsets if first_look else self._client.beginning_offsets
            starts = look(new, timeout_ms=CLIENT["request_timeout_ms"])
            self._began |= starts
            self._positions |= starts
            self._client.assign(list(self._began))
            for partition, offset in self._positions.items():
                self._client.seek(partition, offset)
        self._discovered = time.monotonic()


def _record(message: Any) -> Record:
    return Record(
        message.topic,
        message.partition,
        message.offset,
        None if message.key is None else message.key.decode("utf-8", "replace"),
        message.value,
        {name: (text or b"").decode("utf-8", "replace") for name, text in message.headers},
        message.timestamp,
    )
