"""One simulated day, as fast as it goes, and the proof that nothing was lost and nothing invented."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from wardwatch import topics
from wardwatch.bus import open_bus
from wardwatch.demo.day import EXPECTED, Step, day, moment
from wardwatch.demo.hospital import Hospital
from wardwatch.demo.stand import Site, Stand
from wardwatch.errors import Unavailable
from wardwatch.settings import Settings
from wardwatch.store import AlertQuery, Scope, open_store
from wardwatch.supervisor import Supervisor

Disturb = Callable[[Supervisor], None]
"""Called again and again from the first record on; fault tests kill processes here."""

_TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class SourceCount:
    """What became of one source's records: accepted = forwarded + filtered + dead_lettered."""

    tenant: str
    source: str
    sent: int
    accepted: int
    forwarded: int
    filtered: int
    dead_lettered: int


@dataclass(frozen=True, slots=True)
class RuleCount:
    """The alerts of one rule in one hospital: ``matches`` are the counts of the alerts, in the order of ``ids``."""

    tenant: str
    rule: str
    expected: int
    ids: list[str]
    matches: list[int]


@dataclass
class Report:
    """The outcome of the day; ``problems`` is empty when everything is as it must be."""

    bus: str
    store: str
    day: str
    seconds: float = 0.0
    restarts: int = 0
    sources: list[SourceCount] = field(default_factory=list)
    alerts: list[RuleCount] = field(default_factory=list)
    archived: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the counters add up and the alerts are the expected ones."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {"ok": self.ok, **asdict(self)}


def once(
    settings: Settings,
    folder: Path,
    *,
    on_day: date,
    events: int = 1200,
    timeout_s: float = 300.0,
    progress: Callable[[str], None] = lambda _: None,
    disturb: Disturb = lambda _: None,
) -> Report:
    """Run the day and return the report; a stage that does not get ready in time is a problem in it."""
    started = time.monotonic()
    stand = Stand(settings, folder, once=True)
    report = Report(stand.settings.bus_url, stand.settings.store_url, on_day.isoformat())
    days = {site.hospital.tenant: day(site.hospital, events=events) for site in stand.sites}
    with stand.running() as supervisor:
        run = _Run(stand, supervisor, disturb, started + timeout_s)
        try:
            progress("starting the stages")
            run.until(stand.ready, "every stage is ready")
            progress("sending the day")
            run.send(days, on_day)
            progress("waiting until everything is processed")
            run.until(lambda: _processed(stand, days), "every record is received, forwarded and worked on")
            run.sending = False
            run.until(lambda: stand.ready() and _processed(stand, days), "every stage is ready at the end")
        except _NotReachedError as error:
            report.problems.append(str(error))
        report.restarts = sum(child.restarts for child in supervisor.children)
        report.sources = _count(stand, days)
    _read_store(report, stand, on_day)
    report.seconds = round(time.monotonic() - started, 1)
    report.problems += _check(report)
    return report


class _NotReachedError(Exception):
    """A stage was refused, or the time is over."""


@dataclass
class _Run:
    stand: Stand
    supervisor: Supervisor
    disturb: Disturb
    deadline: float
    sending: bool = False

    def until(self, condition: Callable[[], bool], what: str) -> None:
        while not condition():
            self._tick(what)

    def send(self, days: dict[str, list[Step]], on_day: date) -> None:
        threads = [
            threading.Thread(
                target=_send, args=(self.stand, site, days[site.hospital.tenant], on_day, source), daemon=True
            )
            for site in self.stand.sites
            for source in {step.source for step in days[site.hospital.tenant]}
        ]
        self.sending = True
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self._tick("every record is sent")

    def _tick(self, what: str) -> None:
        refused = any(child.state == "refused" for child in self.supervisor.children)
        if refused or time.monotonic() > self.deadline:
            states = ", ".join(f"{child.spec.name} {child.state}" for child in self.supervisor.children)
            raise _NotReachedError(f"not reached: {what} ({states}); see {self.stand.folder / 'stages.log'}")
        self.supervisor.tick()
        if self.sending:
            self.disturb(self.supervisor)
        time.sleep(_TICK_S)


def _send(stand: Stand, site: Site, steps: list[Step], on_day: date, source: str) -> None:
    midnight = datetime.combine(on_day, datetime.min.time(), tzinfo=site.hospital.zone)
    records = [step.make(moment(site.hospital, midnight, step.at_s)) for step in steps if step.source == source]
    sender = stand.senders(site)[source]
    for start in range(0, len(records), 50):
        sender.send(records[start : start + 50])


def _parser(source: str) -> str:
    return source.removesuffix("_udp")


def _sent(days: dict[str, list[Step]], tenant: str, *, lossy: bool) -> Counter[str]:
    return Counter(_parser(step.source) for step in days[tenant] if lossy or not step.source.endswith("_udp"))


def _collectors(stand: Stand) -> dict[str, dict[str, Any]] | None:
    """Return the parts of each tenant's collector, or None while one does not answer with its counters yet."""
    found = {site.hospital.tenant: stand.health("collector", site.instance) for site in stand.sites}
    parts = {tenant: health["parts"] for tenant, health in found.items() if health}
    return parts if len(parts) == len(found) and all("spool" in each for each in parts.values()) else None


def _processed(stand: Stand, days: dict[str, list[Step]]) -> bool:
    return _received(stand, days) and _forwarded(stand) and _consumed(stand)


def _received(stand: Stand, days: dict[str, list[Step]]) -> bool:
    collectors = _collectors(stand)
    return collectors is not None and all(
        parts["spool"]["sources"].get(source, {}).get("accepted", 0) >= number
        for tenant, parts in collectors.items()
        for source, number in _sent(days, tenant, lossy=False).items()
    )


def _forwarded(stand: Stand) -> bool:
    collectors = _collectors(stand)
    return collectors is not None and all(parts["spool"]["waiting"] == 0 for parts in collectors.values())


def _consumed(stand: Stand) -> bool:
    bus = open_bus(stand.settings.bus_url, stand.settings.bus_access)
    try:
        behind = [bus.lag(group, prefix=topics.EVENTS_PREFIX) for group in ("archiver", "matcher")]
        # matches are complete only when the matcher has caught up, so the alerter is asked after it
        behind.append(bus.lag("alerter", topics=[topics.MATCHES.name]))
        return not any(any(lag.values()) for lag in behind)
    except Unavailable:
        return False
    finally:
        bus.close()


def _count(stand: Stand, days: dict[str, list[Step]]) -> list[SourceCount]:
    counts = []
    for tenant, parts in (_collectors(stand) or {}).items():
        sent = _sent(days, tenant, lossy=True)
        for source, number in sorted(parts["spool"]["sources"].items()):
            of = ("accepted", "forwarded", "filtered", "dead_lettered")
            counts.append(SourceCount(tenant, source, sent[source], *(int(number[name]) for name in of)))
    return counts


def _read_store(report: Report, stand: Stand, on_day: date) -> None:
    store = open_store(stand.settings.store_url)
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    scope = Scope("demo", frozenset(site.hospital.tenant for site in stand.sites))
    after: str | None = None
    while True:
        page = store.alerts.search(scope, AlertQuery(), after=after, limit=200)
        for stored in page.items:
            alert = stored.doc["wardwatch"]["alert"]
            if _of_day(alert["first_seen"], on_day, stand.sites[0].hospital):
                key = stored.doc["organization"]["id"], stored.doc["rule"]["id"]
                found[key][stored.doc["event"]["id"]] = alert["count"]
        after = page.after
        if after is None:
            break
    for key in sorted({*found, *EXPECTED}):
        ids = sorted(found[key])
        report.alerts.append(RuleCount(*key, EXPECTED.get(key, 0), ids, [found[key][name] for name in ids]))
    report.archived = {site.hospital.tenant: store.events.count(site.hospital.tenant) for site in stand.sites}
    store.close()


def _of_day(moment_text: str, on_day: date, hospital: Hospital) -> bool:
    return datetime.fromisoformat(moment_text).astimezone(hospital.zone).date() == on_day


def _check(report: Report) -> list[str]:
    problems = []
    for count in report.sources:
        if count.accepted != count.forwarded + count.filtered + count.dead_lettered:
            problems.append(f"{count.tenant} {count.source}: accepted is not forwarded + filtered + dead-lettered")
    if not report.sources:
        problems.append("no collector answered with its counters")
    for alert in report.alerts:
        if len(alert.ids) != alert.expected:
            problems.append(f"{alert.tenant} {alert.rule}: {len(alert.ids)} alerts, expected {alert.expected}")
    return problems


def yesterday() -> date:
    """Return yesterday's date in the hospitals' zone: a day that is over, so that no event lies in the future."""
    return (datetime.now(UTC).astimezone(Hospital.zone) - timedelta(days=1)).date()
