"""The fixture ``kafka``: the URL of one real broker for the whole test session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from wardwatch.errors import SettingsError
from wardwatch.testing.kafka import KafkaServer


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Give WARDWATCH_TEST_KAFKA, or start a broker; skip where neither is possible, but fail under CI=true."""
    named = os.environ.get("WARDWATCH_TEST_KAFKA")
    if named:
        yield named
        return
    try:
        server = KafkaServer()
    except SettingsError as error:
        no_kafka(error)
    with server:
        yield server.url


def no_kafka(error: SettingsError) -> None:
    """Skip the test, saying why and what to do."""
    reason = f"no Kafka: {error}; or set WARDWATCH_TEST_KAFKA=kafka://host:port"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
