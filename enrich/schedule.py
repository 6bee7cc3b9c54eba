"""The scheduler: runs the jobs at their times, in one process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from enrich.jobs.retention import Retention
from enrich.jobs.silent_source import SilentSource
from wardwatch import service_levels, topics
from wardwatch.bus import open_bus
from wardwatch.errors import StoreUnavailable, Unavailable, WardwatchError
from wardwatch.service_levels import policy_of, zone_of
from wardwatch.settings import Settings
from wardwatch.stage import Runtime
from wardwatch.store import open_store
from wardwatch.tables import Tables
from wardwatch.worker import prepare

_RETENTION_S = 3600.0


def run(settings: Settings, runtime: Runtime) -> None:
    """Run the jobs until told to stop; one that is under way is finished."""
    own = settings.scheduler
    bus, store = open_bus(settings.bus_url, settings.bus_access), open_store(settings.store_url)
    prepare(runtime, bus=bus, need=topics.shared(), store=store)
    if not runtime.stopping.is_set():
        tables = Tables(bus)
        tables.follow()
        silent = SilentSource(
            bus,
            store,
            own.silence_s,
            now=_now,
            name=lambda tenant: _name(tables, tenant),
            policy=lambda tenant: policy_of(tables.rows(service_levels.TABLE, tenant)),
            zone=lambda tenant: zone_of(tables.get("tenants", "", tenant)),
        )
        days = own.keep_alerts_days, own.keep_events_days
        retention = Retention(bus, store, *days, now=_now, tenants=lambda: tables.rows("tenants", ""))
        _work(runtime, {"silent_source": (silent, own.check_s), "retention": (retention, _RETENTION_S)})
        silent.close()
        tables.close()
    store.close()
    bus.close()


def guarded(runtime: Runtime, job: str, work: Callable[[], None]) -> Callable[[], None]:
    """Return the job such that what fails is seen on the health page and tried again at its next time."""

    def tick() -> None:
        try:
            work()
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


def _now() -> datetime:
    return datetime.now(UTC)


def _name(tables: Tables, tenant: str) -> str:
    name = (tables.get("tenants", "", tenant) or {}).get("name")
    return str(name["en"]) if isinstance(name, dict) and name.get("en") else tenant
