"""What detection must know of a tenant: its name and its time zone, from the table ``tenants``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from detections.sigma.ruleset import ZONE

Rows = Callable[[], Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Tenants:
    """The tenants by slug; ``rows`` returns the table as it is now."""

    rows: Rows

    def zone(self, tenant: str) -> tzinfo:
        """Return the tenant's time zone; Asia/Shanghai where the table has none or no such zone exists."""
        return _zone(str(self.rows().get(tenant, {}).get("zone", "")))

    def name(self, tenant: str) -> str:
        """Return the tenant's English name, or its slug."""
        name = self.rows().get(tenant, {}).get("name")
        return str(name["en"]) if isinstance(name, dict) and name.get("en") else tenant


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else ZONE
    except (KeyError, ValueError, OSError):
        return ZONE
