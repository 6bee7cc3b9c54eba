"""What every request needs: store, hospitals, service levels, people, sessions, and the live feed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dashboards.auth.oidc import Provider
from dashboards.auth.people import People, Person, Right
from dashboards.auth.sessions import Sessions
from dashboards.auth.throttle import Throttle
from dashboards.auth.tokens import Rate, Tokens
from dashboards.bulk import Jobs
from dashboards.feed import Feed
from dashboards.hospitals import Hospitals
from wardwatch.alert import AlertDocument, parse_alert_id, severity_of
from wardwatch.service_levels import DEFAULT, Clock, Policy
from wardwatch.settings import ConsoleSettings
from wardwatch.store import Store


@dataclass
class Console:
    """The parts of one console process; kept in ``app.state.console``."""

    settings: ConsoleSettings
    store: Store
    hospitals: Hospitals
    policy: Callable[[str], Policy] = field(default=lambda _: DEFAULT)
    feed: Feed = field(default_factory=Feed)
    throttle: Throttle = field(default_factory=Throttle)

    def __post_init__(self) -> None:
        self.people = People(self.store)
        self.sessions = Sessions(self.store, self.settings.session_hours)
        self.tokens = Tokens(self.store)
        self.rate = Rate(self.settings.token_rate)
        self.provider = Provider(self.settings.oidc, self.store) if self.settings.oidc.issuer else None
        self.jobs = Jobs(self.store, self.people.get, self.workers)

    def clock(self, doc: AlertDocument) -> Clock:
        """Return the service levels of one alert."""
        tenant, _ = parse_alert_id(doc["event"]["id"])
        return Clock(self.policy(tenant), severity_of(doc), self.hospitals.get(tenant).zone)

    def needs_second_factor(self, person: Person) -> bool:
        """Tell whether one of the person's roles may only sign in with a second factor."""
        return not person.roles.isdisjoint(self.settings.second_factor)

    def workers(self, tenant: str) -> list[Person]:
        """Return the accounts that may work a hospital's alerts, by name."""
        able = (one for one in self.people.every() if not one.disabled and one.may(Right.WORK))
        return sorted((one for one in able if one.scope.allows(tenant)), key=lambda one: one.name)
