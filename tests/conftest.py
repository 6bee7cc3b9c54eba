"""Fixtures that the whole test suite shares: real servers, started once per session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("wardwatch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wardwatch")  # a busy machine is no failure

pytest_plugins = ["wardwatch.testing.kafka_fixture", "wardwatch.testing.elasticsearch_fixture"]


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    """Undo what a test configured: its standard error is closed behind it."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
