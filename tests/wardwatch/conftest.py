"""The stores under test and a tenant of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from wardwatch.store import Store, open_store


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test has, so that a shared server needs no cleaning."""
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(params=["sqlite", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def store(request: pytest.FixtureRequest, tmp_path: Path, tenant: str) -> Iterator[Store]:
    """Each adapter, on a real file and a real server."""
    real = request.param == "elasticsearch"
    url = request.getfixturevalue("elasticsearch") if real else f"sqlite:///{tmp_path / 'store.sqlite'}"
    opened = open_store(url)
    opened.setup()
    yield opened
    if real:
        indices = httpx.get(f"{url}/_cat/indices/*{tenant}*", params={"format": "json", "h": "index"}).json()
        for index in indices:
            httpx.delete(f"{url}/{index['index']}")
    opened.close()
