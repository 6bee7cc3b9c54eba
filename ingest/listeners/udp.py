"""Syslog over UDP (RFC 5426): lossy by nature; what finds no room is counted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ingest.intake import Intake, Source
from ingest.joining import Joined, Joiner
from ingest.listeners import address_of, bind
from ingest.parsers import Record
from wardwatch.errors import Unavailable

_BATCH = 256
BUFFER_BYTES = 4 * 2**20
_TICK_S = 0.2


class UdpListener:
    """One socket, one line per datagram."""

    problem = ""

    def __init__(self, source: Source, intake: Intake) -> None:
        self._source = source
        self._intake = intake
        self._closing = threading.Event()
        self._joiner = Joiner(source.parser.parts)
        self._dropped = 0
        self.name = f"listener udp {source.settings.listen}"
        self.address = source.settings.listen

    def start(self) -> None:
        """Bind and serve; raises SettingsError."""
        self._socket = bind(self._source.settings.listen, self._source.name, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.address = address_of(self._socket)
        self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def state(self) -> dict[str, int]:
        """Return the number of datagrams dropped for want of room."""
        return {"dropped": self._dropped}

    def _serve(self) -> None:
        while not self._closing.is_set():
            events = [event for data, peer in receive(self._socket) for event in self._joined(data, str(peer[0]))]
            self._take([*events, *self._joiner.expire(time.monotonic())])
        self._take(self._joiner.flush())

    def _joined(self, data: bytes, peer: str) -> list[Joined]:
        return self._joiner.feed(data, time.monotonic(), origin=peer)

    def _take(self, events: Sequence[Joined]) -> None:
        try:
            if events:
                now = datetime.now(UTC)
                records = [Record(event.data, event.origin, received=now) for event in events]
                self._intake.accept(self._source, records)
        except Unavailable:
            self._dropped += len(events)


def receive(opened: socket.socket) -> list[tuple[bytes, Any]]:
    """Return the datagrams that are there and their senders, after waiting a moment for the first."""
    found: list[tuple[bytes, Any]] = []
    opened.settimeout(_TICK_S)
    try:
        while len(found) < _BATCH:
            found.append(opened.recvfrom(65_536))
            opened.setblocking(False)
    except (TimeoutError, BlockingIOError):
        pass
    return found
