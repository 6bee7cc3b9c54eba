"""Calendar: what time it was at the hospital, for rules that ask about nights and weekends."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo

from enrich.lookups import Rows
from wardwatch.errors import DecodeError
from wardwatch.event import Event, parse_time

ZONE = ZoneInfo("Asia/Shanghai")
DAY_HOURS = range(7, 19)
_SATURDAY = 5


class Calendar:
    """The lookup: adds ``hospital.local_hour`` (0 to 23) and ``hospital.off_hours`` in the tenant's zone."""

    def __init__(self, tables: Rows) -> None:
        self._tables = tables
        self._version = -1
        self._zones: dict[str, ZoneInfo] = {}

    def enrich(self, event: Event) -> None:
        """Add the hour and whether it is outside 07–19 or on a weekend; raises DecodeError for a time it can't read."""
        try:
            local = parse_time(event.doc["@timestamp"]).astimezone(self._zone(event.tenant))
        except OverflowError:
            raise DecodeError("@timestamp is outside the years 1 to 9999", step="calendar") from None
        event.doc["hospital.local_hour"] = local.hour
        event.doc["hospital.off_hours"] = local.hour not in DAY_HOURS or local.weekday() >= _SATURDAY

    def _zone(self, tenant: str) -> ZoneInfo:
        version = self._tables.version("tenants")
        if version != self._version:
            rows = self._tables.rows("tenants", "")
            self._zones = {slug: _named(str(row.get("zone") or "")) for slug, row in rows.items()}
            self._version = version
        return self._zones.get(tenant, ZONE)


@lru_cache(maxsize=1024)
def _named(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone) if zone else ZONE
    except (KeyError, ValueError, OSError):
        return ZONE
