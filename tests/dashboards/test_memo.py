from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboards import memo
from dashboards.memo import Memo


def test_a_value_is_made_once_though_many_ask_at_the_same_time() -> None:
    made, together, kept = [], threading.Barrier(8), Memo[int]()

    def make() -> int:
        made.append(1)
        return 7

    def ask(_: int) -> int:
        together.wait()
        return kept.of("key", make)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [7] * 8
    assert made == [1]


def test_another_key_is_another_value_and_a_failure_is_tried_again() -> None:
    kept = Memo[int]()
    with pytest.raises(ZeroDivisionError):
        kept.of("a", lambda: 1 // 0)
    assert (kept.of("a", lambda: 1), kept.of("b", lambda: 2), kept.of("a", lambda: 3)) == (1, 2, 1)


def test_a_full_memory_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_KEPT", 2)
    kept = Memo[int]()
    for number in range(3):
        kept.of(number, lambda number=number: number)  # type: ignore[misc]
    assert kept.of(0, lambda: 99) == 99
    assert kept.of(2, lambda: 99) == 2
