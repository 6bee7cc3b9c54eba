"""The one way out: every connection to a server that a row or a person names is made here, past the address guard.

A name is resolved once, every address it has is checked, and the connection is made to a checked address, so that a
second answer of the name server (rebinding) is never asked for. Redirects are not followed, no proxy of the environment
is used, a whole exchange has a deadline, and at most RESPONSE_BYTES of an answer are read. TLS checks the name.

Sources: OWASP ASVS 5.0.0, 13.2.4 and 13.2.5; IANA special-purpose address registries (RFC 6890), RFC 6052 (NAT64).
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpcore

from wardwatch.errors import PeerRefused, PeerUnavailable, SettingsError
from wardwatch.settings import OutboundSettings

CONNECT_S = 5.0
EXCHANGE_S = 15.0
RESPONSE_BYTES = 64 * 1024
_FILE = re.compile(r"file:([A-Za-z0-9_-][A-Za-z0-9_.-]{0,63})")
_PRINTABLE = re.compile("[!-~]+")
_NAT64 = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: its status and the beginning of its body."""

    status: int
    body: bytes
    retry_after_s: float = 0.0


class Outbound:
    """Connections to servers outside, as the settings allow them; any thread."""

    def __init__(self, settings: OutboundSettings) -> None:
        self._settings = settings
        self.tls = ssl.create_default_context()
        if settings.ca is not None:
            try:
                self.tls.load_verify_locations(settings.ca)
            except OSError as error:  # ssl.SSLError is one
                raise SettingsError(f"{settings.ca} can't be read: {error.strerror}", step="outbound.ca") from None

    def secret(self, text: str) -> str:
        """Return the text, or what the file holds that ``file:NAME`` names; raises PeerRefused."""
        if not text.startswith("file:"):
            return text
        named, folder = _FILE.fullmatch(text), self._settings.secrets
        if named is None or folder is None:
            raise PeerRefused("a secret names a file that can't be: set outbound.secrets", step="outbound")
        try:
            return (folder / named[1]).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise PeerRefused(f"the secret file {named[1]} can't be read", step="outbound") from None

    def address(self, host: str, port: int) -> Address:
        """Return an address of the host that may be reached; raises PeerRefused, PeerUnavailable.

        One address that may not be reached refuses the whole name.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise PeerUnavailable("its name can't be resolved", step="outbound", record=host[:100]) from None
        addresses = [ip_address(str(each[4][0]).partition("%")[0]) for each in found]
        if not addresses or not all(map(self._may_reach, addresses)):
            raise PeerRefused(
                "it has an internal address", step="outbound", record=host[:100], remedy="outbound.allow lists networks"
            )
        return addresses[0]

    def allowed(self, address: Address) -> bool:
        """Tell whether the address is in a network of ``outbound.allow``."""
        return any(address in network for network in self._settings.allow)

    def connect(self, host: str, port: int, timeout_s: float = CONNECT_S) -> socket.socket:
        """Return a TCP connection; raises PeerRefused, PeerUnavailable."""
        address = self.address(host, port)
        try:
            return socket.create_connection((str(address), port), timeout_s)
        except OSError as error:
            raise PeerUnavailable(error.strerror or "no answer", step="outbound", record=host[:100]) from None

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, exchange_s: float = EXCHANGE_S) -> Answer:
        """Send one HTTP POST and return the answer, whatever its status; raises PeerRefused, PeerUnavailable.

        Messages name the host alone: paths and queries of robots are secret. Plain HTTP is for allowed networks only.
        """
        host, plain = _target(url)
        backend = _Guarded(self, time.monotonic() + exchange_s, plain)
        timeouts = {"connect": CONNECT_S, "read": exchange_s, "write": exchange_s, "pool": exchange_s}
        try:
            with (
                httpcore.ConnectionPool(ssl_context=self.tls, network_backend=backend, max_connections=1) as pool,
                pool.stream(
                    "POST", url, headers=list(headers.items()), content=body, extensions={"timeout": timeouts}
                ) as response,
            ):
                return Answer(response.status, _beginning(response.iter_stream()), _retry_after(response.headers))
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            reason = f"{type(error).__name__}: {error}"[:200]
            raise PeerUnavailable(reason, step="outbound", record=host) from None

    def _may_reach(self, address: Address) -> bool:
        return all(self.allowed(each) or _is_public(each) for each in {address, *_within(address)})


class _Guarded(httpcore.NetworkBackend):
    """Connects for HTTP through the guard; every wait ends at the deadline."""

    def __init__(self, outbound: Outbound, deadline: float, plain: bool) -> None:
        self._outbound, self._deadline, self._plain = outbound, deadline, plain
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        address = self._outbound.address(host, port)
        if self._plain and not self._outbound.allowed(address):
            raise PeerRefused("https is needed outside outbound.allow", step="outbound", record=host[:100])
        wait = min(timeout or CONNECT_S, _left(self._deadline))
        return _Timed(self._inner.connect_tcp(str(address), port, wait, local_address, socket_options), self._deadline)


class _Timed(httpcore.NetworkStream):
    """A stream whose every wait ends at one deadline, so that a peer that drips bytes holds nobody."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _target(url: str) -> tuple[str, bool]:
    """Return the host of an address and whether it is without TLS; raises PeerRefused for what is no such address."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "")[:100] if parts.port != 0 else ""
    except ValueError:
        raise PeerRefused("its address is no URL", step="outbound") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or not _PRINTABLE.fullmatch(url):
        raise PeerRefused("its address is no plain https URL", step="outbound", record=host)
    return host, parts.scheme == "http"


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the exchange took too long")
    return left


def _within(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, IPv4Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and (address.is_site_local or address.ipv4_mapped is not None):
        return address.ipv4_mapped is not None and _is_public(address.ipv4_mapped)
    return address.is_global and not address.is_multicast


def _beginning(chunks: Iterable[bytes]) -> bytes:
    taken = b""
    for chunk in chunks:
        taken += chunk
        if len(taken) >= RESPONSE_BYTES:
            break
    return taken[:RESPONSE_BYTES]


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """Return the seconds of Retry-After (RFC 9110, 10.2.3), at most an hour; 0 where it has none."""
    for name, value in headers:
        if name.lower() == b"retry-after":
            with suppress(ValueError):
                return min(max(float(value), 0.0), 3600.0)
    return 0.0
