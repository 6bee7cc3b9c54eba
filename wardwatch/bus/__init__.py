"""The bus: ordered, partitioned, durable topics with consumer groups; and the outlet, the half a collector needs.

Two adapters pass the same contract tests (tests/wardwatch/bus/test_contract.py): ``sqlite`` for one machine and
``kafka`` for production. No stage knows which it has. A collector's outlet may also be a provider's ``relay``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol, Self
from urllib.parse import urlsplit

import msgspec

from wardwatch.errors import RecordError, RecordTooLarge, SettingsError
from wardwatch.settings import BusAccessSettings
from wardwatch.topics import Topic

Partition = tuple[str, int]
"""A topic's name and the number of one of its partitions."""

NO_ACCESS = BusAccessSettings()
MAX_RECORD_BYTES = 1_000_000
FLUSH_S = 12.0
"""How long ``flush`` waits unless told: a broker that answers again after nine seconds costs no record a second try."""


class Record(msgspec.Struct, frozen=True):
    """One record as read: ``value`` None is a tombstone; ``timestamp_ms`` is when the bus took it (Unix time)."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes | None
    headers: dict[str, str] = {}  # each record has its own
    timestamp_ms: int = 0

    @property
    def position(self) -> str:
        """Where the record lies, for people: ``topic/partition@offset``."""
        return f"{self.topic}/{self.partition}@{self.offset}"


def check_size(topic: str, value: bytes | None, key: str | None, headers: Mapping[str, str]) -> int:
    """Return the bytes of one record; raises RecordTooLarge above MAX_RECORD_BYTES, RecordError for lone surrogates."""
    try:
        texts = sum(len(name.encode()) + len(text.encode()) for name, text in ((key or "", ""), *headers.items()))
    except UnicodeEncodeError:
        raise RecordError("key or header is not Unicode text", step="send", record=topic) from None
    size = len(value or b"") + texts
    if size > MAX_RECORD_BYTES:
        raise RecordTooLarge(f"{size} bytes, at most {MAX_RECORD_BYTES} are carried", step="send", record=topic)
    return size


class Producer(Protocol):
    """Writes records; keeps at most a bounded number of bytes in flight. One thread at a time."""

    def send(
        self, topic: str, value: bytes | None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Hand one record over; records of one key keep their order.

        Blocks for some seconds while the bytes in flight are at their limit. Raises RecordTooLarge (above
        MAX_RECORD_BYTES) and BusUnavailable.
        """

    def flush(self, timeout_s: float = FLUSH_S) -> None:
        """Return when every record sent is durable.

        Raises BusUnavailable when one was not acknowledged in time: the caller sends all since the last successful
        flush again, and readers drop the doubles by ``event.id``.
        """

    def close(self) -> None:
        """Release the connection; records not flushed may be lost."""


class Consumer(Protocol):
    """Reads the partitions that its group assigns to it. One thread at a time."""

    def poll(self, *, max_records: int = 500, timeout_s: float = 1.0) -> list[Record]:
        """Return the next records, per partition in order; [] when none came in time.

        Raises BusUnavailable, also when the bus has gone meanwhile; the next ``poll`` after it is back goes on.
        """

    def commit(self, before: Mapping[Partition, int] = {}) -> None:
        """Mark everything returned by ``poll`` so far as processed, of the partitions in ``before`` only up to there.

        ``before`` has offsets of records that are not processed yet; a later commit may pass them. Raises
        BusUnavailable; when the group has meanwhile given a partition away its records are delivered again elsewhere,
        which is not an error.
        """

    def rewind(self) -> None:
        """Go back to the last commit: the next ``poll`` returns the records since then again."""

    def assignment(self) -> set[Partition]:
        """Return the partitions held now."""

    def close(self) -> None:
        """Leave the group without committing."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


class Outlet(Protocol):
    """What a collector needs of a bus: that its topics are there, and to write. ``url`` has no secrets."""

    url: str

    def ensure_topics(self, topics: Iterable[Topic]) -> None:
        """Create the topics that are missing; existing ones stay as they are.

        Raises BusUnavailable, and BusRefused where they are missing and not ours to create.
        """

    def producer(self) -> Producer:
        """Return a new producer."""

    def may_write(self, topic: str) -> bool | None:
        """Tell whether this account may write to a topic, None where there is none that it may see.

        Raises BusUnavailable.
        """

    def ping(self) -> None:
        """Return when the bus answers; raises BusUnavailable."""

    def close(self) -> None:
        """Release the connection."""


class Bus(Outlet, Protocol):
    """A connection to the topics."""

    def topics(self) -> dict[str, int]:
        """Return the existing topics and their number of partitions."""

    def consumer(
        self,
        group: str,
        *,
        topics: Sequence[str] = (),
        prefix: str = "",
        on_assign: Callable[[set[Partition]], None] | None = None,
    ) -> Consumer:
        """Join ``group`` for the named topics or for every topic whose name starts with ``prefix``.

        Topics that appear later under the prefix are picked up within seconds. A new group starts at the earliest
        record. ``on_assign`` is called in ``poll`` with the whole new assignment whenever it changes.
        """

    def reader(
        self, topics: Sequence[str] = (), *, prefix: str = "", start: Literal["earliest", "latest"] = "earliest"
    ) -> Consumer:
        """Return a consumer of all partitions without a group: nothing is shared, ``commit`` does nothing."""

    def history(self, partition: Partition, since_ms: int, before: int) -> Iterator[Record]:
        """Yield the records that a partition still has from a moment (Unix time) up to, not including, an offset.

        Raises BusUnavailable.
        """

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return for each partition the offset that the next record will have."""

    def lag(self, group: str, *, topics: Sequence[str] = (), prefix: str = "") -> dict[Partition, int]:
        """Return for each partition how many records the group has not committed."""


def open_bus(url: str, access: BusAccessSettings = NO_ACCESS) -> Bus:
    """Open ``sqlite:///path/to/bus.sqlite``, ``kafka://host:port[,host:port]`` or, with TLS, ``kafkas://…``.

    Raises SettingsError.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        from wardwatch.bus.sqlite import SqliteBus

        return SqliteBus(url)
    if scheme in ("kafka", "kafkas"):
        from wardwatch.bus.kafka import KafkaBus

        return KafkaBus(url, access)
    if scheme == "https":
        raise SettingsError("a relay takes records and gives none", step="settings", remedy="run this at the provider")
    raise SettingsError(
        f"{scheme or url!r} is no bus", step="settings", remedy="WARDWATCH_BUS=sqlite:///… or kafkas://host:port"
    )


def open_outlet(url: str, access: BusAccessSettings = NO_ACCESS) -> Outlet:
    """Open a bus, or ``https://host:port`` of a provider's relay, to write only; raises SettingsError."""
    if urlsplit(url).scheme == "https":
        from wardwatch.bus.relay import Relay

        return Relay(url, access)
    return open_bus(url, access)
