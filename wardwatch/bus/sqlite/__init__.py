"""The embedded bus: topics in one SQLite file (WAL), shared by several processes of one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from wardwatch.bus import Consumer, Partition, Producer
from wardwatch.bus.sqlite.consumer import GroupConsumer, Reader
from wardwatch.bus.sqlite.database import Database, path_of
from wardwatch.bus.sqlite.producer import SqliteProducer
from wardwatch.topics import Topic


class SqliteBus:
    """Bus adapter on ``sqlite:///path``; producers and consumers have connections of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._path = path_of(url)
        self._database = Database(self._path)

    def ensure_topics(self, topics: Iterable[Topic]) -> None:
        """Create the topics that are missing."""
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT INTO topics (name, partitions, retention_s, compacted) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (name) DO NOTHING",
                [(topic.name, topic.partitions, topic.retention_s, topic.compacted) for topic in topics],
            )

    def topics(self) -> dict[str, int]:
        """Return the existing topics and their number of partitions."""
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT name, partitions FROM topics"))

    def producer(self) -> Producer:
        """Return a new producer."""
        return SqliteProducer(Database(self._path))

    def consumer(
        self,
        group: str,
        *,
        topics: Sequence[str] = (),
        prefix: str = "",
        on_assign: Callable[[set[Partition]], None] | None = None,
    ) -> Consumer:
        """Join a group."""
        return GroupConsumer(Database(self._path), group, tuple(topics), prefix, on_assign)

    def reader(
        self, topics: Sequence[str] = (), *, prefix: str = "", start: Literal["earliest", "latest"] = "earliest"
    ) -> Consumer:
        """Return a consumer of all partitions without a group."""
        return Reader(Database(self._path), tuple(topics), prefix, latest=start == "latest")

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return for each partition the offset that the next record will have."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT part, next FROM heads JOIN topics ON topics.id = heads.topic WHERE name = ?", (topic,)
            )
            ends = dict(rows)
        return {partition: ends.get(partition, 0) for partition in range(self.topics().get(topic, 0))}

    def lag(self, group: str, *, topics: Sequence[str] = (), prefix: str = "") -> dict[Partition, int]:
        """Return for each partition how many records the group has not committed."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT name, heads.part, next - COALESCE(commits.offset, 0) FROM heads "
                "JOIN topics ON topics.id = heads.topic LEFT JOIN commits "
                "ON commits.grp = ? AND commits.topic = heads.topic AND commits.part = heads.part",
                (group,),
            ).fetchall()
        wanted = set(topics)
        return {
            (name, part): behind
            for name, part, behind in rows
            if name in wanted or (prefix and name.startswith(prefix))
        }

    def ping(self) -> None:
        """Return when the file can be read and written."""
        with self._database.writing():
            pass

    def close(self) -> None:
        """Release the connection."""
        self._database.close()
