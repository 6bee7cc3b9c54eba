"""Lookups: what the pipeline knows of the things an event names; each adds fields to the event in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Rows(Protocol):
    """What a lookup reads of ``wardwatch.tables.Tables``."""

    def rows(self, table: str, tenant: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the rows for all and, over them, the tenant's, by key."""

    def version(self, table: str) -> int:
        """Return a number that grows with every change of the table."""
