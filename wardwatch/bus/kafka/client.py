"""How the adapter speaks to kafka-python: bounded waits, and its errors as ours."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from wardwatch.bus.kafka.decoding import PartitionRecords
from wardwatch.bus.tls import client_context
from wardwatch.errors import BusRefused, BusUnavailable, RecordTooLarge, SettingsError, WardwatchError
from wardwatch.settings import BusAccessSettings

CLIENT: dict[str, Any] = {
    "proxy_url": "direct://",
    "bootstrap_timeout_ms": 5_000,
    "request_timeout_ms": 8_000,
    "reconnect_backoff_max_ms": 1_000,
    "metadata_max_age_ms": 3_000,  # topics that appear under a prefix are picked up after so long
}
"""Settings of every client. The defaults wait 30 s and more for a broker that is gone."""
_REFUSED = (AuthorizationError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError)
GRANT = "rights are given at the provider: wardwatch init TENANT --principal NAME"


@dataclass(frozen=True)
class Cluster:
    """The brokers to begin with, and the settings by which kafka-python is secure."""

    servers: tuple[str, ...]
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return ",".join(self.servers)


def security(scheme: str, access: BusAccessSettings) -> dict[str, Any]:
    """Return kafka-python's settings for ``kafka`` (plain) or ``kafkas`` (TLS); raises SettingsError."""
    if scheme == "kafka":
        if access.model_dump(exclude_defaults=True):
            remedy = "write kafkas://host:port, or leave bus_access out"
            raise SettingsError("kafka:// is neither encrypted nor signed in", step="settings", remedy=remedy)
        return {}
    if access.proxy.get_secret_value():
        raise SettingsError("bus_access.proxy leads to a relay only", step="settings", remedy="leave it out")
    context = client_context(access)
    context.sslsocket_class = _Tidy
    if not access.user:
        return {"security_protocol": "SSL", "ssl_context": context}
    return {
        "security_protocol": "SASL_SSL",
        "ssl_context": context,
        "sasl_mechanism": access.mechanism,
        "sasl_plain_username": access.user,
        "sasl_plain_password": access.password.get_secret_value(),
    }


class _Tidy(ssl.SSLSocket):
    """Closes itself where the handshake fails; kafka-python forgets such a socket."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except BaseException:
            self.close()
            raise


class _Direct(KafkaNetSocket):  # type: ignore[misc]
    """Connects without a proxy and, unlike kafka-python's own, closes the sockets of connections that fail."""

    SCHEMES = ("direct",)

    async def sock_connect(self, net: Any, sock: socket.socket, sockaddr: Any, timeout_at: float | None = None) -> Any:
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    """Ends the search for a broker when one refuses us; kafka-python would only log it, and try on."""

    _refusal: BaseException | None = None

    def get_connection(self, *node: Any, **options: Any) -> Any:
        if self._refusal is not None and not self.bootstrapped:
            raise self._refusal
        connection = super().get_connection(*node, **options)
        connection.init_future.add_errback(self._note)
        return connection

    def _note(self, error: BaseException) -> None:
        if _is_refusal(error):
            self._refusal = error


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, _REFUSED) or (isinstance(error, KafkaError) and "SSL:" in str(error))


@contextmanager
def translated(cluster: Cluster) -> Iterator[None]:
    """Turn every error of kafka-python into RecordTooLarge, BusRefused or BusUnavailable."""
    try:
        yield
    except WardwatchError:
        raise
    except (KafkaError, OSError) as error:
        raise ours(error, cluster) from error


def ours(error: BaseException, cluster: Cluster) -> WardwatchError:
    """Return our error for one of kafka-python's."""
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return RecordTooLarge(reason, step="send")
    if _is_refusal(error):
        remedy = GRANT if isinstance(error, AuthorizationError) else "see bus_access"
        return BusRefused(reason, step="bus", record=str(cluster), remedy=remedy)
    return BusUnavailable(reason, step="bus", record=str(cluster))


def connected(make: Callable[..., Any], cluster: Cluster, **options: Any) -> Any:
    """Return a client of kafka-python that knows the cluster.

    Where no broker answers, its constructors leave a thread and sockets behind: they are closed here.
    """
    made: list[Any] = []

    def network(**config: Any) -> Any:
        selector = NetworkSelector(**config)
        made.append(KafkaNetClient(selector, _Manager(selector, **config), **config))
        return made[-1]

    try:
        settings = CLIENT | dict(cluster.security) | options
        client = make(bootstrap_servers=list(cluster.servers), kafka_client=network, **settings)
        if isinstance(client, KafkaConsumer):
            client._fetcher.PartitionRecords = PartitionRecords
            client.bootstrap(timeout_ms=CLIENT["bootstrap_timeout_ms"])
        return client
    except BaseException:
        for each in made:
            each.close()
        raise
