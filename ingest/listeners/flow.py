"""NetFlow v5, v9 and IPFIX over UDP: one record per flow. Lossy by nature: gaps of the sequences are counted."""

from __future__ import annotations

import socket
import threading
import time

import orjson

from ingest.flows import Decoder, FlowError
from ingest.intake import Intake, Source
from ingest.listeners import address_of, bind
from ingest.listeners.udp import BUFFER_BYTES, receive
from ingest.parsers import Record
from wardwatch.errors import Unavailable


class FlowListener:
    """One socket for any number of exporters."""

    problem = ""

    def __init__(self, source: Source, intake: Intake) -> None:
        self._source = source
        self._intake = intake
        self._closing = threading.Event()
        self._decoder = Decoder()
        self._counts = {"dropped": 0, "malformed": 0}
        self.name = f"listener flow {source.settings.listen}"
        self.address = source.settings.listen

    def start(self) -> None:
        """Bind and serve; raises SettingsError."""
        self._socket = bind(self._source.settings.listen, self._source.name, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.address = address_of(self._socket)
        self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; what still waits for a template is dead-lettered."""
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def state(self) -> dict[str, int]:
        """Return flows dropped for want of room, datagrams that are none, and what the decoder counts."""
        return self._counts | self._decoder.counts | {"held_bytes": self._decoder.held_bytes}

    def _serve(self) -> None:
        while not self._closing.is_set():
            records: list[Record] = []
            for data, peer in receive(self._socket):
                records += self._read(data, str(peer[0]))
            if records:
                self._take(records)
            self._expire(time.monotonic())
        self._expire(float("inf"))

    def _read(self, data: bytes, peer: str) -> list[Record]:
        try:
            flows = self._decoder.read(data, peer, time.monotonic())
        except FlowError as error:
            self._counts["malformed"] += 1
            self._refuse(data, peer, error.reason)
            return []
        return [Record(orjson.dumps(flow), peer) for flow in flows]

    def _take(self, records: list[Record]) -> None:
        try:
            self._intake.accept(self._source, records)
        except Unavailable:
            self._counts["dropped"] += len(records)

    def _expire(self, now: float) -> None:
        for held in self._decoder.expire(now):
            self._refuse(held.message, held.exporter, f"no template {held.template} that fits came for a data set")

    def _refuse(self, data: bytes, peer: str, reason: str) -> None:
        try:
            self._intake.refuse(self._source, Record(data, peer), reason)
        except Unavailable:
            self._counts["dropped"] += 1
