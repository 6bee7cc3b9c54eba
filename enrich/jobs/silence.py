"""Silence told from heartbeats: a pure fold, so that a replay of the topic tells the same silences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from wardwatch.bus import Record
from wardwatch.errors import DecodeError
from wardwatch.event import decode

COLLECTOR = "collector"
_SourceName = Annotated[str, Field(max_length=200)]


class SourceState(BaseModel):
    """What a heartbeat says of one source."""

    last_record: AwareDatetime | None = None


class Heartbeat(BaseModel):
    """One heartbeat of a collector; times are by its own clock."""

    instance: int = 0
    at: AwareDatetime
    started: AwareDatetime
    sources: Annotated[dict[_SourceName, SourceState], Field(max_length=500)]


@dataclass(frozen=True, slots=True)
class Silence:
    """A source (or ``collector 0``) from whom nothing came since a moment; ``recovered`` is None while it lasts."""

    tenant: str
    source: str
    since: datetime
    recovered: datetime | None = None


@dataclass
class Watch:
    """When each collector and each of its sources was last heard of, and which are silent now."""

    silence: timedelta
    _heard: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _silent: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def beat(self, tenant: str, beat: Heartbeat, taken: datetime) -> Iterator[Silence]:
        """Take one heartbeat, which the bus took at ``taken``; yield the silences that it begins or ends."""
        collector = tenant, f"{COLLECTOR} {beat.instance}"
        yield from self._judge(collector, self._heard.get(collector, taken), taken)
        self._heard[collector] = taken
        yield from self._judge(collector, taken, taken)
        for name, state in beat.sources.items():
            # both times are by the collector's clock, so that a wrong one does no harm
            # a collector that started anew has no record yet: that alone neither begins nor ends a silence
            last = state.last_record or self._silent.get((tenant, name)) or beat.started
            yield from self._judge((tenant, name), last, beat.at)

    def absent(self, now: datetime) -> Iterator[Silence]:
        """Yield the collectors without heartbeat; to be called when every heartbeat up to ``now`` was taken."""
        for collector, heard in self._heard.items():
            yield from self._judge(collector, heard, now)

    def _judge(self, key: tuple[str, str], since: datetime, now: datetime) -> Iterator[Silence]:
        began = self._silent.get(key)
        if now - since > self.silence and began is None:
            self._silent[key] = since
            yield Silence(*key, since)
        elif now - since <= self.silence and began is not None:
            del self._silent[key]
            yield Silence(*key, began, now)


def read(record: Record) -> tuple[Heartbeat, datetime]:
    """Return the heartbeat in a record and when the bus took it; raises DecodeError."""
    try:
        beat = Heartbeat.model_validate(decode(record.value or b""))
    except ValidationError as error:
        first = error.errors()[0]
        raise DecodeError(f"{first['loc']}: {first['msg']}"[:300], step="heartbeat", record=record.position) from None
    return beat, datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
