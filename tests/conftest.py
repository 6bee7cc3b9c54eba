"""Fixtures that the whole test suite shares: real servers, started once per session."""

from __future__ import annotations

pytest_plugins = ["wardwatch.testing.kafka_fixture", "wardwatch.testing.elasticsearch_fixture"]
