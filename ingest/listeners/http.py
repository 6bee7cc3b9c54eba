"""HTTP sources: POST of JSON, a JSON array or NDJSON, plain or gzip, with a bearer token per source (RFC 6750)."""

from __future__ import annotations

import asyncio
import gzip
import hmac
import io
import socket
import threading
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from ingest.intake import Intake, Source
from ingest.listeners import STOP_S, address_of, bind
from ingest.parsers import Record
from ingest.spool import Kind
from wardwatch.errors import SettingsError, Unavailable

MAX_BODY_BYTES = 16 * 2**20  # after decompression
HEADER_S = 10.0
BODY_S = 30.0
RETRY_AFTER_S = 5
CONNECTIONS = 512


class _Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class HttpListener:
    """One server for all HTTP sources of one address, told apart by path."""

    problem = ""

    def __init__(self, sources: Sequence[Source], intake: Intake) -> None:
        self._sources = sources
        self._intake = intake
        self._rejected = 0
        listen = sources[0].settings.listen
        self.name = f"listener http {listen}"
        self.address = listen
        paths = [source.settings.path for source in sources]
        if len(set(paths)) < len(paths) or not all(path.startswith("/") for path in paths):
            remedy = 'give each source its own, such as path = "/windows"'
            raise SettingsError(
                "HTTP sources share a path or have none", step="collector", record=listen, remedy=remedy
            )
        for source in sources:
            if not source.settings.token.get_secret_value():
                raise SettingsError("an HTTP source has no token", step="collector", record=source.name)

    def start(self) -> None:
        """Bind and serve; raises SettingsError."""
        self._socket = bind(self._sources[0].settings.listen, self._sources[0].name, socket.SOCK_STREAM)
        self._socket.listen(CONNECTIONS)  # not only when the server's thread has begun
        self.address = address_of(self._socket)
        routes = [Route(source.settings.path, self._endpoint(source), methods=["POST"]) for source in self._sources]
        config = uvicorn.Config(
            Starlette(routes=routes),
            http=_ImpatientProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=int(STOP_S),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way, take nothing more."""
        self._server.should_exit = True
        self._thread.join(STOP_S + 1)
        self._socket.close()

    def state(self) -> dict[str, int]:
        """Return the number of requests refused."""
        return {"refused_requests": self._rejected}

    def _endpoint(self, source: Source) -> Any:
        token = source.settings.token.get_secret_value().encode()

        async def endpoint(request: Request) -> Response:
            try:
                return await self._take(source, token, request)
            except _Refused as refused:
                self._rejected += 1
                headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}
                return JSONResponse({"error": refused.reason}, refused.status, headers)
            except Unavailable as error:
                return JSONResponse({"error": error.reason}, 503, {"Retry-After": str(RETRY_AFTER_S)})

        return endpoint

    async def _take(self, source: Source, token: bytes, request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, b"Bearer " + token):
            raise _Refused(401, "a bearer token is required")
        encoding = request.headers.get("content-encoding", "identity")
        peer = request.client.host if request.client else ""
        kinds = await run_in_threadpool(self._accept, source, peer, await _read(request), encoding)
        rejected = kinds.count("dead_lettered")
        return JSONResponse({"accepted": len(kinds) - rejected, "rejected": rejected}, 202 if rejected else 200)

    def _accept(self, source: Source, peer: str, body: bytes, encoding: str) -> list[Kind]:
        records = [Record(item, peer) for item in items(_unpacked(body, encoding))]
        if not records:
            raise _Refused(400, "no record in the body")
        return self._intake.accept(source, records)


class _ImpatientProtocol(H11Protocol):
    """Closes a connection that has not sent its first request's headers in HEADER_S seconds."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEADER_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


def items(body: bytes) -> list[bytes]:
    """Return a body's records as they were written: the items of an array, one JSON value, or a record per line."""
    try:
        if body.lstrip()[:1] == b"[":
            return [bytes(item) for item in msgspec.json.decode(body, type=list[msgspec.Raw])]
        return [bytes(msgspec.json.decode(body, type=msgspec.Raw))]
    except (msgspec.MsgspecError, RecursionError):
        return [line for line in body.splitlines() if line.strip()]


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise _Refused(413, f"at most {MAX_BODY_BYTES} bytes are taken at once")
    except TimeoutError:
        raise _Refused(408, f"the body took more than {BODY_S:.0f} s") from None
    except ClientDisconnect:
        raise _Refused(400, "half a body") from None
    return bytes(body)


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Return the body without gzip (RFC 1952; one member or several), unpacking no more than the limit."""
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise _Refused(415, "content encodings are gzip and identity")
    try:
        data = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_BODY_BYTES + 1)
    except EOFError:
        raise _Refused(400, "the gzip body ends too early") from None
    except (OSError, zlib.error):
        raise _Refused(400, "the body is not gzip") from None
    if len(data) > MAX_BODY_BYTES:
        raise _Refused(413, f"at most {MAX_BODY_BYTES} bytes are taken at once")
    return data
