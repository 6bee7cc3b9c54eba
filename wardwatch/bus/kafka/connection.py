"""What reader and member of a group share: one client of kafka-python and its records."""

from __future__ import annotations

import time
from itertools import chain
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition

from wardwatch.bus import Partition, Record
from wardwatch.bus.kafka.client import Cluster, connected, translated
from wardwatch.errors import BusUnavailable

SILENT_S = 7.0
"""Without an answer for so long the brokers count as gone; every client asks for metadata more often."""
# no deserializers: one that raises makes a later poll spin; no auto-commit, no jump to the end: both lose events
_CONSUMER: dict[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "allow_auto_create_topics": False,
    "fetch_max_bytes": 16 * 2**20,
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 3_000,
}

Batches = dict[TopicPartition, list[Record]]
"""Records by partition, in order."""


class Connection:
    """A client that is made at the first ``poll``."""

    def __init__(self, cluster: Cluster, group: str | None) -> None:
        self._cluster = cluster
        self._group = group
        self._client: Any = None
        self._heard = float("-inf")

    def assignment(self) -> set[Partition]:
        """Return the partitions held now."""
        if self._client is None:
            return set()
        return {(each.topic, each.partition) for each in self._client.assignment()}

    def close(self) -> None:
        """Leave without committing."""
        client, self._client = self._client, None
        if client is not None:
            with translated(self._cluster):
                client.close(autocommit=False, timeout_ms=5_000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _connect(self) -> None:
        if self._client is None:
            self._client = connected(KafkaConsumer, self._cluster, group_id=self._group, **_CONSUMER)
            self._client._cluster.add_listener(self._hear)
            self._hear()
            self._subscribe()

    def _subscribe(self) -> None:
        """Tell a new client what to read."""

    def _hear(self, *_: object) -> None:
        self._heard = time.monotonic()

    def _fetch(self, max_records: int, timeout_s: float) -> Batches:
        batches: Batches = self._client.poll(timeout_ms=max(int(timeout_s * 1000), 0), max_records=max_records)
        if not batches and time.monotonic() - self._heard > SILENT_S:
            raise BusUnavailable(f"no broker has answered for {SILENT_S:.0f} s", step="bus", record=str(self._cluster))
        return batches


def records(batches: Batches) -> list[Record]:
    """Return the records of all partitions."""
    return list(chain.from_iterable(batches.values()))
