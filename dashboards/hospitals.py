"""Names and time zones of the hospitals, from the table ``tenants``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from zoneinfo import ZoneInfo

from wardwatch.event import Document
from wardwatch.service_levels import zone_of
from wardwatch.store import Scope

Rows = Callable[[], Mapping[str, Document]]
"""Reads the table: slug → ``{"name": {"en": …, "zh": …}, "zone": …}``."""

_COLOURS = 8


@dataclass(frozen=True, slots=True)
class Hospital:
    """One hospital as pages show it; ``colour`` is 0 to 7."""

    tenant: str
    names: Mapping[str, str]
    zone: ZoneInfo

    def name(self, lang: str) -> str:
        """Return the name in a language, or the slug."""
        return self.names.get(lang) or self.names.get("en") or self.tenant

    @property
    def colour(self) -> int:
        """The hospital's mark in lists, the same everywhere."""
        return blake2b(self.tenant.encode(), digest_size=1).digest()[0] % _COLOURS


class Hospitals:
    """The hospitals of the table; one that is not in it is shown by its slug, in UTC."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def get(self, tenant: str) -> Hospital:
        """Return one hospital."""
        return _hospital(tenant, self._rows().get(tenant, {}))

    def zone(self, scope: Scope, tenant: str) -> ZoneInfo:
        """Return the zone of one hospital; with none chosen, the zone of most of those in scope."""
        if tenant:
            return self.get(tenant).zone
        zones = Counter(hospital.zone for hospital in self.visible(scope))
        return max(zones, key=zones.__getitem__, default=ZoneInfo("UTC"))

    def visible(self, scope: Scope) -> list[Hospital]:
        """Return the hospitals in scope by slug."""
        rows = self._rows()
        tenants = set(rows) if scope.tenants is None else scope.tenants
        return [_hospital(tenant, rows.get(tenant, {})) for tenant in sorted(tenants)]


def _hospital(tenant: str, row: Document) -> Hospital:
    names = row.get("name")
    return Hospital(tenant, {k: str(v) for k, v in names.items()} if isinstance(names, dict) else {}, zone_of(row))
