"""The context of an event: every lookup, in the order in which a matcher applies them."""

from __future__ import annotations

import re

from enrich.lookups import Rows
from enrich.lookups.assets import SIDES, Assets
from enrich.lookups.calendar import Calendar
from wardwatch.event import Event

READS = frozenset(name for side in SIDES.values() for names in side for name in names) | {"@timestamp"}
"""The fields of an event that lookups read."""

_ADDED = re.compile(r"[a-z]+\.asset\..+|hospital\.(local_hour|off_hours)")


def is_added(name: str) -> bool:
    """Tell whether a field is what a lookup adds: events are archived without it."""
    return _ADDED.fullmatch(name) is not None


class Context:
    """Adds to an event in place what the tables know about it; no I/O, microseconds per event."""

    def __init__(self, tables: Rows) -> None:
        self._lookups = (Assets(tables), Calendar(tables))

    def enrich(self, event: Event) -> None:
        """Apply every lookup; raises DecodeError when the event's time can't be read."""
        for lookup in self._lookups:
            lookup.enrich(event)
