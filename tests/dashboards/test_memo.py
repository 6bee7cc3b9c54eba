from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from dashboards import memo
from dashboards.memo import AGING_S, OLD_S, Memo, Moments
from wardwatch.errors import StoreUnavailable


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


class Later(Executor):
    """Runs what it was given when the test says so."""

    def __init__(self) -> None:
        self.given: list[Callable[[], Any]] = []

    def submit(self, call: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given.append(lambda: call(*args, **kwargs))
        return Future()

    def run(self) -> int:
        given, self.given = self.given, []
        for each in given:
            each()
        return len(given)


def test_an_aging_answer_is_shown_and_made_again_once_beside_those_who_ask() -> None:
    now, later = [0.0], Later()
    moments = Moments(later, lambda: now[0])
    assert moments.of("key", lambda: "first") == "first"
    now[0] = AGING_S - 0.1
    assert (moments.of("key", lambda: "second"), later.run()) == ("first", 0)
    now[0] = AGING_S
    assert [moments.of("key", lambda: "second") for _ in range(3)] == ["first"] * 3
    assert later.run() == 1
    assert moments.of("key", lambda: "third") == "second"
    assert later.run() == 0


def test_an_old_answer_is_never_shown() -> None:
    now, later = [0.0], Later()
    moments = Moments(later, lambda: now[0])
    moments.of("key", lambda: "first")
    now[0] = OLD_S
    assert moments.of("key", lambda: "second") == "second"


def test_an_absent_store_is_told_when_the_answer_is_old_and_tried_again() -> None:
    now, later = [0.0], Later()
    moments = Moments(later, lambda: now[0])

    def absent() -> str:
        raise StoreUnavailable("it is away", step="store")

    moments.of("key", lambda: "first")
    now[0] = AGING_S
    assert (moments.of("key", absent), later.run()) == ("first", 1)
    assert (moments.of("key", absent), later.run()) == ("first", 1)
    now[0] = OLD_S
    with pytest.raises(StoreUnavailable):
        moments.of("key", absent)
    assert moments.of("key", lambda: "again") == "again"


def test_another_question_is_another_answer() -> None:
    moments = Moments(Later())
    assert (moments.of("a", lambda: 1), moments.of("b", lambda: 2), moments.of("a", lambda: 3)) == (1, 2, 1)
