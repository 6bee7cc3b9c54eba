"""Syslog over TCP and TLS (RFC 6587, RFC 5425), and the connections that MLLP shares."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from ingest.framing import FrameError, Framing, SyslogFraming
from ingest.intake import Intake, Source
from ingest.joining import Joined, Joiner
from ingest.listeners import STOP_S, accept_patiently, address_of, bind
from ingest.listeners.tls import server_context
from ingest.parsers import Record
from wardwatch.errors import Unavailable

log = structlog.get_logger()

IDLE_S = 600.0
FRAME_S = 30.0  # from a frame's first byte to its last
HANDSHAKE_S = 10.0
CONNECTIONS = 512
CONNECTIONS_OF_PEER = 128
HELD_BYTES = 32 * 2**20  # of frames that have begun, on all connections
RECEIVE_BYTES = 256 * 1024  # of a connection in the kernel: what a killed machine loses of a peer that needs no answer
_WORKING = 8  # connections whose records are cut and taken at a time: they bound the memory
_LEAVE_S = 2.0
_READ_BYTES = 65_536
_TICK_S = 0.5

Answer = Callable[[Intake, Source, Sequence[Record], threading.Event], bytes | None]
"""Takes records; returns what the peer is answered, or None when they were not taken."""


def take_syslog(intake: Intake, source: Source, records: Sequence[Record], closing: threading.Event) -> bytes | None:
    """Take records without an answer, waiting for room: the peer's sending stalls meanwhile."""
    return None if accept_patiently(intake, source, records, closing) is None else b""


@dataclass(eq=False)
class _Connection:
    """One peer's connection; ``held`` bytes of a frame have come, ``dropped`` says that they were too many."""

    socket: socket.socket
    peer: str
    held: int = 0
    dropped: bool = False


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
        self._tls = server_context(source)
        self._closing = threading.Event()
        self._leaving = threading.Event()
        self._lock = threading.Lock()
        self._working = threading.BoundedSemaphore(_WORKING)
        self._open: dict[threading.Thread, _Connection] = {}
        self._counts = Counter({"connections": 0, "refused_connections": 0, "refused_frames": 0})
        self.name = f"listener {source.settings.transport} {source.settings.listen}"
        self.address = source.settings.listen

    def start(self) -> None:
        """Bind and serve; raises SettingsError."""
        self._socket = bind(self._source.settings.listen, self._source.name, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._socket.listen(128)
        self._socket.settimeout(_TICK_S)
        self.address = address_of(self._socket)
        self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port, tell each peer, and let each connection finish the records that are under way."""
        self._closing.set()
        self._thread.join()
        deadline = time.monotonic() + STOP_S
        for thread in list(self._open):
            thread.join(max(0.0, deadline - time.monotonic()))

    def state(self) -> dict[str, int]:
        """Return open and refused connections and frames."""
        return dict(self._counts) | {"open": len(self._open)}

    def _serve(self) -> None:
        while not self._closing.is_set():
            self._accept()
        self._socket.settimeout(0.0)
        while self._accept():
            pass  # who has connected is heard
        self._socket.close()
        self._leaving.set()

    def _accept(self) -> bool:
        try:
            connection, address = self._socket.accept()
        except (TimeoutError, BlockingIOError):
            return False
        except OSError as error:
            log.error("accept_failed", listener=self.name, reason=str(error))
            self._closing.wait(_TICK_S)  # out of file descriptors: others may close meanwhile
            return False
        self._begin(_Connection(connection, str(address[0])))
        return True

    def _begin(self, own: _Connection) -> None:
        with self._lock:
            of_peer = sum(other.peer == own.peer for other in self._open.values())
            if len(self._open) >= CONNECTIONS or of_peer >= CONNECTIONS_OF_PEER:
                self._counts["refused_connections"] += 1
                own.socket.close()
                return
            self._counts["connections"] += 1
            thread = threading.Thread(target=self._converse, args=(own,), name=self.name, daemon=True)
            self._open[thread] = own
        thread.start()

    def _converse(self, own: _Connection) -> None:
        try:
            own.socket.settimeout(HANDSHAKE_S)
            if self._tls:
                own.socket = self._tls.wrap_socket(own.socket, server_side=True)
            own.socket.settimeout(_TICK_S)
            self._receive(own)
        except OSError as error:
            log.info("connection_ended", listener=self.name, peer=own.peer, reason=str(error))
        finally:
            own.socket.close()
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _receive(self, own: _Connection) -> None:
        joiner = Joiner(self._source.parser.parts)
        try:
            orderly = self._read_frames(own, joiner)
        finally:
            taken = self._take(own, joiner.flush())
        if orderly and taken:
            _part(own.socket)

    def _read_frames(self, own: _Connection, joiner: Joiner) -> bool:
        """Take what comes until the connection or our patience ends; return whether everything on it was dealt with."""
        framing = self._framing()
        progress = time.monotonic()
        leave_at = 0.0
        while self._take(own, joiner.expire(time.monotonic())) and (not leave_at or time.monotonic() < leave_at):
            if self._leaving.is_set() and not leave_at:
                leave_at = time.monotonic() + _LEAVE_S
                socket.socket.shutdown(own.socket, socket.SHUT_WR)  # not SSLSocket's, which also ends reading
            if time.monotonic() - progress > (FRAME_S if framing.size else IDLE_S):
                self._give_up(own, framing, f"half a frame after {FRAME_S:.0f} s")
                return False
            try:
                data = own.socket.recv(_READ_BYTES)
            except TimeoutError:
                if leave_at:
                    return False
                continue
            if own.dropped:
                self._give_up(own, framing, f"more than {HELD_BYTES} bytes of half frames are held")
                return False
            begun = framing.size
            frames, refused, taken = self._work(own, framing, joiner, data)
            if not taken:
                return False
            if refused:
                self._refuse(own, refused)
            if refused or not data:
                return not leave_at
            self._hold(own, framing.size)
            if frames or not begun:
                progress = time.monotonic()
        return False

    def _work(
        self, own: _Connection, framing: Framing, joiner: Joiner, data: bytes
    ) -> tuple[int, FrameError | None, bool]:
        """Cut and take what came; return the number of frames, what could not be cut, and whether it was taken."""
        with self._working:
            frames, refused = _cut(framing, data)
            now = time.monotonic()
            answer = self._answered(own, [event for frame in frames for event in joiner.feed(frame, now)])
        return len(frames), refused, _replied(own, answer)

    def _take(self, own: _Connection, events: Sequence[Joined]) -> bool:
        """Take records and answer; return whether they were taken."""
        if not events:
            return True
        with self._working:
            answer = self._answered(own, events)
        return _replied(own, answer)

    def _answered(self, own: _Connection, events: Sequence[Joined]) -> bytes | None:
        if not events:
            return b""
        now = datetime.now(UTC)
        records = [Record(event.data, own.peer, received=now) for event in events]
        return self._answer(self._intake, self._source, records, self._closing)

    def _hold(self, own: _Connection, size: int) -> None:
        """Note what a connection holds; where all hold too much, hang up on the peer of which most is held."""
        own.held = size
        if size <= _READ_BYTES:
            return
        with self._lock:
            if sum(other.held for other in self._open.values()) > HELD_BYTES:
                largest = max(self._open.values(), key=lambda other: other.held)
                largest.held, largest.dropped = 0, True
                socket.socket.shutdown(largest.socket, socket.SHUT_RDWR)

    def _give_up(self, own: _Connection, framing: Framing, reason: str) -> None:
        if framing.size:
            self._refuse(own, FrameError(reason, framing.pending, []))

    def _refuse(self, own: _Connection, error: FrameError) -> None:
        self._counts["refused_frames"] += 1
        try:
            self._intake.refuse(self._source, Record(error.rest, own.peer), error.reason)
        except Unavailable as full:
            log.error("frame_lost", listener=self.name, peer=own.peer, reason=str(full))


def _cut(framing: Framing, data: bytes) -> tuple[list[bytes], FrameError | None]:
    try:
        return (framing.feed(data) if data else framing.end()), None
    except FrameError as error:
        return error.frames, error


def _replied(own: _Connection, answer: bytes | None) -> bool:
    """Send an answer; return whether there is one."""
    if answer:
        own.socket.settimeout(HANDSHAKE_S)
        own.socket.sendall(answer)
        own.socket.settimeout(_TICK_S)
    return answer is not None


def _part(connection: socket.socket) -> None:
    """Say goodbye: only now does the peer see that everything it sent is durable."""
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(HANDSHAKE_S)
        connection.unwrap()
