"""The local socket: commands of this machine ask the running collector; nothing of it reaches a network.

It is a Unix socket in the collector's folder, for the collector's account and root only: the kernel says who connects
(unix(7), SO_PEERCRED). A message is its length as a big-endian 32-bit number, then MessagePack. A connection asks
several times, or taps until either side ends it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from ingest.intake import Intake, Source
from ingest.listeners import STOP_S, accept_patiently
from ingest.parsers import Record
from ingest.spool import Kind
from ingest.tap import Seen, Watcher
from wardwatch.errors import NotFound, SettingsError, Unavailable, WardwatchError
from wardwatch.event import Document, decode

log = structlog.get_logger()

MAX_MESSAGE_BYTES = 64 * 2**20
CONNECTIONS = 8
NAME = "local socket"
_LENGTH = struct.Struct(">I")
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_SEND_S = 30.0  # a viewer that reads nothing for so long is let go
_PACE_S = 0.005  # between two records shown: nobody reads faster, and the intake needs the processor
_TICK_S = 0.2
_BATCH = 500


class Tap(msgspec.Struct, frozen=True, tag=True):
    """Ask to see the records of a source from now on, with the raw ones or without."""

    source: str
    raw: bool


class Replay(msgspec.Struct, frozen=True, tag=True):
    """Ask to take records as if they arrived; the answer says what became of each."""

    source: str
    records: list[Record]


class Samples(msgspec.Struct, frozen=True, tag=True):
    """Ask for the last scrubbed event of each source since the start."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The answer to what can't be done."""

    reason: str


Request = Tap | Replay | Samples
_requests = msgspec.msgpack.Decoder(Request)

Audit = Callable[[int, int, Tap], None]
"""Called with the pid and uid of who taps, before the first record is shown; returns when that is on disk."""


class LocalSocket:
    """Serves the socket beside the listeners.

    ``sources`` are those of the site by label; files of others may be replayed too: ``other`` finds a source by its
    parser's name, and raises SettingsError.
    """

    name = NAME
    problem = ""

    def __init__(
        self,
        folder: Path,
        intake: Intake,
        sources: Mapping[str, Source],
        other: Callable[[str], Source],
        audit: Audit,
    ) -> None:
        self._folder = folder
        self._intake = intake
        self._sources = sources
        self._other = other
        self._audit = audit
        self._closing = threading.Event()
        self._peers: dict[socket.socket, threading.Thread] = {}
        self._refused = 0
        self.address = str(path_of(folder))

    def start(self) -> None:
        """Bind and serve; raises SettingsError."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.fchmod(self._socket.fileno(), 0o600)  # bind(2) makes the file with the socket's own mode
        try:
            path_of(self._folder).unlink(missing_ok=True)
            with _short(self._folder) as short:
                self._socket.bind(short)
        except OSError as error:
            raise SettingsError(f"{self.address}: {error.strerror}", step="collector") from None
        self._socket.listen(CONNECTIONS)
        self._socket.settimeout(_TICK_S)
        self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every connection."""
        self._closing.set()
        self._thread.join()
        self._socket.close()
        path_of(self._folder).unlink(missing_ok=True)
        for peer, thread in list(self._peers.items()):
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            thread.join(STOP_S)

    def state(self) -> dict[str, int]:
        """Return how many are connected, and how many were refused."""
        return {"connections": len(self._peers), "refused": self._refused}

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                peer, _ = self._socket.accept()
            except TimeoutError:
                continue
            pid, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
            if uid not in (os.geteuid(), 0) or len(self._peers) == CONNECTIONS:
                self._refused += 1
                log.warning("local_refused", uid=uid)
                peer.close()
                continue
            name = f"{self.name} {pid}"
            thread = threading.Thread(target=self._talk, args=(peer, pid, uid), name=name, daemon=True)
            self._peers[peer] = thread
            thread.start()

    def _talk(self, peer: socket.socket, pid: int, uid: int) -> None:
        peer.settimeout(_SEND_S)
        try:
            while (request := self._asked(peer)) is not None:
                try:
                    self._answer(peer, request, pid, uid)
                except WardwatchError as error:
                    send(peer, Refused(str(error)))
        except (OSError, msgspec.MsgspecError) as error:
            log.info("local_ended", reason=type(error).__name__)
        finally:
            del self._peers[peer]
            peer.close()

    def _asked(self, peer: socket.socket) -> Request | None:
        """Return the next request; None when the peer has ended or the collector ends."""
        while not self._closing.is_set():
            if _readable(peer, _TICK_S):
                data = receive(peer)
                return None if data is None else _requests.decode(data)
        return None

    def _answer(self, peer: socket.socket, request: Request, pid: int, uid: int) -> None:
        match request:
            case Samples():
                send(peer, dict(self._intake.samples))
            case Replay():
                send(peer, self._accept(request))
            case Tap():
                if request.source not in self._sources:
                    reason = f"{request.source!r} is no source of this collector"
                    raise NotFound(reason, remedy=f"one of {', '.join(sorted(self._sources))}")
                self._show(peer, request, lambda: self._audit(pid, uid, request))

    def _accept(self, request: Replay) -> list[Kind]:
        source = self._sources.get(request.source) or self._other(request.source)
        done: list[Kind] = []
        for start in range(0, len(request.records), _BATCH):
            batch = request.records[start : start + _BATCH]
            kinds = accept_patiently(self._intake, source, batch, self._closing)
            if kinds is None:
                raise Unavailable("the collector ends", step="replay")
            done += kinds
        return done

    def _show(self, peer: socket.socket, request: Tap, record: Callable[[], None]) -> None:
        watcher = Watcher(request.source, raw=request.raw)
        self._intake.watch(watcher)
        try:
            record()  # before anything is shown
            send(peer, True)
            while not self._closing.wait(_PACE_S) and not (_readable(peer, 0.0) and receive(peer) is None):
                seen = watcher.next(_TICK_S)
                if seen is not None:
                    send(peer, seen)
        finally:
            self._intake.unwatch(watcher)


class Running:
    """A connection to the collector that works in a folder."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def tap(self, source: str, *, raw: bool) -> Iterator[Seen]:
        """Yield what arrives from now on; ends with the collector. Raises NotFound for a source that it has not."""
        self._ask(Tap(source, raw))
        while (data := receive(self._socket)) is not None:
            yield msgspec.msgpack.decode(data, type=Seen)

    def replay(self, source: str, records: Sequence[Record]) -> list[Kind]:
        """Return what became of the records, in order, when they are durable; raises NotFound, Unavailable."""
        return msgspec.convert(self._ask(Replay(source, list(records))), list[Kind])

    def samples(self) -> dict[str, Document]:
        """Return the last scrubbed event of each source since the collector's start."""
        return {source: decode(value) for source, value in self._ask(Samples()).items()}

    def _ask(self, request: Request) -> Any:
        try:
            send(self._socket, request)
            data = receive(self._socket)
        except OSError:
            data = None
        if data is None:
            raise Unavailable("the collector has ended", step="local", remedy="see its log")
        answer = msgspec.msgpack.decode(data)
        if isinstance(answer, dict) and answer.get("type") == Refused.__name__:
            raise NotFound(answer["reason"], step="local")
        return answer


@contextmanager
def connect(folder: Path) -> Iterator[Running]:
    """Connect to the collector that works in a folder; raises Unavailable where none does or it refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
        try:
            with _short(folder) as short:
                opened.connect(short)
        except OSError as error:
            reason = f"no collector answers at {path_of(folder)}: {error.strerror}"
            remedy = "start it, use its settings file, and run this as its user"
            raise Unavailable(reason, step="local", remedy=remedy) from None
        yield Running(opened)


def path_of(folder: Path) -> Path:
    """Return the socket's path."""
    return folder.absolute() / "local.sock"


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Yield a path of the socket that fits the 108 bytes of unix(7), wherever the folder is."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path_of(folder).name}"
    finally:
        os.close(descriptor)


def send(peer: socket.socket, message: object) -> None:
    """Send one message; raises OSError."""
    data = msgspec.msgpack.encode(message)
    peer.sendall(_LENGTH.pack(len(data)) + data)


def receive(peer: socket.socket) -> bytes | None:
    """Return one message, None at the end; raises OSError for one that is too long."""
    head = _exactly(peer, _LENGTH.size)
    if head is None:
        return None
    (size,) = _LENGTH.unpack(head)
    if size > MAX_MESSAGE_BYTES:
        raise OSError(f"a message of {size} bytes")
    return _exactly(peer, size)


def _exactly(peer: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        part = peer.recv(min(size - len(data), 2**20))
        if not part:
            return None
        data += part
    return bytes(data)


def _readable(peer: socket.socket, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(peer, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
