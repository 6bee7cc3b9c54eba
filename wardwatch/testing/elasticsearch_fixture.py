"""pytest plugin: the session's Elasticsearch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest

from wardwatch.errors import SettingsError
from wardwatch.testing.elasticsearch import ElasticsearchServer


@pytest.fixture(scope="session")
def elasticsearch() -> Iterator[str]:
    """Yield the URL of a real server: WARDWATCH_TEST_ES, or one started here.

    Where none can be started, the tests are skipped with the reason; under ``CI=true`` they fail.
    """
    given = os.environ.get("WARDWATCH_TEST_ES")
    if given:
        yield given
        return
    with ExitStack() as stack:
        try:
            server = stack.enter_context(ElasticsearchServer())
        except (SettingsError, TimeoutError) as error:
            _absent(error)
        yield server.url


def _absent(error: Exception) -> NoReturn:
    reason = f"no Elasticsearch: {error} (install Maven and a JDK 21, or set WARDWATCH_TEST_ES=http://host:9200)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
