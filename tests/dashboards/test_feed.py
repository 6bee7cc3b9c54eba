from __future__ import annotations

import asyncio

import orjson
import pytest

from dashboards.feed import Announcement, Feed, announcement_of
from wardwatch.bus import Record
from wardwatch.store import Scope


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


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"[]", b"1", b'{"id": "a"}', b'{"id":"a","tenant":"../x","kind":"created"}', b"\xff"]
)
def test_a_garbled_announcement_is_passed_over(value: bytes | None) -> None:
    assert announcement_of(record(value)) is None


def test_an_announcement_is_read() -> None:
    value = orjson.dumps({"id": "a", "tenant": "renai", "kind": "created", "title": "x"})
    assert announcement_of(record(value)) == {"id": "a", "tenant": "renai", "kind": "created"}
