"""Syslog over TCP and TLS (RFC 6587, RFC 5425), and the connections that MLLP shares."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from ingest.framing import FrameError, Framing, SyslogFraming
from ingest.intake import Intake, Source
from ingest.joining import Joined, Joiner
from ingest.listeners import STOP_S, accept_patiently, address_of, bind
from ingest.parsers import Record
from wardwatch.errors import SettingsError, Unavailable

log = structlog.get_logger()

IDLE_S = 600.0
FRAME_S = 30.0  # from a frame's first byte to its last
HANDSHAKE_S = 10.0
CONNECTIONS = 512
CONNECTIONS_OF_PEER = 128
_READ_BYTES = 65_536
_TICK_S = 0.5

Answer = Callable[[Intake, Source, Sequence[Record], threading.Event], bytes | None]
"""Takes records; returns what the peer is answered, or None when they were not taken."""


def take_syslog(intake: Intake, source: Source, records: Sequence[Record], closing: threading.Event) -> bytes | None:
    """Take records without an answer, waiting for room: the peer's sending stalls meanwhile."""
    return None if accept_patiently(intake, source, records, closing) is None else b""


class TcpListener:
    """A TCP server for one source; ``framing`` cuts each connection's bytes, ``answer`` takes the records."""

    problem = ""

    def __init__(
        self,
        source: Source,
        intake: Intake,
        *,
        framing: Callable[[], Framing] = SyslogFraming,
        answer: Answer = take_syslog,
    ) -> None:
        self._source = source
        self._intake = intake
        self._framing = framing
        self._answer = answer
        self._tls = _tls_context(source) if source.settings.transport == "tls" else None
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, tuple[socket.socket, str]] = {}
        self._counts = Counter({"connections": 0, "refused_connections": 0, "refused_frames": 0})
        self.name = f"listener {source.settings.transport} {source.settings.listen}"
        self.address = source.settings.listen

    def start(self) -> None:
        """Bind and serve; raises SettingsError."""
        self._socket = bind(self._source.settings.listen, self._source.name, socket.SOCK_STREAM)
        self._socket.listen(128)
        self._socket.settimeout(_TICK_S)
        self.address = address_of(self._socket)
        self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port, let each connection finish the records it has received."""
        self._closing.set()
        self._thread.join()
        self._socket.close()
        deadline = time.monotonic() + STOP_S
        for thread in list(self._open):
            thread.join(max(0.0, deadline - time.monotonic()))

    def state(self) -> dict[str, int]:
        """Return open and refused connections and frames."""
        return dict(self._counts) | {"open": len(self._open)}

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                connection, address = self._socket.accept()
            except TimeoutError:
                continue
            except OSError as error:
                log.error("accept_failed", listener=self.name, reason=str(error))
                self._closing.wait(_TICK_S)  # out of file descriptors: others may close meanwhile
                continue
            self._begin(connection, str(address[0]))

    def _begin(self, connection: socket.socket, peer: str) -> None:
        with self._lock:
            of_peer = sum(other == peer for _, other in self._open.values())
            if len(self._open) >= CONNECTIONS or of_peer >= CONNECTIONS_OF_PEER:
                self._counts["refused_connections"] += 1
                connection.close()
                return
            self._counts["connections"] += 1
            thread = threading.Thread(target=self._converse, args=(connection, peer), name=self.name, daemon=True)
            self._open[thread] = (connection, peer)
        thread.start()

    def _converse(self, connection: socket.socket, peer: str) -> None:
        try:
            connection.settimeout(HANDSHAKE_S)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            connection.settimeout(_TICK_S)
            self._receive(connection, peer)
        except OSError as error:
            log.info("connection_ended", listener=self.name, peer=peer, reason=str(error))
        finally:
            connection.close()
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _receive(self, connection: socket.socket, peer: str) -> None:
        joiner = Joiner(self._source.parser.parts)
        try:
            ended = self._read_frames(connection, peer, joiner)
        finally:
            taken = self._take(connection, peer, joiner.flush())
        if ended and taken:
            _part(connection)

    def _read_frames(self, connection: socket.socket, peer: str, joiner: Joiner) -> bool:
        """Take what comes until the connection or our patience ends; return whether everything on it was dealt with."""
        framing = self._framing()
        progress = time.monotonic()
        while not self._closing.is_set() and self._take(connection, peer, joiner.expire(time.monotonic())):
            begun = framing.pending
            if time.monotonic() - progress > (FRAME_S if begun else IDLE_S):
                self._give_up(begun, peer)
                return False
            try:
                data = connection.recv(_READ_BYTES)
            except TimeoutError:
                continue
            frames, refused = _cut(framing, data)
            now = time.monotonic()
            if not self._take(connection, peer, [event for frame in frames for event in joiner.feed(frame, now)]):
                return False
            if refused:
                self._refuse(refused, peer)
            if refused or not data:
                return True
            if frames or not begun:
                progress = time.monotonic()
        return False

    def _take(self, connection: socket.socket, peer: str, events: Sequence[Joined]) -> bool:
        """Take records and answer; return whether they were taken."""
        if not events:
            return True
        records = [Record(event.data, peer) for event in events]
        answer = self._answer(self._intake, self._source, records, self._closing)
        if answer:
            connection.settimeout(HANDSHAKE_S)
            connection.sendall(answer)
            connection.settimeout(_TICK_S)
        return answer is not None

    def _give_up(self, begun: bytes, peer: str) -> None:
        if begun:
            self._refuse(FrameError(f"half a frame after {FRAME_S:.0f} s", begun, []), peer)

    def _refuse(self, error: FrameError, peer: str) -> None:
        self._counts["refused_frames"] += 1
        try:
            self._intake.refuse(self._source, Record(error.rest, peer), error.reason)
        except Unavailable as full:
            log.error("frame_lost", listener=self.name, peer=peer, reason=str(full))


def _cut(framing: Framing, data: bytes) -> tuple[list[bytes], FrameError | None]:
    try:
        return (framing.feed(data) if data else framing.end()), None
    except FrameError as error:
        return error.frames, error


def _part(connection: socket.socket) -> None:
    """Say goodbye: only now does the peer see that everything it sent is durable."""
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(HANDSHAKE_S)
        connection.unwrap()


def _tls_context(source: Source) -> ssl.SSLContext:
    settings = source.settings
    if not settings.certificate or not settings.key:
        remedy = "set certificate and key of the source"
        raise SettingsError("TLS needs a certificate", step="collector", record=source.name, remedy=remedy)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:
        remedy = "both are PEM files that the collector may read"
        reason = f"{settings.certificate} or its key can't be loaded: {error.strerror or error}"
        raise SettingsError(reason, step="collector", record=source.name, remedy=remedy) from None
    return context
