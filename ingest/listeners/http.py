"""HTTP sources: POST of JSON, a JSON array or NDJSON, plain or gzip, and ``_bulk`` as senders for Elasticsearch use it.

Each source has a path and a token, which comes as bearer token (RFC 6750), as password (RFC 7617) or as the key of an
Elasticsearch API key.
"""

from __future__ import annotations

import asyncio
import binascii
import gzip
import hmac
import io
import socket
import threading
import zlib
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import TypeVar

import h11
import msgspec
import orjson
import uvicorn
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from ingest.intake import Intake, Source
from ingest.listeners import STOP_S, address_of, bind, bulk
from ingest.listeners.tls import server_context
from ingest.parsers import Record
from ingest.spool import Kind
from wardwatch.errors import ParseError, SettingsError, Unavailable

MAX_BODY_BYTES = 16 * 2**20  # after decompression
MAX_RECORDS = 100_000  # in one body
BODIES_BYTES = 64 * 2**20  # of all requests under way
HEADER_S = 10.0
BODY_S = 30.0
RETRY_AFTER_S = 5
CONNECTIONS = 512
CONNECTIONS_OF_PEER = 128
_WORKING = 4  # requests that are unpacked and taken at a time
_BATCH = 500

_RETRY = {"Retry-After": str(RETRY_AFTER_S)}
_CHALLENGE = {"WWW-Authenticate": 'Bearer, Basic realm="wardwatch"'}


class _Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        return {401: _CHALLENGE, 429: _RETRY, 503: _RETRY}.get(self.status, {})


_T = TypeVar("_T")
_Work = Callable[[Source, Request], Awaitable[Response]]


class HttpListener:
    """One server for all HTTP sources of one address, told apart by path."""

    problem = ""

    def __init__(self, sources: Sequence[Source], intake: Intake) -> None:
        self._sources = sources
        self._intake = intake
        self._counts = {"refused_requests": 0, "refused_items": 0}
        self._held_bytes = 0
        listen = sources[0].settings.listen
        self.name = f"listener http {listen}"
        self.address = listen
        _check(sources, listen)
        self._tls = server_context(sources[0])
        self._limiter = CapacityLimiter(_WORKING)

    def start(self) -> None:
        """Bind and serve; raises SettingsError."""
        self._socket = bind(self._sources[0].settings.listen, self._sources[0].name, socket.SOCK_STREAM)
        self._socket.listen(CONNECTIONS)  # not only when the server's thread has begun
        self.address = address_of(self._socket)
        deepest_first = sorted(self._sources, key=lambda source: -source.settings.path.count("/"))
        context = self._tls
        config = uvicorn.Config(
            Starlette(routes=[route for source in deepest_first for route in self._routes(source)]),
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=int(STOP_S),
            ssl_context_factory=(lambda *_: context) if context else None,
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
        """Return the number of requests, and of single items of ``_bulk``, that were refused."""
        return dict(self._counts)

    def _routes(self, source: Source) -> Iterator[Route]:
        """Yield what a source's path answers: POST of records, and below it what senders for Elasticsearch ask."""

        def route(path: str, work: _Work, *methods: str, failed: Callable[[_Refused], Response] = _failed) -> Route:
            return Route(path, self._endpoint(source, work, failed), methods=methods)

        path = source.settings.path.rstrip("/")
        yield route(source.settings.path, self._post, "POST", failed=_failed_plainly)
        for place in {path or "/", f"{path}/"}:
            yield route(place, _says(bulk.INFO), "GET")
        for place in (f"{path}/_bulk", f"{path}/{{index}}/_bulk"):
            yield route(place, self._bulk, "POST", "PUT")
        yield route(f"{path}/_license", _says(bulk.LICENSE), "GET")
        yield route(f"{path}/_cluster/health", _says(bulk.HEALTH), "GET")
        yield route(f"{path}/_cat/health", _says(bulk.HEALTH), "GET")
        yield route(f"{path}/{{rest:path}}", _unknown, "GET", "POST", "PUT", "DELETE")

    def _endpoint(
        self, source: Source, work: _Work, failed: Callable[[_Refused], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        token = source.settings.token.get_secret_value().encode()

        async def endpoint(request: Request) -> Response:
            try:
                if not hmac.compare_digest(_given(request.headers.get("authorization", "")), token):
                    raise _Refused(401, "a token is required")
                return await work(source, request)
            except _Refused as refused:
                self._counts["refused_requests"] += 1
                return failed(refused)

        return endpoint

    async def _post(self, source: Source, request: Request) -> Response:
        def take(body: bytes) -> list[Kind | None]:
            records = items(body)
            if not records:
                raise _Refused(400, "no record in the body")
            return self._accept(source, request, records)

        async with self._body(request) as body:
            kinds = await self._working(lambda: take(_unpacked(body, request)))
        if None in kinds:
            raise _Refused(503, "no room, send again")
        rejected = kinds.count("dead_lettered")
        return JSONResponse({"accepted": len(kinds) - rejected, "rejected": rejected}, 202 if rejected else 200)

    async def _bulk(self, source: Source, request: Request) -> Response:
        began = monotonic()

        def take(body: bytes) -> bytes:
            try:
                found = bulk.read(body, request.path_params.get("index", ""))
            except ParseError as error:
                raise _Refused(400, error.reason) from None
            documents = [item.document for item in found if item.document is not None]
            kinds = self._accept(source, request, documents)
            self._counts["refused_items"] += len(found) - len(documents) + kinds.count(None)
            return bulk.answer(found, kinds, int((monotonic() - began) * 1000))

        async with self._body(request) as body:
            return _elastic(await self._working(lambda: take(_unpacked(body, request))))

    def _accept(self, source: Source, request: Request, records: Sequence[bytes]) -> list[Kind | None]:
        """Take the records in parts; return what became of each, None from where there was no room."""
        if len(records) > MAX_RECORDS:
            raise _Refused(413, f"at most {MAX_RECORDS} records are taken at once")
        peer, now = request.client.host if request.client else "", datetime.now(UTC)
        kinds: list[Kind | None] = []
        try:
            for start in range(0, len(records), _BATCH):
                part = [Record(data, peer, received=now) for data in records[start : start + _BATCH]]
                kinds += self._intake.accept(source, part)
        except Unavailable:
            kinds += [None] * (len(records) - len(kinds))
        return kinds

    async def _working(self, work: Callable[[], _T]) -> _T:
        """Do the work in a thread, few at a time: they bound the memory."""
        return await to_thread.run_sync(work, limiter=self._limiter)

    @asynccontextmanager
    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    body += chunk
                    self._held_bytes += len(chunk)
                    if len(body) > MAX_BODY_BYTES:
                        raise _Refused(413, f"at most {MAX_BODY_BYTES} bytes are taken at once")
                    if self._held_bytes > BODIES_BYTES:
                        raise _Refused(503, "too many requests are under way")
            yield bytes(body)
        except TimeoutError:
            raise _Refused(408, f"the body took more than {BODY_S:.0f} s") from None
        except ClientDisconnect:
            raise _Refused(400, "half a body") from None
        finally:
            self._held_bytes -= len(body)


class GuardedProtocol(H11Protocol):
    """Limits the connections, in all and of one peer, and the time until the headers of a request are there."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        others = [each.client for each in self.connections if isinstance(each, GuardedProtocol)]
        of_peer = sum(other is not None and other[:1] == (self.client or ())[:1] for other in others)
        if len(self.connections) > CONNECTIONS or of_peer > CONNECTIONS_OF_PEER:
            transport.abort()
        else:
            self._due = self.loop.call_later(HEADER_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._cancel()
        elif self._due is None:
            self._due = self.loop.call_later(HEADER_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def _cancel(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


def _check(sources: Sequence[Source], listen: str) -> None:
    """Check what the sources of one address have apart and in common; raises SettingsError."""
    paths = [source.settings.path.rstrip("/") for source in sources]
    if len(set(paths)) < len(paths) or not all(source.settings.path.startswith("/") for source in sources):
        remedy = 'give each source its own, such as path = "/windows"'
        raise SettingsError("HTTP sources share a path or have none", step="collector", record=listen, remedy=remedy)
    for source in sources:
        if not source.settings.token.get_secret_value():
            raise SettingsError("an HTTP source has no token", step="collector", record=source.name)
    if len({(one.settings.certificate, one.settings.key, one.settings.authorities) for one in sources}) > 1:
        remedy = "give all sources of the address the same certificate, key and authorities, or none"
        raise SettingsError("HTTP sources differ in TLS", step="collector", record=listen, remedy=remedy)


def _given(authorization: str) -> bytes:
    """Return the secret of a header: a bearer token, or what follows the colon of a password or an API key."""
    scheme, _, credentials = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.encode("latin-1")
        case "basic" | "apikey":
            try:
                return b64decode(credentials, validate=True).partition(b":")[2]
            except binascii.Error:
                return b""
    return b""


def _says(what: dict[str, object]) -> _Work:
    async def answer(_: Source, __: Request) -> Response:
        return _elastic(orjson.dumps(what))

    return answer


async def _unknown(_: Source, request: Request) -> Response:
    raise _Refused(404, f"{request.method} of this path is no part of what is taken here; documents come by _bulk")


def _elastic(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, bulk.HEADERS | (headers or {}), "application/json")


def _failed(refused: _Refused) -> Response:
    return _elastic(bulk.failure(refused.status, refused.reason), refused.status, refused.headers)


def _failed_plainly(refused: _Refused) -> Response:
    return JSONResponse({"error": refused.reason}, refused.status, refused.headers)


def items(body: bytes) -> list[bytes]:
    """Return a body's records as they were written: the items of an array, one JSON value, or a record per line."""
    try:
        if body.lstrip()[:1] == b"[":
            return [bytes(item) for item in msgspec.json.decode(body, type=list[msgspec.Raw])]
        return [bytes(msgspec.json.decode(body, type=msgspec.Raw))]
    except (msgspec.MsgspecError, RecursionError):
        return [line for line in body.splitlines() if line.strip()]


def _unpacked(body: bytes, request: Request) -> bytes:
    """Return the body without gzip (RFC 1952; one member or several), unpacking no more than the limit."""
    encoding = request.headers.get("content-encoding", "identity")
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
