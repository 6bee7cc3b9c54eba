"""What every request needs: store, hospitals, people, sessions, and the live feed."""

from __future__ import annotations

from dataclasses import dataclass, field

from dashboards.auth.people import People
from dashboards.auth.sessions import Sessions
from dashboards.feed import Feed
from dashboards.hospitals import Hospitals
from wardwatch.settings import ConsoleSettings
from wardwatch.store import Store
from wardwatch.throttle import Throttle


@dataclass
class Console:
    """The parts of one console process; kept in ``app.state.console``."""

    settings: ConsoleSettings
    store: Store
    hospitals: Hospitals
    feed: Feed = field(default_factory=Feed)
    throttle: Throttle = field(default_factory=Throttle)

    def __post_init__(self) -> None:
        self.people = People(self.store)
        self.sessions = Sessions(self.store, self.settings.session_hours)
