"""The database servers of the session, each started when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ingest.pollers.servers import MariaDb, PostgreSql, Server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    with PostgreSql() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    with MariaDb() as server:
        yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Server:
    """Give both servers in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found
