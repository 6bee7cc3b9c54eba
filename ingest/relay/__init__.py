"""The relay: takes batches of records from collectors by HTTPS and writes them to the bus.

A collector gets its 200 only when the bus has acknowledged every record, so its spool is the only thing to keep. Which
hospital's topics it may write to, its certificate says, never what it sends.
"""

from __future__ import annotations

import threading

from ingest.listeners import address_of
from ingest.relay.app import RelayApp
from ingest.relay.authority import load_authority
from ingest.relay.enrolment import Enrolment
from ingest.relay.peers import server_context
from ingest.relay.server import RelayServer
from ingest.relay.writers import Writers
from wardwatch.bus import Bus, open_bus
from wardwatch.errors import Unavailable
from wardwatch.settings import Settings
from wardwatch.stage import Runtime
from wardwatch.tables import Tables
from wardwatch.topics import TABLES

_REPORT_S = 1.0
_PING_S = 10.0
_TABLES_S = 5.0


def run(settings: Settings, runtime: Runtime) -> None:
    """Serve until ``runtime.stopping``, answering what is under way; raises SettingsError."""
    tls = server_context(settings.relay)
    bus = open_bus(settings.bus_url, settings.bus_access)
    writers = Writers(bus)
    tables = Tables(bus)
    own = settings.relay
    certifying = load_authority(own.authorities, own.authority_key) if own.authorities and own.authority_key else None
    app = RelayApp(writers, Enrolment(tables, certifying, own.certificate_days), tables, runtime)
    server = RelayServer(settings.relay.listen, tls, app.answer, app.handshake_refused)
    address = address_of(server.socket)
    runtime.report(f"listener https {address}", ok=True, message=address)
    watch = threading.Thread(target=_watch, args=(bus, tables, app, runtime), name="bus", daemon=True)
    watch.start()  # apart: while the brokers are away each look takes seconds
    while not runtime.stopping.wait(_REPORT_S):
        runtime.report(f"listener https {address}", ok=True, message=address, taken=app.taken, refused=app.refused)
    server.stop()
    writers.close()
    tables.close()
    bus.close()


def _watch(bus: Bus, tables: Tables, app: RelayApp, runtime: Runtime) -> None:
    while not runtime.stopping.is_set():
        _ping(bus, runtime)
        if not app.ready.is_set():
            _begin(bus, tables, app, runtime)
        runtime.stopping.wait(_PING_S if app.ready.is_set() else _REPORT_S)


def _begin(bus: Bus, tables: Tables, app: RelayApp, runtime: Runtime) -> None:
    """Read the tables once the bus is there; until then nobody can be told from who was revoked."""
    try:
        bus.ensure_topics([TABLES])
        tables.catch_up(_TABLES_S)
    except Unavailable as error:
        runtime.report("tables", ok=False, message=str(error))
    else:
        app.ready.set()
        runtime.report("tables", ok=True)


def _ping(bus: Bus, runtime: Runtime) -> None:
    try:
        bus.ping()
    except Unavailable as error:
        runtime.report("bus", ok=False, message=str(error))
    else:
        runtime.report("bus", ok=True, message=bus.url)
