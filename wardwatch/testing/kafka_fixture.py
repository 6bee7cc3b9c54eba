"""The fixtures ``kafka_server`` and ``kafka``: one real broker for the whole test session, and its URL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

from wardwatch.errors import SettingsError
from wardwatch.testing.kafka import KafkaServer


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaServer]:
    """Start a broker that tests may freeze and kill; skip where that is not possible, but fail under CI=true."""
    try:
        server = KafkaServer()
    except SettingsError as error:
        _no_kafka(error)
    with server:
        yield server


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> str:
    """Give WARDWATCH_TEST_KAFKA, else the URL of the broker of this session.

    A socket to it may be left to the garbage collector: kafka-python 3.0.12 closes none whose connection takes too long
    to be made (``kafka.net.inet``), as happens while the machine stands still for seconds.
    """
    url = os.environ.get("WARDWATCH_TEST_KAFKA") or str(request.getfixturevalue("kafka_server").url)
    left = f"ignore:unclosed <socket.*raddr=.*, {urlsplit(url).port}.>:ResourceWarning"
    request.config.addinivalue_line("filterwarnings", left)
    return url


def _no_kafka(error: SettingsError) -> NoReturn:
    reason = f"no Kafka: {error}; or set WARDWATCH_TEST_KAFKA=kafka://host:port"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
