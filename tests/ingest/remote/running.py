"""A collector in a process of its own that a provider may configure, on an embedded bus."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from ingest.remote import signed
from ingest.remote.signed import Row
from tests.ingest.relay.running import LINUX, Stage
from tests.ingest.running import on_bus
from wardwatch import topics
from wardwatch.bus import open_bus
from wardwatch.settings import Settings
from wardwatch.tables import Tables
from wardwatch.testing.ports import free_port, wait_until
from wardwatch.topics import TABLES


def http(port: int, **more: str) -> dict[str, str]:
    return {"parser": "linux", "transport": "http", "listen": f"127.0.0.1:{port}", "path": "/l", **more}


def tcp(port: int, **more: str) -> dict[str, str]:
    return {"parser": "linux", "transport": "tcp", "listen": f"127.0.0.1:{port}", **more}


def toml(*sources: dict[str, str], more: str = "") -> str:
    tables = ["\n".join(f"{name} = {json.dumps(value)}" for name, value in source.items()) for source in sources]
    return more + "".join(f"[[collector.sources]]\n{table}\n" for table in tables)


@dataclass
class Site:
    """Hospital and provider: ``listen`` is the port of the one local source, whose token only the hospital knows."""

    folder: Path
    trial_s: float = 300
    listen: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.key_file = self.folder / "signing.key"
        self.public = signed.make_key(self.key_file)
        self.key = signed.private_key(self.key_file)
        self.environment = {
            "WARDWATCH_DATA_DIR": str(self.folder / "data"),
            "WARDWATCH_COLLECTOR__TENANT": "renai",
            "WARDWATCH_COLLECTOR__HEARTBEAT_S": "0.2",
            "WARDWATCH_COLLECTOR__SOURCES": json.dumps([http(self.listen, token="t")]),
            "WARDWATCH_COLLECTOR__CONFIGURED_BY": str(self.public),
            "WARDWATCH_COLLECTOR__REMOTE_PATHS": json.dumps([str(self.folder / "logs")]),
            "WARDWATCH_COLLECTOR__TRIAL_S": str(self.trial_s),
        }
        self.stage = Stage("collector", self.environment, free_port(), self.folder / "collector.log")
        self.settings = Settings(data_dir=self.folder / "data")

    def publish(self, version: int, text: str, tenant: str = "renai", changes: Mapping[str, Any] = {}) -> None:
        """Write a row that is signed for a tenant; ``changes`` are made to it afterwards."""
        row = signed.signed(self.key, tenant, version, text)
        self.put(msgspec.structs.replace(row, **changes))

    def put(self, row: Row | dict[str, Any]) -> None:
        bus = open_bus(self.settings.bus_url)
        bus.ensure_topics([TABLES])
        tables = Tables(bus)
        tables.put(signed.TABLE, "renai", signed.KEY, msgspec.to_builtins(row))
        tables.close()
        bus.close()

    def told(self) -> dict[str, Any]:
        return self.stage.parts().get("configuration", {})

    def refusal(self) -> str:
        return str((self.told().get("refused") or {}).get("reason", ""))

    def in_force(self, version: int | None, *, trial: bool = False) -> None:
        """Wait until a version is in force."""

        def reached() -> bool:
            told = self.told()
            return bool(told) and told["version"] == version and (told["trial_until"] is not None) == trial

        wait_until(reached, what=f"version {version}, {self.folder / 'collector.log'}")

    def post(self, *lines: str) -> int:
        """Send lines to the local source; return the status."""
        address, headers = f"http://127.0.0.1:{self.listen}/l", {"Authorization": "Bearer t"}
        return httpx.post(address, content="\n".join(lines), headers=headers, trust_env=False).status_code

    def works(self) -> bool:
        """Whether the local source takes a record."""
        return self.post(LINUX % (1, 1)) == 200

    def event_ids(self) -> list[str]:
        records = on_bus(self.settings, topics.events("renai").name)
        return [json.loads(record.value or b"")["event.id"] for record in records]

    def heartbeats(self) -> list[dict[str, Any]]:
        records = on_bus(self.settings, topics.heartbeats("renai").name)
        return [json.loads(record.value or b"") for record in records]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
