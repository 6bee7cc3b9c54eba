"""What every request needs: store, tables, people, sessions, jobs, and the live feed."""

from __future__ import annotations

from dataclasses import dataclass, field

from dashboards.auth.oidc import Provider
from dashboards.auth.people import People, Person, Right
from dashboards.auth.sessions import Sessions
from dashboards.auth.tokens import Rate, Tokens
from dashboards.bulk import Jobs
from dashboards.feed import Announcement, Feed
from dashboards.figures import Report
from dashboards.hospitals import Hospitals
from dashboards.memo import Memo, Moments
from dashboards.monthly.report import MonthlyReport
from dashboards.presence import Presence
from dashboards.suppressions import Rows
from wardwatch import service_levels
from wardwatch.alert import AlertDocument, parse_alert_id, severity_of
from wardwatch.service_levels import Clock, policy_of
from wardwatch.settings import ConsoleSettings
from wardwatch.store import Store
from wardwatch.throttle import Throttle


@dataclass
class Console:
    """The parts of one console process; kept in ``app.state.console``.

    ``lines``, ``moments``, ``reports`` and ``months`` are what pages of many people have alike; ``changes`` is another
    object after each request that may have changed them.
    """

    settings: ConsoleSettings
    store: Store
    tables: Rows
    feed: Feed = field(default_factory=Feed)
    throttle: Throttle = field(default_factory=Throttle)
    lines: Memo[str] = field(default_factory=Memo)
    moments: Moments = field(default_factory=Moments)
    reports: Memo[Report] = field(default_factory=Memo)
    months: Memo[MonthlyReport] = field(default_factory=Memo)
    changes: object = field(default_factory=object)

    def __post_init__(self) -> None:
        self.hospitals = Hospitals(lambda: self.tables.rows("tenants", ""))
        self.people = People(self.store)
        self.sessions = Sessions(self.store, self.settings.session_hours)
        self.tokens = Tokens(self.store)
        self.presence = Presence(self.store)
        self.rate = Rate(self.settings.token_rate)
        self.provider = Provider(self.settings.oidc, self.store) if self.settings.oidc.issuer else None
        self.jobs = Jobs(self.store, self.people.get, self.workers, self.outdate)

    def close(self) -> None:
        """End what is under way beside the pages."""
        self.jobs.close()
        self.moments.close()

    def outdate(self) -> None:
        """Let nobody be shown what the store said before now; any thread."""
        self.changes = object()

    def changed(self, alert: str) -> None:
        """Tell the open pages of every console that somebody worked on an alert."""
        self.feed.tell(Announcement(id=alert, tenant=parse_alert_id(alert)[0], kind="changed"))

    def clock(self, doc: AlertDocument) -> Clock:
        """Return the service levels of one alert."""
        tenant, _ = parse_alert_id(doc["event"]["id"])
        return Clock(
            policy_of(self.tables.rows(service_levels.TABLE, tenant)), severity_of(doc), self.hospitals.get(tenant).zone
        )

    def needs_second_factor(self, person: Person) -> bool:
        """Tell whether one of the person's roles may only sign in with a second factor."""
        return not person.roles.isdisjoint(self.settings.second_factor)

    def workers(self, tenant: str) -> list[Person]:
        """Return the accounts that may work a hospital's alerts, by name."""
        able = (one for one in self.people.every() if not one.disabled and one.may(Right.WORK))
        return sorted((one for one in able if one.scope.allows(tenant)), key=lambda one: one.name)
