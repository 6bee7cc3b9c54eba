"""What is known of the rows of some tables: how they are checked before they are written, what is secret in them."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Final

from wardwatch.errors import SettingsError
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

DESTINATION: Final = {"channels": ("kind", "host", "port", "security")}
"""Fields of tables that say to which server a secret is sent."""

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
    """Return the row with what ``before`` has for each HIDDEN.

    Raises SettingsError where the server is another than before: a secret goes nowhere else unless it is given again.
    """
    kept = {name for name in SECRET.get(table, ()) if row.get(name) == HIDDEN}
    if kept and any(row.get(name) != before.get(name) for name in DESTINATION.get(table, ())):
        names = ", ".join(sorted(kept))
        raise SettingsError(f"the server is another one: give {names} again", step=table)
    return {name: before.get(name, value) if name in kept else value for name, value in row.items()}


def names_file(table: str, row: Document) -> bool:
    """Tell whether a secret of the row is the name of a file of the scheduler (``file:NAME``)."""
    return any(str(row.get(name, "")).startswith("file:") for name in SECRET.get(table, ()))
