"""A relay and a collector as processes, and the certificates by which they know each other."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
from kafka import KafkaAdminClient
from pydantic import SecretStr

from wardwatch import topics
from wardwatch.bus import Record, open_bus
from wardwatch.bus.relay import Relay
from wardwatch.settings import BusAccessSettings
from wardwatch.stage import STAGES
from wardwatch.testing.certificates import Authority, Pair
from wardwatch.testing.ports import free_block, free_port, wait_until

LINUX = "<86>1 2026-03-01T02:11:%02dZ his-db-1 sshd %d - - Failed password for root from 10.3.1.7 port 4022 ssh2"


@dataclass
class Stage:
    """One stage in a process of its own; ``kill`` is -9, ``start`` starts it again on the same ports and files."""

    name: str
    environment: Mapping[str, str]
    health_port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        own = {"WARDWATCH_HEALTH_PORT": str(self.health_port - list(STAGES).index(self.name))}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wardwatch", "run", self.name, "--supervised"],
                env=os.environ | own | dict(self.environment),
                stdout=log,
                stderr=log,
            )
        wait_until(self.parts, what=f"{self.name}: {self.log}", timeout_s=60)

    def ready(self) -> bool:
        """Whether a relay has read its tables."""
        return bool(self.parts().get("tables", {}).get("ok"))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def end(self) -> int:
        assert self.process
        self.process.terminate()
        return self.process.wait()

    def parts(self) -> dict[str, dict[str, Any]]:
        with suppress(httpx.HTTPError):
            answer = httpx.get(f"http://127.0.0.1:{self.health_port}/health", timeout=5, trust_env=False)
            return dict(answer.json()["parts"])
        return {}

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.health_port}/metrics", timeout=5, trust_env=False).text


@dataclass
class Sender:
    """Sends batches of lines to a collector and counts what was acknowledged; what was not it sends again."""

    listen: int
    number: int = 0
    acknowledged: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.listen}", trust_env=False, timeout=10) as client:
            while not self.stopping.is_set():
                self._send(client, 20)

    def batch(self, count: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.listen}", trust_env=False, timeout=10) as client:
            self._send(client, count)

    def _send(self, client: httpx.Client, count: int) -> None:
        lines = [LINUX % (number % 60, number) for number in range(self.number, self.number + count)]

        def done() -> bool:
            with suppress(httpx.HTTPError):
                content, headers = "\n".join(lines), {"Authorization": "Bearer t"}
                return client.post("/l", content=content, headers=headers).status_code == 200
            return False

        # also while stopping: it may have been taken without our knowing
        wait_until(done, what="acknowledgement", timeout_s=120)
        self.number += count
        self.acknowledged += count

    @contextmanager
    def sending(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            thread.join()


def drained(collector: Stage, sent: int) -> bool:
    """Whether the collector has taken so many lines and none waits any more."""
    spool = collector.parts().get("spool", {"waiting": -1, "sources": {}})
    accepted = sum(source["accepted"] for source in spool["sources"].values())
    return bool(spool["waiting"] == 0 and accepted >= sent)


@dataclass
class Provider:
    """A provider's relay on a bus, and its authority."""

    folder: Path
    bus: str
    port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=lambda: free_block(10) + 9)
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.authority = Authority(self.folder / "collectors", "collectors")
        self.own = Authority(self.folder / "provider", "provider")
        self.url = f"https://127.0.0.1:{self.port}"

    def relay(self) -> Stage:
        pair = self.own.issue("relay")
        environment = {
            "WARDWATCH_BUS": self.bus,
            "WARDWATCH_DATA_DIR": str(self.folder / "data"),
            "WARDWATCH_RELAY__LISTEN": f"127.0.0.1:{self.port}",
            "WARDWATCH_RELAY__CERTIFICATE": str(pair.certificate),
            "WARDWATCH_RELAY__KEY": str(pair.key),
            "WARDWATCH_RELAY__AUTHORITIES": str(self.authority.path),
        }
        return Stage("relay", environment | self.more, self.health_port, self.folder / "relay.log")

    def access(self, pair: Pair | None, proxy: str = "") -> BusAccessSettings:
        files = {"certificate": pair.certificate, "key": pair.key} if pair else {}
        return BusAccessSettings(authorities=self.own.path, proxy=SecretStr(proxy), **files)

    def outlet(self, tenant: str) -> Relay:
        return Relay(self.url, self.access(self.authority.issue(tenant)))

    def client(self, tenant: str) -> httpx.Client:
        """Give a client that is not ours, with a tenant's certificate."""
        pair = self.authority.issue(tenant)
        context = ssl.create_default_context(cafile=str(self.own.path))
        context.load_cert_chain(pair.certificate, pair.key)
        return httpx.Client(base_url=self.url, verify=context, trust_env=False, timeout=30)

    def collector(self, tenant: str, listen: int, *, proxy: str = "") -> Stage:
        """Give a hospital's collector, with one source of syslog lines by HTTP."""
        pair, folder = self.authority.issue(tenant), self.folder / tenant
        folder.mkdir(exist_ok=True)
        access = {"authorities": str(self.own.path), "certificate": str(pair.certificate), "key": str(pair.key)}
        source = {"parser": "linux", "transport": "http", "listen": f"127.0.0.1:{listen}", "path": "/l", "token": "t"}
        environment = {
            "WARDWATCH_BUS": self.url,
            "WARDWATCH_BUS_ACCESS": json.dumps(access | {"proxy": proxy}),
            "WARDWATCH_DATA_DIR": str(folder),
            "WARDWATCH_COLLECTOR__TENANT": tenant,
            "WARDWATCH_COLLECTOR__HEARTBEAT_S": "0.5",
            "WARDWATCH_COLLECTOR__SOURCES": json.dumps([source]),
        }
        return Stage("collector", environment, free_port(), folder / "collector.log")

    def records(self, topic: str) -> list[Record]:
        """Return every record that a topic has now."""
        bus = open_bus(self.bus)
        count = sum(bus.end_offsets(topic).values()) if topic in bus.topics() else 0
        found: list[Record] = []
        with bus.reader([topic]) as reader:
            while len(found) < count:
                found += reader.poll()
        bus.close()
        return found

    def event_ids(self, tenant: str) -> list[str]:
        return [json.loads(record.value or b"")["event.id"] for record in self.records(topics.events(tenant).name)]


def limit_records(bus: str, topic: str, size: int) -> None:
    """Create a topic that takes only small records."""
    admin = KafkaAdminClient(bootstrap_servers=bus.removeprefix("kafka://"))
    options = {"num_partitions": 1, "configs": {"max.message.bytes": str(size)}}
    admin.create_topics({topic: options}, wait_for_metadata=True)
    admin.close()
