"""What reader and member of a group share: one client of kafka-python and its records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from kafka import KafkaConsumer

from wardwatch.bus import Partition, Record
from wardwatch.bus.kafka.client import CLIENT, ready, translated

# no deserializers: one that raises makes a later poll spin; no auto-commit, no jump to the end: both lose events
_CONSUMER: dict[str, Any] = CLIENT | {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "allow_auto_create_topics": False,
    "fetch_max_bytes": 16 * 2**20,
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 3_000,
}


class Connection:
    """A client that is made at the first ``poll``."""

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
