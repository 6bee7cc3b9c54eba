"""The console's process: pages and API over the store, served by uvicorn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from dashboards import failures
from dashboards.api import alerts, context, live, tokens
from dashboards.api import bulk as bulk_api
from dashboards.api import cases as cases_api
from dashboards.api import figures as figures_api
from dashboards.api import people as people_api
from dashboards.api import reports as reports_api
from dashboards.api import reviews as reviews_api
from dashboards.api import service as service_api
from dashboards.api import suppressions as suppressions_api
from dashboards.api import views as views_api
from dashboards.api.description import describe
from dashboards.console import Console
from dashboards.feed import follow
from dashboards.pages import (
    account,
    alert,
    audit,
    bulk,
    cases,
    figures,
    people,
    queue,
    reports,
    reviews,
    service,
    sign_in,
    suppressions,
    views,
)
from dashboards.pages.render import FOLDER
from wardwatch import __version__
from wardwatch.bus import open_bus
from wardwatch.errors import SettingsError, Unavailable
from wardwatch.headers import SecurityHeaders
from wardwatch.settings import Settings
from wardwatch.stage import Runtime
from wardwatch.store import open_store
from wardwatch.tables import Tables

_CHECK_S = 2.0
_GRACE_S = 3


def create(console: Console) -> FastAPI:
    """Return the application over the parts of one process."""
    app = FastAPI(
        title="wardwatch",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.console = console
    app.add_middleware(SecurityHeaders)
    failures.install(app)
    pages = (
        sign_in,
        queue,
        alert,
        bulk,
        cases,
        suppressions,
        figures,
        reports,
        reviews,
        views,
        account,
        people,
        audit,
        service,
    )
    for page in pages:
        app.include_router(page.router, include_in_schema=False)
    for part in (
        alerts.router,
        context.router,
        suppressions_api.router,
        service_api.router,
        bulk_api.router,
        cases_api.router,
        figures_api.router,
        reports_api.router,
        reviews_api.router,
        live.router,
        tokens.router,
        people_api.router,
        views_api.router,
        audit.download,
    ):
        app.include_router(part, prefix="/api/v1")
    describe(app)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    return app


def run(settings: Settings, runtime: Runtime) -> None:
    """Serve until the stage is stopping; raises SettingsError when the address can't be listened on."""
    bus, store = open_bus(settings.bus_url, settings.bus_access), open_store(settings.store_url)
    tables = Tables(bus)
    console = Console(settings.console, store, tables)
    server = server_of(create(console), settings.console.listen)
    threads = [
        threading.Thread(target=server.run, name="http"),
        threading.Thread(target=follow, args=(bus, console.feed, runtime), name="feed"),
    ]
    tables.follow()
    for thread in threads:
        thread.start()
    _watch(console, server, threads[0], runtime)
    console.feed.close()
    server.should_exit = True
    runtime.stopping.set()
    for thread in threads:
        thread.join()
    console.close()
    tables.close()
    store.close()
    bus.close()


def _watch(console: Console, server: uvicorn.Server, http: threading.Thread, runtime: Runtime) -> None:
    """Report store and listener until the stage stops or the listener is gone."""
    store = console.store
    prepare: Callable[[], None] = store.setup
    while not runtime.stopping.wait(0.1 if not server.started else _CHECK_S):
        if not http.is_alive():
            raise SettingsError("the console's address can't be listened on", step="console")
        try:
            prepare()
            prepare = store.ping
            console.jobs.adopt()
        except Unavailable as error:
            runtime.report("store", ok=False, message=str(error))
        else:
            runtime.report("store", ok=True, message=store.url)
        runtime.report("listener", ok=server.started)


def server_of(app: FastAPI, listen: str) -> uvicorn.Server:
    """Return the server of an application; raises SettingsError unless ``listen`` is host:port."""
    address = urlsplit(f"//{listen}")
    if not address.hostname or address.port is None:
        raise SettingsError(f"console.listen = {listen!r} is not host:port", step="console")
    config = uvicorn.Config(
        app,
        host=address.hostname,
        port=address.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=65_536,
    )
    return uvicorn.Server(config)
