"""The production bus: Kafka through kafka-python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urlsplit

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.errors import (
    AuthorizationError,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)

from wardwatch.bus import NO_ACCESS, Partition, Record
from wardwatch.bus.kafka.client import CLIENT, GRANT, Cluster, connected, security, translated
from wardwatch.bus.kafka.connection import records
from wardwatch.bus.kafka.consumer import KafkaGroupConsumer
from wardwatch.bus.kafka.follower import KafkaFollower
from wardwatch.bus.kafka.producer import KafkaRecordProducer
from wardwatch.bus.kafka.reader import KafkaReader
from wardwatch.errors import BusRefused, BusUnavailable, SettingsError
from wardwatch.settings import BusAccessSettings
from wardwatch.topics import Topic

_NO_COORDINATOR = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)
_SERVER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):\d{1,5}")


class KafkaBus:
    """``kafka://host:port,host:port``, with TLS ``kafkas://…``; connects at first use.

    Raises SettingsError for a wrong URL or access, and without crc32c, since the pure-Python checksum of kafka-python
    is some eighty times slower.
    """

    def __init__(self, url: str, access: BusAccessSettings = NO_ACCESS) -> None:
        scheme, servers = urlsplit(url).scheme, urlsplit(url).netloc.split(",")
        if not all(_SERVER.fullmatch(server) for server in servers):
            raise SettingsError(
                "bus is no list of Kafka servers", step="settings", remedy=f"{scheme}://host:port,host:port"
            )
        if find_spec("crc32c") is None:
            raise SettingsError("crc32c is not installed", step="bus", remedy="pip install crc32c")
        self.url = url
        self._cluster = Cluster(tuple(servers), security(scheme, access))

    def ensure_topics(self, topics: Iterable[Topic]) -> None:
        """Create the topics that are missing, with the brokers' default replication.

        Raises BusRefused where one is missing, or hidden from us, and we may not create it.
        """
        with self._admin() as admin:
            existing = set(admin.list_topics())
            missing = {topic.name: _options(topic) for topic in topics if topic.name not in existing}
            if missing:
                try:
                    admin.create_topics(missing, wait_for_metadata=True)
                except AuthorizationError as error:
                    reason = f"{', '.join(missing)}: missing, or not ours to write ({type(error).__name__})"
                    raise BusRefused(reason, step="bus", record=str(self._cluster), remedy=GRANT) from error
                except TopicAlreadyExistsError:
                    admin.wait_for_topics(list(missing))  # another process was faster

    def allow_writing(self, principal: str, topics: Sequence[str]) -> None:
        """Let a principal such as ``User:CN=renai`` write to topics and see them, no more; raises BusUnavailable."""
        patterns = [ResourcePattern(ResourceType.TOPIC, topic) for topic in topics]
        operations = (ACLOperation.WRITE, ACLOperation.DESCRIBE)
        acls = [
            ACL(principal, "*", each, ACLPermissionType.ALLOW, pattern) for pattern in patterns for each in operations
        ]
        with self._admin() as admin:
            failed = admin.create_acls(acls)["failed"]
            if failed:
                raise failed[0]

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
        return KafkaRecordProducer(self._cluster)

    def consumer(
        self,
        group: str,
        *,
        topics: Sequence[str] = (),
        prefix: str = "",
        on_assign: Callable[[set[Partition]], None] | None = None,
    ) -> KafkaGroupConsumer:
        """Join the group at the first ``poll``."""
        return KafkaGroupConsumer(self._cluster, group, tuple(topics), prefix, on_assign)

    def reader(
        self, topics: Sequence[str] = (), *, prefix: str = "", start: Literal["earliest", "latest"] = "earliest"
    ) -> KafkaReader:
        """Return a consumer without a group; "latest" is the end at the first ``poll``."""
        return KafkaReader(self._cluster, lambda: self._partitions(topics, prefix), start)

    def follower(self, topics: Sequence[str], offsets: Mapping[Partition, int]) -> KafkaFollower:
        """Return a consumer without a group that begins at the caller's offsets."""
        return KafkaFollower(self._cluster, lambda: self._partitions(topics, ""), offsets)

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
        stored = self._stored(group, partitions) if partitions else {}
        with self._client() as client:
            firsts = client.beginning_offsets(partitions, timeout_ms=CLIENT["request_timeout_ms"])
            ends = client.end_offsets(partitions, timeout_ms=CLIENT["request_timeout_ms"])
        committed = {partition: stored[partition].offset for partition in partitions if partition in stored}
        return {
            (each.topic, each.partition): ends[each] - max(committed.get(each, 0), firsts[each]) for each in partitions
        }

    def may_write(self, topic: str) -> bool | None:
        """Ask the brokers for this account's operations on the topic (KIP-430)."""
        with self._admin() as admin:
            (found,) = admin.describe_topics([topic])
        if found["error_code"]:
            return False if found["error_code"] == TopicAuthorizationFailedError.errno else None
        return "WRITE" in found["authorized_operations"]

    def _stored(self, group: str, partitions: list[TopicPartition]) -> dict[TopicPartition, Any]:
        """Return what the group has committed: nothing where no group has ever joined, and so nobody keeps offsets."""
        with self._admin() as admin:
            begun = "__consumer_offsets" in admin.list_topics()
            try:
                return dict(admin.list_group_offsets({group: partitions})[group])
            except _NO_COORDINATOR:
                if begun:
                    raise
                return {}

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
        with translated(self._cluster):
            admin = connected(KafkaAdminClient, self._cluster)
            try:
                yield admin
            finally:
                admin.close()

    @contextmanager
    def _client(self) -> Iterator[Any]:
        with translated(self._cluster):
            client = connected(KafkaConsumer, self._cluster, group_id=None)
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
