"""The live feed: alerts as the alerter and other consoles announce them, to each open page within its tenants."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing
from typing import TypedDict

import orjson
import structlog

from wardwatch import topics
from wardwatch.bus import Bus, Producer, Record
from wardwatch.errors import Unavailable
from wardwatch.stage import Runtime
from wardwatch.store import Scope
from wardwatch.topics import TENANT

log = structlog.get_logger()

KINDS = ("created", "updated", "changed")
_WAITING = 100  # announcements kept for a slow page; it says "N new", so older ones may go
_OUTGOING = 1000  # kept while the bus is absent; the oldest go first
_RETRY_S = 2.0
_CHECK_S = 5.0


class Announcement(TypedDict):
    """One alert that was created, counted further (``updated``), or worked on in a console (``changed``)."""

    id: str
    tenant: str
    kind: str


class Feed:
    """Hands announcements from the reading thread to the event loop of the pages."""

    def __init__(self, check_s: float = _CHECK_S) -> None:
        self._check_s = check_s
        self._lock = threading.Lock()
        self._outgoing: deque[Announcement] = deque(maxlen=_OUTGOING)
        self._pages: dict[asyncio.Queue[Announcement | None], tuple[Scope, asyncio.AbstractEventLoop]] = {}
        self.closed = False
        self.news = object()
        """Another one after each announcement: what was read before may have changed."""

    def announce(self, announcement: Announcement) -> None:
        """Hand one announcement to the pages whose scope holds its tenant; any thread."""
        self.news = object()
        with self._lock:
            for queue, (scope, loop) in self._pages.items():
                if scope.allows(announcement["tenant"]):
                    loop.call_soon_threadsafe(_put, queue, announcement)

    def tell(self, announcement: Announcement) -> None:
        """Announce to the pages of every console, this one's too, by way of the bus; any thread."""
        self._outgoing.append(announcement)

    def told(self) -> list[Announcement]:
        """Return what is to be told and was not returned before."""
        return [self._outgoing.popleft() for _ in range(len(self._outgoing))]

    def close(self) -> None:
        """End every listener; any thread."""
        with self._lock:
            self.closed = True
            for queue, (_, loop) in self._pages.items():
                loop.call_soon_threadsafe(_put, queue, None)

    async def listen(self, scope: Scope, admitted: Callable[[], bool]) -> AsyncIterator[Announcement]:
        """Yield announcements in scope until the feed is closed or the listener is no longer admitted."""
        queue: asyncio.Queue[Announcement | None] = asyncio.Queue(_WAITING)
        with self._lock:
            if self.closed:
                return
            self._pages[queue] = (scope, asyncio.get_running_loop())
        try:
            while await asyncio.to_thread(admitted):
                deadline = time.monotonic() + self._check_s
                while (left := deadline - time.monotonic()) > 0:
                    try:
                        announcement = await asyncio.wait_for(queue.get(), left)
                    except TimeoutError:
                        break
                    if announcement is None:
                        return
                    yield announcement
        finally:
            with self._lock:
                del self._pages[queue]


def _put(queue: asyncio.Queue[Announcement | None], announcement: Announcement | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(announcement)


def follow(bus: Bus, feed: Feed, runtime: Runtime) -> None:
    """Read the topic ``alerts`` from its end, and write to it, until the stage stops; reconnect to an absent bus."""
    while not runtime.stopping.is_set():
        try:
            _read(bus, feed, runtime)
        except Unavailable as error:
            runtime.report("bus", ok=False, message=str(error))
            runtime.stopping.wait(_RETRY_S)


def _read(bus: Bus, feed: Feed, runtime: Runtime) -> None:
    with bus.reader([topics.ALERTS.name], start="latest") as reader, closing(bus.producer()) as producer:
        while not runtime.stopping.is_set():
            if told := feed.told():
                _write(producer, told)
            for record in reader.poll(timeout_s=0.5):
                if announcement := announcement_of(record):
                    feed.announce(announcement)
            runtime.report("bus", ok=True, message=bus.url)


def _write(producer: Producer, told: Iterable[Announcement]) -> None:
    """Write announcements; those that an absent bus lost are not repeated: pages only learn later of the change."""
    for one in told:
        producer.send(topics.ALERTS.name, orjson.dumps(one), key=one["id"], headers={"tenant": one["tenant"]})
    producer.flush()


def announcement_of(record: Record) -> Announcement | None:
    """Return the announcement in a record, or None, logged, when it holds none."""
    try:
        doc = orjson.loads(record.value or b"")
        identifier, tenant, kind = str(doc["id"]), str(doc["tenant"]), str(doc["kind"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        identifier = tenant = kind = ""
    if not TENANT.fullmatch(tenant) or kind not in KINDS:
        log.warning("announcement_garbled", record=record.position)
        return None
    return Announcement(id=identifier, tenant=tenant, kind=kind)
