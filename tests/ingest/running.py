"""A collector on loopback ports, and its embedded bus to read what came out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from ingest import parsers
from ingest.collector import local_socket, open_intake, open_listeners, own_folder, reveals
from ingest.forwarder import Forwarder
from ingest.intake import Intake, source_of
from ingest.listeners import Listener
from wardwatch import topics
from wardwatch.bus import Record, open_bus
from wardwatch.settings import CollectorSettings, Settings, SourceSettings
from wardwatch.stage import Runtime

LINUX = b"<86>1 2026-03-01T02:11:%02dZ his-db-1 sshd 931 - - Failed password for root from 10.3.1.%d port 4022 ssh2"
HL7 = (
    b"MSH|^~\\&|HIS|RENAI|LIS|LAB|20260301021109||ADT^A08|%d|P|2.5\rEVN|A08|20260301021109\r"
    b"PID|1||9988||Zhang^San\rPV1|1|I|ICU\r"
)


def linux(number: int) -> bytes:
    """Return a record that differs from those of other numbers."""
    return LINUX % (number % 60, number % 250)


def settings_of(folder: Path, *sources: SourceSettings, spool_bytes: int = 2**24) -> Settings:
    collector = CollectorSettings(tenant="renai", sources=sources, spool_bytes=spool_bytes, heartbeat_s=0.2)
    return Settings(data_dir=folder, collector=collector, health_port=0)


@dataclass
class Running:
    """A started site: its listeners in the order of its sources, and its intake."""

    settings: Settings
    intake: Intake
    listeners: list[Listener]
    runtime: Runtime

    def port(self, number: int = 0) -> int:
        return int(self.listeners[number].address.rpartition(":")[2])

    def counts(self, source: str) -> tuple[int, int, int, int]:
        counts = self.intake.spool.counters().get(source, {})
        kinds = ("accepted", "forwarded", "filtered", "dead_lettered")
        accepted, forwarded, filtered, dead = (counts.get(kind, 0) for kind in kinds)
        return accepted, forwarded, filtered, dead

    def settled(self) -> bool:
        return self.intake.spool.waiting == 0


@contextmanager
def running(
    folder: Path, *sources: SourceSettings, forward: bool = True, spool_bytes: int = 2**24
) -> Iterator[Running]:
    settings = settings_of(folder, *sources, spool_bytes=spool_bytes)
    runtime = Runtime("collector")
    with own_folder(settings) as own, open_intake(settings, own) as intake:
        found = [source_of(source, settings.collector, parsers.parser) for source in sources]
        listeners = open_listeners(found, intake, own) + open_listeners([reveals(settings, own)], intake, own)
        listeners.append(local_socket(settings, own, intake, found))
        for listener in listeners:
            listener.start()
        bus = open_bus(settings.bus_url)
        forwarder = Forwarder("renai", intake.spool, bus, runtime)
        if forward:
            forwarder.start()
        try:
            yield Running(settings, intake, listeners, runtime)
        finally:
            for listener in listeners:
                listener.stop()
            runtime.stopping.set()
            if forward:
                forwarder.finish()
            bus.close()
    assert not [t for t in threading.enumerate() if t.name.startswith(("listener", "local"))]


def on_bus(settings: Settings, topic: str) -> list[Record]:
    """Return every record of a topic."""
    bus = open_bus(settings.bus_url)
    count = sum(bus.end_offsets(topic).values()) if topic in bus.topics() else 0
    found: list[Record] = []
    if count:
        with bus.reader([topic]) as reader:
            while len(found) < count:
                found += reader.poll()
    bus.close()
    return found


def events(settings: Settings) -> list[dict[str, Any]]:
    return [orjson.loads(record.value or b"") for record in on_bus(settings, topics.events("renai").name)]


def dead_letters(settings: Settings) -> list[dict[str, Any]]:
    return [orjson.loads(record.value or b"") for record in on_bus(settings, topics.deadletter("renai").name)]


def generation(port: int) -> Callable[[], str | None]:
    """Return what asks the collector's health page when its process started."""

    def ask() -> str | None:
        try:
            health = httpx.get(f"http://127.0.0.1:{port}/health", timeout=5, trust_env=False).json()
        except httpx.HTTPError:
            return None
        return str(health["started"])

    return ask


@contextmanager
def process(folder: Path, health_port: int, *sources: SourceSettings) -> Iterator[subprocess.Popen[bytes]]:
    """Run a collector as a process of its own, and kill it in the end."""
    found = [source.model_dump(mode="json") | {"token": source.token.get_secret_value()} for source in sources]
    environment = os.environ | {
        "WARDWATCH_DATA_DIR": str(folder),
        "WARDWATCH_HEALTH_PORT": str(health_port),
        "WARDWATCH_COLLECTOR__TENANT": "renai",
        "WARDWATCH_COLLECTOR__SOURCES": orjson.dumps(found).decode(),
    }
    child = subprocess.Popen([sys.executable, "-m", "wardwatch", "run", "collector", "--supervised"], env=environment)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
