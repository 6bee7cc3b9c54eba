"""What a running collector shows of itself: its health page, read from another process on the same machine."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from wardwatch.settings import Settings
from wardwatch.stage import health_port

_TIMEOUT_S = 5.0


class SourceState(msgspec.Struct, frozen=True):
    """Counters of one source since its spool began, and when it last sent (RFC 3339; None: not since the start)."""

    accepted: int
    forwarded: int
    filtered: int
    dead_lettered: int
    last_event: str | None = None
    last_record: str | None = None

    @property
    def waiting(self) -> int:
        """Number of entries in the spool that the bus does not have: the lag."""
        return self.accepted - self.forwarded - self.filtered - self.dead_lettered

    @property
    def parsed(self) -> float | None:
        """Share, 0 to 1, of what is settled and was not filtered that became events; None where nothing is."""
        settled = self.forwarded + self.dead_lettered
        return self.forwarded / settled if settled else None


class Configuration(msgspec.Struct, frozen=True):
    """Which configuration of the provider is in force (None: the local sources), and until when it is on trial."""

    version: int | None
    trial_until: str | None
    refused: dict[str, Any] | None


class Health(msgspec.Struct, frozen=True):
    """The health page: ``parts`` by name, such as ``bus`` and ``listener tcp 0.0.0.0:5514``."""

    stage: str
    ok: bool
    started: str
    parts: dict[str, dict[str, Any]]

    def sources(self) -> dict[str, SourceState]:
        """Return the state of each source by name; {} until the collector has opened its spool."""
        return msgspec.convert(self.parts.get("spool", {}).get("sources", {}), dict[str, SourceState])

    def configuration(self) -> Configuration | None:
        """Return what became of the provider's configuration; None where nobody may configure from afar."""
        return msgspec.convert(self.parts["configuration"], Configuration) if "configuration" in self.parts else None


def address(settings: Settings, instance: int = 0) -> str:
    """Return the address of the collector's health page."""
    return f"http://{settings.health_host}:{health_port(settings, 'collector', instance)}/health"


def read_health(settings: Settings, instance: int = 0) -> Health | None:
    """Return the health of the collector that runs here; None where none answers."""
    try:
        answer = httpx.get(address(settings, instance), timeout=_TIMEOUT_S, trust_env=False)
        health = msgspec.json.decode(answer.content, type=Health)
    except (httpx.HTTPError, msgspec.MsgspecError):
        return None
    return health if health.stage == "collector" else None
