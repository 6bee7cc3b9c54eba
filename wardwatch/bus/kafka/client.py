"""How the adapter speaks to kafka-python: bounded waits, and its errors as ours."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket

from wardwatch.bus.kafka.decoding import PartitionRecords
from wardwatch.errors import BusUnavailable, RecordTooLarge, WardwatchError

CLIENT: dict[str, Any] = {
    "proxy_url": "direct://",
    "bootstrap_timeout_ms": 5_000,
    "request_timeout_ms": 8_000,
    "reconnect_backoff_max_ms": 1_000,
    "metadata_max_age_ms": 3_000,  # topics that appear under a prefix are picked up after so long
}
"""Settings of every client. The defaults wait 30 s and more for a broker that is gone."""


class _Direct(KafkaNetSocket):  # type: ignore[misc]
    """Connects without a proxy and, unlike kafka-python's own, closes the sockets of connections that fail."""

    SCHEMES = ("direct",)

    async def sock_connect(self, net: Any, sock: socket.socket, sockaddr: Any, timeout_at: float | None = None) -> Any:
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


@contextmanager
def translated(servers: Sequence[str]) -> Iterator[None]:
    """Turn every error of kafka-python into RecordTooLarge or BusUnavailable."""
    try:
        yield
    except WardwatchError:
        raise
    except (KafkaError, OSError) as error:
        raise ours(error, servers) from error


def ours(error: BaseException, servers: Sequence[str]) -> WardwatchError:
    """Return our error for one of kafka-python's."""
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return RecordTooLarge(reason, step="send")
    return BusUnavailable(reason, step="bus", record=",".join(servers))


def connected(make: Callable[..., Any], servers: Sequence[str], **options: Any) -> Any:
    """Return a client of kafka-python that knows the cluster.

    Where no broker answers, its constructors leave a thread and sockets behind: they are closed here.
    """
    made: list[Any] = []

    def network(**config: Any) -> Any:
        made.append(KafkaNetClient(**config))
        return made[-1]

    try:
        client = make(bootstrap_servers=servers, kafka_client=network, **CLIENT | options)
        if isinstance(client, KafkaConsumer):
            client._fetcher.PartitionRecords = PartitionRecords
            client.bootstrap(timeout_ms=CLIENT["bootstrap_timeout_ms"])
        return client
    except BaseException:
        for each in made:
            each.close()
        raise
