"""A tenant of its own for each test."""

from __future__ import annotations

from uuid import uuid4

import pytest


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test has, so that a shared server needs no cleaning."""
    return f"t{uuid4().hex[:12]}"
