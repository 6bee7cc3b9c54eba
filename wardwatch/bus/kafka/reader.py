"""Reading from Kafka alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal

from kafka import TopicPartition

from wardwatch.bus import Partition, Record
from wardwatch.bus.kafka.client import CLIENT, Cluster, translated
from wardwatch.bus.kafka.connection import Connection, records

_DISCOVER_S = 3.0


class KafkaReader(Connection):
    """Reads all partitions that ``discover`` finds, asking again every few seconds."""

    def __init__(
        self,
        cluster: Cluster,
        discover: Callable[[], list[TopicPartition]],
        start: Literal["earliest", "latest"],
    ) -> None:
        super().__init__(cluster, None)
        self._discover = discover
        self._latest = start == "latest"
        self._began: dict[TopicPartition, int] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._discovered = float("-inf")

    def poll(self, *, max_records: int = 500, timeout_s: float = 1.0) -> list[Record]:
        """Return the next records of all partitions."""
        with translated(self._cluster):
            self._connect()
            if time.monotonic() - self._discovered > _DISCOVER_S:
                self._assign()
            if not self._began:
                time.sleep(timeout_s)  # a client without partitions can't wait for them
                return []
            batches = self._fetch(max_records, timeout_s)
        self._positions |= {each: messages[-1].offset + 1 for each, messages in batches.items()}
        return records(batches)

    def commit(self, before: Mapping[Partition, int] = {}) -> None:
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
