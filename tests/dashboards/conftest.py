from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from tests.dashboards.site import console_over, seed, visiting
from wardwatch import passwords
from wardwatch.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from dashboards.console import Console


@pytest.fixture(autouse=True)
def fast_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    seed(store)
    yield store
    store.close()


@pytest.fixture
def console(store: Store) -> Console:
    return console_over(store)


@pytest.fixture
def client(console: Console) -> Iterator[httpx.Client]:
    with visiting(console) as client:
        yield client
