"""Clients of a collector's listeners: each returns when the collector has the records for sure.

MLLP and HTTP answer for every record. Plain syslog over TCP has no answer: the sender closes its half of the
connection, waits for the collector to close the other, and sends the batch again when the collector was restarted
meanwhile (``generation``), since the end of a dead process looks the same. Doubles have the same ``event.id``.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Signal
from typing import Protocol

import httpx

Generation = Callable[[], str | None]
"""Returns what identifies the collector's running process, or None while it does not answer."""

_RETRY_S = 0.2
_TIMEOUT_S = 15.0
_MLLP_START, _MLLP_END = b"\x0b", b"\x1c\r"


class Sender(Protocol):
    """Sends records of one source."""

    def send(self, records: Sequence[bytes]) -> None:
        """Return when the collector has every record, or when the demo is stopping."""


@dataclass
class MllpSender:
    """HL7 over MLLP (HL7 v2.5, appendix C): one message at a time, again until it is answered with AA or AR."""

    port: int
    stopping: Signal

    def send(self, records: Sequence[bytes]) -> None:
        """Send each message and wait for its acknowledgement; a broken connection goes on with the same message."""
        left = list(records)
        while left and not self.stopping.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), _TIMEOUT_S) as connection:
                    while left:
                        self._exchange(connection, left[0])
                        del left[0]
            except OSError:
                self.stopping.wait(_RETRY_S)

    def _exchange(self, connection: socket.socket, record: bytes) -> None:
        connection.sendall(_MLLP_START + record + _MLLP_END)
        answer = b""
        while not answer.endswith(_MLLP_END):
            data = connection.recv(4096)
            if not data:
                raise ConnectionResetError
            answer += data
        if b"MSA|AE" in answer:
            raise ConnectionAbortedError


@dataclass
class TcpSender:
    """Syslog over TCP: octet counting (RFC 6587, 3.4.1) or one line each; with ``tls`` as in RFC 5425."""

    port: int
    stopping: Signal
    generation: Generation
    octet_counting: bool = True
    tls: ssl.SSLContext | None = None

    def send(self, records: Sequence[bytes]) -> None:
        """Send the batch on one connection, again until one collector process has read it to the end."""
        data = b"".join(b"%d %s" % (len(r), r) if self.octet_counting else r + b"\n" for r in records)
        while not self.stopping.is_set():
            before = self.generation()
            if before and self._deliver(data) and self.generation() == before:
                return
            self.stopping.wait(_RETRY_S)

    def _deliver(self, data: bytes) -> bool:
        try:
            with self._connect() as connection:
                connection.sendall(data)
                if isinstance(connection, ssl.SSLSocket):
                    connection.unwrap()
                    return True
                connection.shutdown(socket.SHUT_WR)
                return connection.recv(1) == b""
        except OSError:
            return False

    def _connect(self) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), _TIMEOUT_S)
        return self.tls.wrap_socket(plain, server_hostname="localhost") if self.tls else plain


@dataclass
class UdpSender:
    """Syslog over UDP (RFC 5426), which loses records without a word: nothing of the story travels on it."""

    port: int

    def send(self, records: Sequence[bytes]) -> None:
        """Send each record in one datagram, a little slower than the collector reads."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for record in records:
                out.sendto(record, ("127.0.0.1", self.port))
                time.sleep(0.002)


@dataclass
class HttpSender:
    """NDJSON over HTTP with a bearer token: again until the answer says that the records are safe."""

    url: str
    token: str
    stopping: Signal

    def send(self, records: Sequence[bytes]) -> None:
        """Post batches of a hundred records."""
        for start in range(0, len(records), 100):
            body = b"\n".join(records[start : start + 100]) + b"\n"
            while not self.stopping.is_set() and not self._post(body):
                self.stopping.wait(_RETRY_S)

    def _post(self, body: bytes) -> bool:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/x-ndjson"}
        try:
            answer = httpx.post(self.url, content=body, headers=headers, timeout=_TIMEOUT_S, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.is_success


@dataclass
class FileSender:
    """Appends lines to a log file that the collector tails."""

    path: Path

    def send(self, records: Sequence[bytes]) -> None:
        """Append each record as one line."""
        with self.path.open("ab") as out:
            out.writelines(record + b"\n" for record in records)
