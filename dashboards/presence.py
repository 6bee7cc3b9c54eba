"""Who looks at which alert now: a person's open pages say so again and again, to every console by way of the store."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from dashboards.auth.people import Person
from wardwatch.alert import parse_alert_id
from wardwatch.errors import Conflict, NotFound
from wardwatch.event import rfc3339
from wardwatch.store import Find, Store

SAID_EVERY_S = 15
"""How often a page that is looked at says so (static/presence.js)."""
HOLDS = timedelta(seconds=3 * SAID_EVERY_S)


class Presence:
    """One document for each person: the alert that they looked at last, and when."""

    def __init__(self, store: Store) -> None:
        self._documents = store.documents("presence")

    def look(self, person: Person, alert: str) -> list[str]:
        """Remember that a person looks at an alert; return the names of others who look at it now, sorted.

        Whether the person may see it is the caller's to know.
        """
        tenant, now = parse_alert_id(alert)[0], datetime.now(UTC)
        shown = person.display or person.name
        doc = {"at": rfc3339(now), "tenant": tenant, "alert": alert, "name": person.name, "person": shown}
        with suppress(Conflict):  # another page of the same person was first
            self._say(person.name, doc)
        page = self._documents.find(Find({"alert": alert}, start=now - HOLDS))
        return sorted(str(item.doc["person"]) for item in page.items if item.doc["name"] != person.name)

    def _say(self, name: str, doc: dict[str, str]) -> None:
        try:
            self._documents.replace(name, doc, version=self._documents.get(name).version)
        except NotFound:
            self._documents.create(name, doc)
