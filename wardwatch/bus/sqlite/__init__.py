"""The embedded bus: topics in one SQLite file that several processes of one machine share."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from wardwatch.bus import Partition, Record
from wardwatch.bus.sqlite.consumer import SqliteConsumer
from wardwatch.bus.sqlite.file import BusFile, Subscription, first_offset, lanes, transaction
from wardwatch.bus.sqlite.producer import SqliteProducer
from wardwatch.bus.sqlite.reader import SqliteReader, rows
from wardwatch.errors import SettingsError
from wardwatch.topics import Topic

_PART = 1000
_PART_BYTES = 16 * 2**20


class SqliteBus:
    """``sqlite:///relative`` or ``sqlite:////absolute``; opens the file at first use. Raises SettingsError."""

    def __init__(self, url: str) -> None:
        path = url.removeprefix("sqlite:///")
        if path in ("", url):
            raise SettingsError(f"{url!r} names no file", step="settings", remedy="sqlite:///path/to/bus.sqlite")
        self.url = url
        self._file = BusFile(Path(path))

    def ensure_topics(self, topics: Iterable[Topic]) -> None:
        """Create the topics that are missing."""
        with self._file.opened() as connection, transaction(connection):
            for topic in topics:
                _create(connection, topic)

    def topics(self) -> dict[str, int]:
        """Return the existing topics and their number of partitions."""
        with self._file.opened() as connection:
            return dict(connection.execute("SELECT name, partitions FROM topics"))

    def producer(self) -> SqliteProducer:
        """Return a new producer."""
        return SqliteProducer(self._file)

    def consumer(
        self,
        group: str,
        *,
        topics: Sequence[str] = (),
        prefix: str = "",
        on_assign: Callable[[set[Partition]], None] | None = None,
    ) -> SqliteConsumer:
        """Join the group at the first ``poll``."""
        return SqliteConsumer(self._file, group, Subscription(tuple(topics), prefix), on_assign)

    def reader(
        self, topics: Sequence[str] = (), *, prefix: str = "", start: Literal["earliest", "latest"] = "earliest"
    ) -> SqliteReader:
        """Return a consumer without a group; "latest" is the end at the first ``poll``."""
        return SqliteReader(self._file, Subscription(tuple(topics), prefix), start)

    def history(self, partition: Partition, since_ms: int, before: int) -> Iterator[Record]:
        """Yield the records from a moment up to an offset, in parts."""
        topic, number = partition
        with self._file.opened() as connection:
            lane = next(each for each in lanes(connection, Subscription((topic,))) if each.partition == number)
            position = first_offset(connection, lane)
            while position < before:
                found = rows(connection, lane, position, min(_PART, before - position), _PART_BYTES)
                if not found:
                    return
                yield from (record for record in found if record.timestamp_ms >= since_ms)
                position = found[-1].offset + 1

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return for each partition the offset that the next record will have."""
        with self._file.opened() as connection:
            return {lane.partition: lane.next for lane in lanes(connection, Subscription((topic,)))}

    def lag(self, group: str, *, topics: Sequence[str] = (), prefix: str = "") -> dict[Partition, int]:
        """Return for each partition how many records the group has not committed."""
        with self._file.opened() as connection:
            stored = dict(connection.execute("SELECT lane, next FROM offsets WHERE team=?", (group,)))
            return {
                (lane.topic, lane.partition): lane.next - max(stored.get(lane.id, 0), first_offset(connection, lane))
                for lane in lanes(connection, Subscription(tuple(topics), prefix))
            }

    def may_write(self, topic: str) -> bool | None:
        """Tell whether the topic exists: who opens the file may write."""
        return True if topic in self.topics() else None

    def ping(self) -> None:
        """Return when the file can be read and written."""
        with self._file.opened() as connection, transaction(connection):
            connection.execute("SELECT count(*) FROM topics").fetchone()

    def close(self) -> None:
        """Do nothing: every call and every consumer closes its own connection."""


def _create(connection: sqlite3.Connection, topic: Topic) -> None:
    done = connection.execute(
        "INSERT OR IGNORE INTO topics VALUES (?,?,?,?)",
        (topic.name, topic.partitions, topic.retention_s, topic.compacted),
    )
    if done.rowcount:
        connection.executemany(
            "INSERT INTO lanes (topic, partition) VALUES (?,?)", [(topic.name, n) for n in range(topic.partitions)]
        )
