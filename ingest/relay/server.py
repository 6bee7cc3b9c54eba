"""HTTPS for a relay: a thread for each connection, so that a slow or hostile client delays nobody.

The handshake is made in that thread too, on the socket itself: asyncio hangs up on a client whose certificate it
refuses without the alert that would tell why.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import structlog

from ingest.listeners import bind
from ingest.relay.peers import Refused

log = structlog.get_logger()

CONNECTIONS = 512
HANDSHAKE_S = 10.0
IDLE_S = 60.0
BODY_S = 60.0
_HANG_UP_S = 2.0
_STOP_S = 3.0
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, the object whose JSON is the body, and further headers."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


class Request:
    """One request: method, path and headers, the verified certificate (DER) of its client, and its body."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.method = handler.command
        self.path = handler.path
        self.media_type = handler.headers.get("Content-Type", "")
        self.certificate: bytes | None = handler.connection.getpeercert(binary_form=True)
        self.address = str(handler.client_address[0])
        self.body_read = False
        self._length = handler.headers.get("Content-Length", "0")
        self._file = handler.rfile

    def body(self, limit: int) -> bytes:
        """Return the body; raises Refused where it is too big, too slow, breaks off, or has no length."""
        if not self._length.isdecimal():
            raise Refused(411, "the body needs a Content-Length")
        length = int(self._length[:20])
        if length > limit:
            raise Refused(413, f"at most {limit} bytes are taken at once")
        body = bytearray()
        deadline = time.monotonic() + BODY_S
        while len(body) < length:
            chunk = self._file.read1(min(_CHUNK_BYTES, length - len(body)))
            if not chunk:
                raise Refused(400, "half a body")
            if time.monotonic() > deadline:
                raise Refused(408, f"the body took more than {BODY_S:.0f} s")
            body += chunk
        self.body_read = True
        return bytes(body)


class RelayServer(ThreadingHTTPServer):
    """Answers each request by ``answer`` until ``stop``; ``refused`` is told of handshakes that failed."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, listen: str, tls: ssl.SSLContext, answer: Callable[[Request], Answer], refused: Callable[[str], None]
    ) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bind(listen, "relay", socket.SOCK_STREAM)
        self.socket.listen(CONNECTIONS)
        self.answer = answer
        self._tls = tls
        self._refused = refused
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        self._idle = threading.Condition()
        self._answering = 0
        threading.Thread(target=self.serve_forever, name="relay", daemon=True).start()

    def stop(self) -> None:
        """Take no more connections, wait a moment for the answers under way."""
        self.shutdown()
        self.server_close()
        with self._idle:
            self._idle.wait_for(lambda: not self._answering, _STOP_S)

    def __enter__(self) -> RelayServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, or hang up where there are too many."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Make the handshake and answer requests, in the connection's own thread."""
        try:
            request.settimeout(HANDSHAKE_S)
            with self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as secure:
                if self._shake_hands(secure, client_address[0]):
                    secure.settimeout(IDLE_S)
                    _Handler(secure, client_address, self)
                _hang_up(secure)
        except OSError as error:
            log.info("connection_lost", peer=client_address[0], reason=str(error))
        finally:
            self._room.release()

    def count(self, change: int) -> None:
        """Note that an answer begins (1) or is sent (-1)."""
        with self._idle:
            self._answering += change
            self._idle.notify_all()

    def _shake_hands(self, secure: ssl.SSLSocket, peer: str) -> bool:
        try:
            secure.do_handshake()
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            log.warning("handshake_refused", peer=peer, reason=reason)
            self._refused(reason)
            return False
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RelayServer

    def do_GET(self) -> None:
        self.server.count(1)
        try:
            request = Request(self)
            answer = self.server.answer(request)
            self._send(answer, closing=not request.body_read and self.command != "GET")
        finally:
            self.server.count(-1)

    def do_POST(self) -> None:
        self.do_GET()

    def _send(self, answer: Answer, *, closing: bool) -> None:
        body = orjson.dumps(answer.body)
        self.send_response_only(answer.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
        for name, value in (headers | ({"Connection": "close"} if closing else {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet: the application logs what it refuses."""


def _hang_up(secure: ssl.SSLSocket) -> None:
    """Let the other side read what was said last: closing on bytes of its own would take that away."""
    deadline = time.monotonic() + _HANG_UP_S
    secure.settimeout(_HANG_UP_S)
    with suppress(OSError):
        secure.shutdown(socket.SHUT_WR)
        while secure.recv(_CHUNK_BYTES) and time.monotonic() < deadline:
            pass
