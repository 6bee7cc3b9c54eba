"""The production bus: Kafka through kafka-python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urlsplit

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import TopicAlreadyExistsError

from wardwatch.bus import Partition, Record
from wardwatch.bus.kafka.client import CLIENT, connected, translated
from wardwatch.bus.kafka.connection import records
from wardwatch.bus.kafka.consumer import KafkaGroupConsumer
from wardwatch.bus.kafka.follower import KafkaFollower
from wardwatch.bus.kafka.producer import KafkaRecordProducer
from wardwatch.bus.kafka.reader import KafkaReader
from wardwatch.errors import BusUnavailable, SettingsError
from wardwatch.topics import Topic

_SERVER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):\d{1,5}")


class KafkaBus:
    """``kafka://host:port,host:port``; connects at first use.

    Raises SettingsError for a wrong URL, and without crc32c, since the pure-Python checksum of kafka-python is some
    eighty times slower.
    """

    def __init__(self, url: str) -> None:
        servers = urlsplit(url).netloc.split(",")
        if not all(_SERVER.fullmatch(server) for server in servers):
            raise SettingsError(
                "bus is no list of Kafka servers", step="settings", remedy="kafka://host:port,host:port"
            )
        if find_spec("crc32c") is None:
            raise SettingsError("crc32c is not installed", step="bus", remedy="pip install crc32c")
        self.url = url
        self._servers = servers

    def ensure_topics(self, topics: Iterable[Topic]) -> None:
        """Create the topics that are missing, with the brokers' default replication."""
        with self._admin() as admin:
            existing = set(admin.list_topics())
            missing = {topic.name: _options(topic) for topic in topics if topic.name not in existing}
            if missing:
                try:
                    admin.create_topics(missing, wait_for_metadata=True)
                except TopicAlreadyExistsError:
                    admin.wait_for_topics(list(missing))  # another process was faster

    def topics(self) -> dict[str, int]:
        """Return the existing topics and their number of partitions."""
        with self._admin() as admin:
            return {
                topic["name"]: len(topic["partitions"])
                for topic in admin.describe_topics()
                if not topic["name"].startswith("__")
            }

    def producer(self) -> KafkaRecordProducer:
        """Return a new producer."""
        return KafkaRecordProducer(self._servers)

    def consumer(
        self,
        group: str,
        *,
        topics: Sequence[str] = (),
        prefix: str = "",
        on_assign: Callable[[set[Partition]], None] | None = None,
    ) -> KafkaGroupConsumer:
        """Join the group at the first ``poll``."""
        return KafkaGroupConsumer(self._servers, group, tuple(topics), prefix, on_assign)

    def reader(
        self, topics: Sequence[str] = (), *, prefix: str = "", start: Literal["earliest", "latest"] = "earliest"
    ) -> KafkaReader:
        """Return a consumer without a group; "latest" is the end at the first ``poll``."""
        return KafkaReader(self._servers, lambda: self._partitions(topics, prefix), start)

    def follower(self, topics: Sequence[str], offsets: Mapping[Partition, int]) -> KafkaFollower:
        """Return a consumer without a group that begins at the caller's offsets."""
        return KafkaFollower(self._servers, lambda: self._partitions(topics, ""), offsets)

    def history(self, partition: Partition, since_ms: int, before: int) -> Iterator[Record]:
        """Yield the records from a moment up to an offset, as the brokers keep them."""
        each = TopicPartition(*partition)
        with self._client() as client:
            client.assign([each])
            found = client.offsets_for_times({each: since_ms}, timeout_ms=CLIENT["request_timeout_ms"])[each]
            if found is None or found.offset >= before:
                return
            client.seek(each, found.offset)
            while client.position(each, timeout_ms=CLIENT["request_timeout_ms"]) < before:
                read = records(client.poll(timeout_ms=CLIENT["request_timeout_ms"]))
                if not read:
                    raise BusUnavailable(f"{partition[0]}/{partition[1]} is not read", step="bus")
                yield from (record for record in read if record.offset < before)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return for each partition the offset that the next record will have."""
        with self._client() as client:
            ends = client.end_offsets(self._partitions([topic], ""), timeout_ms=CLIENT["request_timeout_ms"])
            return {partition.partition: end for partition, end in ends.items()}

    def lag(self, group: str, *, topics: Sequence[str] = (), prefix: str = "") -> dict[Partition, int]:
        """Return for each partition how many records the group has not committed."""
        partitions = self._partitions(topics, prefix)
        with self._admin() as admin:
            stored = admin.list_group_offsets({group: partitions})[group] if partitions else {}
        with self._client() as client:
            firsts = client.beginning_offsets(partitions, timeout_ms=CLIENT["request_timeout_ms"])
            ends = client.end_offsets(partitions, timeout_ms=CLIENT["request_timeout_ms"])
        committed = {partition: stored[partition].offset for partition in partitions if partition in stored}
        return {
            (each.topic, each.partition): ends[each] - max(committed.get(each, 0), firsts[each]) for each in partitions
        }

    def ping(self) -> None:
        """Return when a broker answers."""
        with self._admin() as admin:
            admin.list_topics()

    def close(self) -> None:
        """Do nothing: every call, producer and consumer closes its own connection."""

    def _partitions(self, topics: Sequence[str], prefix: str) -> list[TopicPartition]:
        return [
            TopicPartition(name, number)
            for name, partitions in sorted(self.topics().items())
            if name in topics or (prefix and name.startswith(prefix))
            for number in range(partitions)
        ]

    @contextmanager
    def _admin(self) -> Iterator[Any]:
        with translated(self._servers):
            admin = connected(KafkaAdminClient, self._servers)
            try:
                yield admin
            finally:
                admin.close()

    @contextmanager
    def _client(self) -> Iterator[Any]:
        with translated(self._servers):
            client = connected(KafkaConsumer, self._servers, group_id=None)
            try:
                yield client
            finally:
                client.close(autocommit=False, timeout_ms=0)


def _options(topic: Topic) -> dict[str, Any]:
    keep_ms = -1 if topic.retention_s is None else topic.retention_s * 1000
    policy = "compact" if topic.compacted else "delete"
    return {
        "num_partitions": topic.partitions,
        "configs": {"retention.ms": str(keep_ms), "cleanup.policy": policy},
    }
