"""A stage: one process with a health page, metrics and a way to be told to stop.

``STAGES`` is the registry: the name is the word used for the process, its consumer group, its metrics and its log.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pkgutil import resolve_name
from typing import Any

import prometheus_client
import structlog

from wardwatch import logs
from wardwatch.errors import SettingsError
from wardwatch.event import rfc3339
from wardwatch.settings import Settings

log = structlog.get_logger()

STAGES = {
    "collector": "ingest.collector:run",
    "matcher": "detections.matcher:run",
    "alerter": "detections.alerter:run",
    "archiver": "wardwatch.archiver:run",
    "scheduler": "enrich.schedule:run",
    "console": "dashboards.app:run",
    "relay": "ingest.relay:run",
}
"""Stage name → ``run(settings, runtime)``, which returns after ``runtime.stopping`` is set and work is drained."""

ONE_MACHINE = ("matcher", "alerter", "archiver", "scheduler", "console")
"""What a provider runs in any case: collectors are at the hospitals, and a relay needs certificates."""

EVENTS = prometheus_client.Counter(
    "wardwatch_events", "Events by what became of them", ["stage", "tenant", "source", "outcome"]
)
"""``outcome``: accepted, forwarded, filtered, dead_lettered (collector); processed, dead_lettered (the others)."""


@dataclass
class Runtime:
    """What a stage shares with its process: the stop signal and the state that ``/health`` shows."""

    stage: str
    instance: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def report(self, part: str, *, ok: bool, message: str = "", **details: Any) -> None:
        """Set the state of one part (``bus``, ``store``, ``listener mllp 0.0.0.0:2575``), logging each change."""
        with self._lock:
            before = self._parts.get(part)
            since = before["since"] if before and before["ok"] == ok else rfc3339(datetime.now(UTC))
            self._parts[part] = {"ok": ok, "message": message, "since": since, **details}
        if before is None or before["ok"] != ok:
            log.log(20 if ok else 40, "part_ok" if ok else "part_failed", part=part, message=message)

    def forget(self, part: str) -> None:
        """Show a part no more: it is there no longer."""
        with self._lock:
            self._parts.pop(part, None)

    def health(self) -> dict[str, Any]:
        """Return the state of the process: ``ok`` is true when every part is."""
        with self._lock:
            parts = {name: dict(part) for name, part in sorted(self._parts.items())}
        return {
            "stage": self.stage,
            "instance": self.instance,
            "ok": all(part["ok"] for part in parts.values()),
            "started": rfc3339(self.started),
            "parts": parts,
        }


Run = Callable[[Settings, Runtime], None]


def health_port(settings: Settings, stage: str, instance: int) -> int:
    """Return the stage's port: the first plus its place in STAGES, ten further on for each further instance."""
    return settings.health_port and settings.health_port + list(STAGES).index(stage) + 10 * instance


DRAIN_S = 9.5
_OBJECTS = 50_000  # made between two looks for cycles: rules and events have few, and looking costs a fifth of a load


def main(settings: Settings, stage: str, instance: int = 0, *, parent: int | None = None) -> None:
    """Run one stage in this process until SIGTERM or SIGINT, or until its ``parent`` process is gone.

    A stage that has not drained after DRAIN_S seconds is ended: what it had not committed is delivered again. Raises
    SettingsError for an unknown stage.
    """
    if stage not in STAGES:
        raise SettingsError(f"{stage!r} is no stage", step="run", remedy=f"one of {', '.join(STAGES)}")
    logs.configure(settings.log_level, stage=stage, instance=str(instance))
    gc.set_threshold(_OBJECTS, 20, 20)
    runtime = Runtime(stage, instance)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runtime.stopping.set())
    threading.Thread(target=_watch, args=(runtime, parent), name="watch", daemon=True).start()
    run: Run = resolve_name(STAGES[stage])
    server = serve_health(settings, runtime)
    log.info("stage_started", health=f"http://{settings.health_host}:{server.server_port}/health")
    try:
        run(settings, runtime)
    finally:
        server.shutdown()
        server.server_close()
        log.info("stage_stopped")


def _watch(runtime: Runtime, parent: int | None) -> None:
    while not runtime.stopping.wait(1.0):
        if parent is not None and os.getppid() != parent:
            log.error("supervisor_gone")
            runtime.stopping.set()
    time.sleep(DRAIN_S)
    log.error("not_drained", after_s=DRAIN_S)
    os._exit(1)


def serve_health(settings: Settings, runtime: Runtime) -> ThreadingHTTPServer:
    """Serve ``/health`` (JSON; 200, or 503 when a part fails) and ``/metrics`` (Prometheus text) in a thread."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4", prometheus_client.generate_latest())
            elif self.path == "/health":
                health = runtime.health()
                self._answer(200 if health["ok"] else 503, "application/json", json.dumps(health).encode())
            else:
                self._answer(404, "text/plain", b"/health or /metrics\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet: the stage's own log says what matters."""

    address = (settings.health_host, health_port(settings, runtime.stage, runtime.instance))
    try:
        server = ThreadingHTTPServer(address, Handler)
    except OSError as error:
        raise SettingsError(
            f"health port {address[0]}:{address[1]} can't be opened: {error.strerror}",
            step=runtime.stage,
            remedy="set WARDWATCH_HEALTH_PORT",
        ) from None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
