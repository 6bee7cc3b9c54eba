"""The examples of docs/api.md, run in their order as one program."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dashboards.auth.people import Right
from dashboards.feed import Announcement
from tests.dashboards.site import STORIES, VIP, console_over, serving
from wardwatch.store import Scope
from wardwatch.testing.ports import wait_until

if TYPE_CHECKING:
    from wardwatch.store import Store

GUIDE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_guide_in_chinese_has_the_same_examples() -> None:
    assert blocks_of(GUIDE) == blocks_of(GUIDE.with_name("api.zh-CN.md"))


def blocks_of(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_guides_examples_do_what_it_says(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = blocks_of(GUIDE)
    assert len(blocks) == 6
    console = console_over(store)
    token, _ = console.tokens.add("lin", "guide", frozenset({Right.WORK}), None, 1)
    with serving(console) as address:
        program: dict[str, Any] = {"CONSOLE": address, "TOKEN": token}
        for block in blocks:
            exec(compile(block, str(GUIDE), "exec"), program)
        told = Announcement(id=VIP.id, tenant="zhongxin", kind="changed")
        with ThreadPoolExecutor() as pool:
            heard = pool.submit(next, program["follow"]())
            wait_until(lambda: bool(console.feed._pages), what="stream")
            console.feed.announce(told)
            assert heard.result(30) == told
        program["api"].close()
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "lin ['analyst'] None"
    assert said[1:3] == [f"{VIP.id} {VIP.title['en']}", f"{STORIES[1].id} {STORIES[1].title['en']}"]
    assert said[3:] == ["2 0 0", "{'critical': 2, 'high': 1, 'medium': 1, 'low': 0}"]
    assert status(store, VIP.id) == "new"
    assert {status(store, one.id) for one in STORIES[2:]} == {"acknowledged"}


def status(store: Store, alert: str) -> str:
    return str(store.alerts.get(Scope("test"), [alert])[alert].doc["wardwatch"]["alert"]["status"])
