"""What is known of the rows of some tables: how they are checked before they are written, what is secret in them."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Final

from wardwatch.event import Document

CHECKS: Final = {
    "service_levels": "wardwatch.service_levels:check",
    "channels": "enrich.notify.channels:parse",
    "routes": "enrich.notify.routes:check_route",
    "escalations": "enrich.notify.routes:check_escalation",
    "on_call": "enrich.notify.routes:check_shift",
    "contacts": "enrich.notify.routes:check_contact",
}
"""Tables whose rows are checked before they are written → what does."""

SECRET: Final = {"channels": frozenset({"url", "secret", "password"})}
"""Fields of tables that are never shown."""

HIDDEN: Final = "(hidden)"


def check(table: str, row: Document) -> None:
    """Raise SettingsError, naming the field, for a row that its table does not take."""
    if table in CHECKS:
        resolve_name(CHECKS[table])(row)


def without_secrets(table: str, row: Document) -> Document:
    """Return the row with HIDDEN for what is never shown."""
    hidden = SECRET.get(table, frozenset())
    return {name: HIDDEN if name in hidden else value for name, value in row.items()}


def with_secrets(table: str, row: Document, before: Document) -> Document:
    """Return the row with what ``before`` has for each HIDDEN."""
    hidden = SECRET.get(table, frozenset())
    return {
        name: before.get(name, value) if name in hidden and value == HIDDEN else value for name, value in row.items()
    }
