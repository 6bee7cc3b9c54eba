from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import orjson
import pytest

from dashboards.feed import Announcement, Feed, announcement_of, follow
from wardwatch import topics
from wardwatch.bus import Record, open_bus
from wardwatch.stage import Runtime
from wardwatch.store import Scope
from wardwatch.testing.ports import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def record(value: bytes | None) -> Record:
    return Record("alerts", 0, 7, None, value)


def test_a_page_hears_only_of_its_own_hospitals_and_ends_with_the_feed() -> None:
    async def heard() -> list[str]:
        feed = Feed()
        ids = []

        async def page() -> None:
            async for announcement in feed.listen(Scope("ren", frozenset({"renai"})), lambda: True):
                ids.append(announcement["id"])

        task = asyncio.create_task(page())
        await asyncio.sleep(0)
        for identifier, tenant in (("1", "renai"), ("2", "zhongxin"), ("3", "renai")):
            feed.announce(Announcement(id=identifier, tenant=tenant, kind="created"))
        feed.close()
        await task
        return ids

    assert asyncio.run(heard()) == ["1", "3"]


@pytest.mark.parametrize("busy", [False, True])
def test_a_page_is_asked_again_and_again_whether_it_may_listen(busy: bool) -> None:
    async def checks() -> int:
        feed, answers = Feed(check_s=0.01), iter([True, True, True, False])
        again = Announcement(id="1", tenant="renai", kind="created")
        if busy:
            asyncio.get_running_loop().call_soon(feed.announce, again)
        async for _ in feed.listen(Scope("lin"), lambda: next(answers)):
            feed.announce(again)
        return len(list(answers))

    assert asyncio.run(asyncio.wait_for(checks(), 30)) == 0


def test_a_page_that_does_not_read_costs_bounded_memory() -> None:
    async def waiting() -> int:
        feed = Feed()
        pages = feed.listen(Scope("lin"), lambda: True)
        first = asyncio.ensure_future(anext(pages))
        await asyncio.sleep(0)
        for number in range(5000):
            feed.announce(Announcement(id=str(number), tenant="renai", kind="created"))
        await first
        return max(queue.qsize() for queue in feed._pages)

    assert asyncio.run(waiting()) <= 100


def test_what_one_console_tells_the_pages_of_another_hear(tmp_path: Path) -> None:
    bus = open_bus(f"sqlite:///{tmp_path / 'bus.sqlite'}")
    bus.ensure_topics(topics.shared())
    told = Announcement(id="renai-202611-1", tenant="renai", kind="changed")

    async def heard() -> Announcement:
        here, there = Feed(), Feed()
        runtimes = [Runtime("here"), Runtime("there")]
        threads = [
            threading.Thread(target=follow, args=(bus, feed, runtime))
            for feed, runtime in zip((here, there), runtimes, strict=True)
        ]
        for thread in threads:
            thread.start()
        await asyncio.to_thread(wait_until, lambda: all(runtime.health()["ok"] for runtime in runtimes), what="feeds")
        pages = there.listen(Scope("lin"), lambda: True)
        first = asyncio.ensure_future(anext(pages))
        await asyncio.sleep(0)
        here.tell(told)
        found = await asyncio.wait_for(first, 30)
        for runtime in runtimes:
            runtime.stopping.set()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        return found

    assert asyncio.run(heard()) == told
    bus.close()


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"[]", b"1", b'{"id": "a"}', b'{"id":"a","tenant":"../x","kind":"created"}', b"\xff"]
)
def test_a_garbled_announcement_is_passed_over(value: bytes | None) -> None:
    assert announcement_of(record(value)) is None


def test_an_announcement_is_read() -> None:
    value = orjson.dumps({"id": "a", "tenant": "renai", "kind": "created", "title": "x"})
    assert announcement_of(record(value)) == {"id": "a", "tenant": "renai", "kind": "created"}
