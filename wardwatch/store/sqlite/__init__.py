"""The store in one SQLite file, for one machine and several processes."""

from __future__ import annotations

from pathlib import Path

from wardwatch.errors import SettingsError
from wardwatch.store import Alerts, Collection, Documents, Events
from wardwatch.store.sqlite.alerts import SqliteAlerts
from wardwatch.store.sqlite.database import Database
from wardwatch.store.sqlite.documents import SqliteDocuments
from wardwatch.store.sqlite.events import SqliteEvents


class SqliteStore:
    """Alerts, events and collections in the file of ``sqlite:///path``; raises SettingsError without a path."""

    def __init__(self, url: str) -> None:
        path = url.removeprefix("sqlite:///")
        if not path or path == url:
            raise SettingsError(f"{url!r} names no file", step="settings", remedy="WARDWATCH_STORE=sqlite:///path")
        self.url = url
        self._database = Database(Path(path))
        self.alerts: Alerts = SqliteAlerts(self._database)
        self.events: Events = SqliteEvents(self._database)

    def documents(self, collection: Collection) -> Documents:
        """Return one of the small collections."""
        return SqliteDocuments(self._database, collection)

    def setup(self) -> None:
        """Create the file and its tables where they are missing."""
        self.ping()

    def ping(self) -> None:
        """Return when the file can be read."""
        self._database.read("SELECT 1")

    def close(self) -> None:
        """Close the file."""
        self._database.close()
