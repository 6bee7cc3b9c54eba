"""The scheduler: runs the jobs at their times, in one process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from enrich.jobs.notifications import Notifications
from enrich.jobs.retention import Retention
from enrich.jobs.service_levels import ServiceLevels
from enrich.jobs.silent_source import SilentSource
from wardwatch import service_levels, topics
from wardwatch.bus import open_bus
from wardwatch.errors import PeerUnavailable, StoreUnavailable, Unavailable, WardwatchError
from wardwatch.outbound import Outbound
from wardwatch.service_levels import Policy, policy_of, zone_of
from wardwatch.settings import Settings
from wardwatch.stage import Runtime
from wardwatch.store import open_store
from wardwatch.tables import Tables
from wardwatch.worker import prepare

_RETENTION_S = 3600.0
_RETRY_S = 2.0


def run(settings: Settings, runtime: Runtime) -> None:
    """Run the jobs until told to stop; one that is under way is finished."""
    own = settings.scheduler
    bus, store = open_bus(settings.bus_url, settings.bus_access), open_store(settings.store_url)
    outbound = Outbound(settings.outbound)
    prepare(runtime, bus=bus, need=topics.shared(), store=store)
    if not runtime.stopping.is_set():
        tables = Tables(bus)
        _catch_up(runtime, tables)
        policy, zone = _policies(tables), _zones(tables)
        silent = SilentSource(
            bus,
            store,
            own.silence_s,
            now=_now,
            name=lambda tenant: _name(tables, tenant),
            policy=policy,
            zone=zone,
        )
        notifications = Notifications(bus, store, tables, outbound, _now)
        levels = ServiceLevels(
            store,
            notifications.deliveries.plan,
            now=_now,
            policy=policy,
            zone=zone,
            tenants=lambda: iter(tables.rows("tenants", "")),
        )
        days = own.keep_alerts_days, own.keep_events_days, own.keep_deliveries_days
        retention = Retention(bus, store, *days, now=_now, tenants=lambda: tables.rows("tenants", ""))
        jobs: dict[str, tuple[Callable[[], None], float]] = {
            "silent_source": (silent, own.check_s),
            "retention": (retention, _RETENTION_S),
            "service_levels": (levels, own.levels_s),
            "notifications": (notifications, own.notify_s),
        }
        _work(runtime, jobs)
        notifications.close()
        silent.close()
        tables.close()
    store.close()
    bus.close()


def guarded(runtime: Runtime, job: str, work: Callable[[], None]) -> Callable[[], None]:
    """Return the job such that what fails is seen on the health page and tried again at its next time."""

    def tick() -> None:
        try:
            work()
        except PeerUnavailable as error:
            runtime.report(job, ok=False, message=str(error))
        except Unavailable as error:
            runtime.report("store" if isinstance(error, StoreUnavailable) else "bus", ok=False, message=str(error))
        except WardwatchError as error:
            runtime.report(job, ok=False, message=str(error))
        else:
            for part in ("bus", "store", job):
                runtime.report(part, ok=True)

    return tick


def _work(runtime: Runtime, jobs: dict[str, tuple[Callable[[], None], float]]) -> None:
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(len(jobs))},
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    for name, (work, seconds) in jobs.items():
        tick = guarded(runtime, name, work)
        scheduler.add_job(tick, "interval", seconds=seconds, id=name, next_run_time=_now())
    scheduler.start()
    runtime.stopping.wait()
    scheduler.shutdown(wait=True)


def _catch_up(runtime: Runtime, tables: Tables) -> None:
    """Read the tables before the first job runs: without its rows a notice would go nowhere."""
    while not runtime.stopping.is_set():
        try:
            tables.catch_up()
            return
        except Unavailable as error:
            runtime.report("bus", ok=False, message=str(error))
            runtime.stopping.wait(_RETRY_S)


def _policies(tables: Tables) -> Callable[[str], Policy]:
    return lambda tenant: policy_of(tables.rows(service_levels.TABLE, tenant))


def _zones(tables: Tables) -> Callable[[str], ZoneInfo]:
    return lambda tenant: zone_of(tables.get("tenants", "", tenant))


def _now() -> datetime:
    return datetime.now(UTC)


def _name(tables: Tables, tenant: str) -> str:
    name = (tables.get("tenants", "", tenant) or {}).get("name")
    return str(name["en"]) if isinstance(name, dict) and name.get("en") else tenant
