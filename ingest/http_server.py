"""What HTTP servers of ours share: limits on connections, on the time of headers and bodies, and on their size."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import Any

import uvicorn
from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_S = 10.0
BODY_S = 30.0
RETRY_AFTER_S = 5
CONNECTIONS = 512
STOP_S = 3.0


class Refused(Exception):
    """A request that is answered by a status of 4xx and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class ImpatientProtocol(H11Protocol):
    """Closes a connection that has not sent its first request's headers in HEADER_S seconds."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEADER_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


class HttpServer:
    """Serves an ASGI application on a bound socket in a thread of its own, until ``stop``."""

    def __init__(
        self,
        app: Any,
        opened: socket.socket,
        name: str,
        *,
        tls: ssl.SSLContext | None = None,
        protocol: type[H11Protocol] = ImpatientProtocol,
    ) -> None:
        opened.listen(CONNECTIONS)  # not only when the server's thread has begun
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=int(STOP_S),
            ssl_context_factory=(lambda *_: tls) if tls else None,
        )
        self._socket = opened
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([opened],), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way, take nothing more."""
        self._server.should_exit = True
        self._thread.join(STOP_S + 1)
        self._socket.close()


async def read_body(request: Request, limit: int, within_s: float = BODY_S) -> bytes:
    """Return the body as it was sent; raises Refused where it is too big, too slow or breaks off."""
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise Refused(413, f"at most {limit} bytes are taken at once")
    except TimeoutError:
        raise Refused(408, f"the body took more than {within_s:.0f} s") from None
    except ClientDisconnect:
        raise Refused(400, "half a body") from None
    return bytes(body)
