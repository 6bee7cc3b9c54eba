"""Syslog over UDP (RFC 5426): lossy by nature; what finds no room is counted."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime

from ingest.intake import Intake, Source
from ingest.listeners import address_of, bind
from ingest.parsers import Record
from wardwatch.errors import Unavailable

_BATCH = 256
_BUFFER_BYTES = 4 * 2**20
_TICK_S = 0.2


class UdpListener:
    """One socket, one record per datagram."""

    problem = ""

    def __init__(self, source: Source, intake: Intake) -> None:
        self._source = source
        self._intake = intake
        self._closing = threading.Event()
        self._dropped = 0
        self.name = f"listener udp {source.settings.listen}"
        self.address = source.settings.listen

    def start(self) -> None:
        """Bind and serve; raises SettingsError."""
        self._socket = bind(self._source.settings.listen, self._source.name, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
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
            if records := self._read():
                try:
                    self._intake.accept(self._source, records)
                except Unavailable:
                    self._dropped += len(records)

    def _read(self) -> list[Record]:
        """Return the datagrams that are there, after waiting a moment for the first."""
        found: list[tuple[bytes, str]] = []
        self._socket.settimeout(_TICK_S)
        try:
            while len(found) < _BATCH:
                data, address = self._socket.recvfrom(65_536)
                found.append((data, str(address[0])))
                self._socket.setblocking(False)
        except (TimeoutError, BlockingIOError):
            pass
        now = datetime.now(UTC)
        return [Record(data, peer, received=now) for data, peer in found]
