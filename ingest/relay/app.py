"""What a relay answers: 200 when every record of a batch is durable on the bus, 503 while the bus is away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import prometheus_client
import structlog

from ingest.relay.enrolment import Enrolment
from ingest.relay.peers import Peer, Refused, peer_of
from ingest.relay.server import Answer, Request
from ingest.relay.writers import Writers
from ingest.remote import signed
from wardwatch.bus.relay import wire
from wardwatch.errors import BusUnavailable, DecodeError, RecordError, Unavailable
from wardwatch.stage import EVENTS, Runtime
from wardwatch.tables import Tables

log = structlog.get_logger()

RETRY_AFTER_S = 5
_ASKED_BYTES = 16_384
AT_ONCE = 4
"""Batches of one tenant that may be under way: a hospital on a slow line, or one that floods, delays no other."""

REFUSED = prometheus_client.Counter(
    "wardwatch_relay_refused", "Requests refused, by the status that was answered", ["tenant", "status"]
)
_HANDSHAKE = "tls"
"""Stands for the status where there was none."""


class RelayApp:
    """Answers requests, from any thread, once ``ready`` is set; counts records and what was refused."""

    def __init__(self, writers: Writers, enrolment: Enrolment, tables: Tables, runtime: Runtime) -> None:
        self._writers = writers
        self._enrolment = enrolment
        self._tables = tables
        self._runtime = runtime
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()
        self._open = {("GET", wire.AUTHORITY): self._authority, ("POST", wire.ENROL): self._enrol}
        self._certified = {
            ("GET", wire.TENANT): self._tenant,
            ("GET", wire.CONFIG): self._config,
            ("POST", wire.RECORDS): self._records,
            ("POST", wire.RENEW): self._renew,
        }
        self.ready = threading.Event()
        self.taken = 0
        self.refused = 0

    def answer(self, request: Request) -> Answer:
        """Answer one request."""
        tenant, page = "", (request.method, request.path)
        try:
            if not self.ready.is_set():
                raise BusUnavailable("which certificates were revoked is not known yet", step="relay")
            if page in self._open:
                return self._open[page](request)
            peer = peer_of(request.certificate)
            tenant = peer.tenant
            self._enrolment.check(peer)
            if page not in self._certified:
                raise Refused(404, "there is no such page")
            return self._certified[page](request, peer)
        except Refused as refused:
            return self._refuse(tenant, refused.status, refused.reason)
        except DecodeError as error:
            return self._refuse(tenant, 400, error.reason)
        except RecordError as error:
            return self._refuse(tenant, 422, error.reason)
        except Unavailable as error:
            self._runtime.report("bus", ok=False, message=str(error))
            return Answer(503, {"error": error.reason}, {"Retry-After": str(RETRY_AFTER_S)})

    def handshake_refused(self, _: str) -> None:
        """Count a client whose certificate TLS did not take."""
        self._count("", _HANDSHAKE)

    def _authority(self, _: Request) -> Answer:
        return Answer(200, self._enrolment.authority())

    def _enrol(self, request: Request) -> Answer:
        asked = _asked(request)
        return Answer(200, self._enrolment.enrol(asked.token, asked.request, request.address))

    def _renew(self, request: Request, peer: Peer) -> Answer:
        return Answer(200, self._enrolment.renew(peer, _asked(request).request, request.address))

    def _tenant(self, _: Request, peer: Peer) -> Answer:
        return Answer(200, {"tenant": peer.tenant, "topics": self._writers.prepare(peer.tenant)})

    def _config(self, _: Request, peer: Peer) -> Answer:
        return Answer(200, {"row": self._tables.get(signed.TABLE, peer.tenant, signed.KEY)})

    def _records(self, request: Request, peer: Peer) -> Answer:
        if request.media_type != wire.MEDIA_TYPE:
            raise Refused(415, f"the body must be {wire.MEDIA_TYPE}")
        with self._turn(peer.tenant):
            records = wire.unpack(request.body(wire.MAX_PACKED_BYTES))
            foreign = {record.topic for record in records}.difference(self._writers.prepare(peer.tenant))
            if foreign:
                raise Refused(403, f"{peer.tenant} may not write to {', '.join(sorted(foreign))[:200]}")
            self._writers.write(peer.tenant, records)
        EVENTS.labels("relay", peer.tenant, "", "forwarded").inc(len(records))
        with self._lock:
            self.taken += len(records)
        return Answer(200, {"taken": len(records)})

    @contextmanager
    def _turn(self, tenant: str) -> Iterator[None]:
        with self._lock:
            if self._busy[tenant] >= AT_ONCE:
                raise Refused(429, f"{AT_ONCE} batches of {tenant} are under way")
            self._busy[tenant] += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy[tenant] -= 1

    def _refuse(self, tenant: str, status: int, reason: str) -> Answer:
        log.warning("request_refused", tenant=tenant, status=status, reason=reason)
        self._count(tenant, str(status))
        return Answer(status, {"error": reason}, {"Retry-After": str(RETRY_AFTER_S)} if status == 429 else {})

    def _count(self, tenant: str, status: str) -> None:
        REFUSED.labels(tenant, status).inc()
        with self._lock:
            self.refused += 1


class _Asked(msgspec.Struct, frozen=True):
    request: str
    token: str = ""


def _asked(request: Request) -> _Asked:
    try:
        return msgspec.json.decode(request.body(_ASKED_BYTES), type=_Asked)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError(f"no request for a certificate: {error}", step="enrol") from None
