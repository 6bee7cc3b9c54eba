"""Consumers of the embedded bus: with a group, whose members share the partitions, or without one."""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from collections.abc import Callable
from typing import Self

import orjson
import structlog

from wardwatch.bus import Partition, Record
from wardwatch.bus.sqlite.database import Database, now_ms

log = structlog.get_logger()

LEASE_MS = 3000  # a member that was not heard of for so long has lost its partitions
_HEARTBEAT_MS = 500
_LOOK_S = 0.02  # between two looks for new records while idle
_POLL_BYTES = 16 * 2**20

_Place = tuple[int, int]
_serial = itertools.count()


class Reader:
    """Reads all partitions of its topics; keeps positions in memory only."""

    def __init__(self, database: Database, topics: tuple[str, ...], prefix: str, *, latest: bool) -> None:
        self._database = database
        self._wanted = set(topics)
        self._prefix = prefix
        self._latest = latest
        self._names: dict[int, str] = {}
        self._positions: dict[_Place, int] = {}
        self._looked_ms = 0
        self._turn = 0

    def poll(self, *, max_records: int = 500, timeout_s: float = 1.0) -> list[Record]:
        """Return the next records, waiting for the first."""
        deadline = time.monotonic() + timeout_s
        seen = -1
        while True:
            self._refresh()
            version = self._database.changed()
            if version != seen:
                records = self._read(max_records)
                if records:
                    return records
                seen = version
            if time.monotonic() >= deadline:
                return []
            time.sleep(_LOOK_S)

    def commit(self) -> None:
        """Do nothing: there is no group."""

    def rewind(self) -> None:
        """Do nothing: there is no commit to go back to."""

    def assignment(self) -> set[Partition]:
        """Return every partition of the topics."""
        return {(self._names[topic], part) for topic, part in self._positions}

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _refresh(self) -> None:
        if self._looked_ms and now_ms() - self._looked_ms < _HEARTBEAT_MS:
            return
        first = not self._looked_ms
        with self._database.reading() as connection:
            heads = {(topic, part): following for topic, part, following in connection.execute("SELECT * FROM heads")}
            for place in self._places(connection):
                if place not in self._positions:
                    self._positions[place] = heads.get(place, 0) if self._latest and first else 0
        self._looked_ms = now_ms()

    def _places(self, connection: sqlite3.Connection) -> list[_Place]:
        places = []
        for number, name, parts in connection.execute("SELECT id, name, partitions FROM topics ORDER BY name"):
            if name in self._wanted or (self._prefix and name.startswith(self._prefix)):
                self._names[number] = name
                places += [(number, part) for part in range(parts)]
        return places

    def _read(self, max_records: int) -> list[Record]:
        records: list[Record] = []
        size = 0
        with self._database.reading() as connection:
            for place in self._in_turn():
                room = max_records - len(records)
                if room <= 0 or size >= _POLL_BYTES:
                    break
                for record in self._of(connection, place, room):
                    records.append(record)
                    size += len(record.value or b"")
                    self._positions[place] = record.offset + 1
                    if size >= _POLL_BYTES:
                        break
        return records

    def _in_turn(self) -> list[_Place]:
        """Return the partitions, each time beginning with another one, so that none starves."""
        places = list(self._positions)
        self._turn = (self._turn + 1) % max(len(places), 1)
        return places[self._turn :] + places[: self._turn]

    def _of(self, connection: sqlite3.Connection, place: _Place, limit: int) -> list[Record]:
        rows = connection.execute(
            "SELECT offset, at_ms, key, headers, value FROM records "
            "WHERE topic = ? AND part = ? AND offset >= ? ORDER BY offset LIMIT ?",
            (*place, self._positions[place], limit),
        )
        name, part = self._names[place[0]], place[1]
        return [
            Record(name, part, offset, key, value, orjson.loads(headers), at_ms)
            for offset, at_ms, key, headers, value in rows
        ]


class GroupConsumer(Reader):
    """Reads the partitions that the members of its group divide among themselves.

    A member renews its lease in ``poll``; partitions of a member whose lease ran out are taken over from the last
    commit. A commit counts only while the partition is still this member's.
    """

    def __init__(
        self,
        database: Database,
        group: str,
        topics: tuple[str, ...],
        prefix: str,
        on_assign: Callable[[set[Partition]], None] | None,
    ) -> None:
        super().__init__(database, topics, prefix, latest=False)
        self._group = group
        self._member = f"{os.getpid()}-{next(_serial)}-{now_ms()}"
        self._on_assign = on_assign

    def commit(self) -> None:
        """Mark everything returned so far as processed, for the partitions still held."""
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT INTO commits SELECT ?1, ?2, ?3, ?4 WHERE EXISTS "
                "(SELECT 1 FROM owners WHERE grp = ?1 AND topic = ?2 AND part = ?3 AND member = ?5) "
                "ON CONFLICT (grp, topic, part) DO UPDATE SET offset = excluded.offset",
                [(self._group, *place, position, self._member) for place, position in self._positions.items()],
            )

    def rewind(self) -> None:
        """Go back to the last commit."""
        with self._database.reading() as connection:
            for place in self._positions:
                self._positions[place] = self._committed(connection, place)

    def close(self) -> None:
        """Leave the group without committing."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM owners WHERE grp = ? AND member = ?", (self._group, self._member))
            connection.execute("DELETE FROM members WHERE grp = ? AND member = ?", (self._group, self._member))
        super().close()

    def _refresh(self) -> None:
        if self._looked_ms and now_ms() - self._looked_ms < _HEARTBEAT_MS:
            return
        with self._database.writing() as connection:
            mine = self._claim(connection, self._live(connection))
            before = set(self._positions)
            self._positions = {
                place: self._positions[place] if place in self._positions else self._committed(connection, place)
                for place in mine
            }
        self._looked_ms = now_ms()
        if set(mine) != before and self._on_assign:
            self._on_assign(self.assignment())

    def _live(self, connection: sqlite3.Connection) -> list[str]:
        """Renew this member's lease, forget members whose lease ran out, and return the others."""
        group = self._group
        connection.execute("DELETE FROM members WHERE grp = ? AND until_ms < ?", (group, now_ms()))
        connection.execute(
            "INSERT OR REPLACE INTO members VALUES (?, ?, ?)", (group, self._member, now_ms() + LEASE_MS)
        )
        connection.execute(
            "DELETE FROM owners WHERE grp = ?1 AND member NOT IN (SELECT member FROM members WHERE grp = ?1)", (group,)
        )
        rows = connection.execute("SELECT member FROM members WHERE grp = ? ORDER BY member", (group,))
        return [member for (member,) in rows]

    def _claim(self, connection: sqlite3.Connection, live: list[str]) -> list[_Place]:
        """Let go of what others should have, take what is free of this member's share, and return what is held."""
        places = self._places(connection)
        turn = live.index(self._member)
        share = set(places[turn :: len(live)])
        held = connection.execute("SELECT topic, part, member FROM owners WHERE grp = ?", (self._group,)).fetchall()
        owners = {(topic, part): member for topic, part, member in held}
        for place in places:
            owner = owners.get(place)
            if owner == self._member and place not in share:
                connection.execute("DELETE FROM owners WHERE grp = ? AND topic = ? AND part = ?", (self._group, *place))
            elif owner is None and place in share:
                connection.execute("INSERT INTO owners VALUES (?, ?, ?, ?)", (self._group, *place, self._member))
        return [place for place in places if place in share and owners.get(place) in (None, self._member)]

    def _committed(self, connection: sqlite3.Connection, place: _Place) -> int:
        row = connection.execute(
            "SELECT offset FROM commits WHERE grp = ? AND topic = ? AND part = ?", (self._group, *place)
        ).fetchone()
        first = connection.execute("SELECT MIN(offset) FROM records WHERE topic = ? AND part = ?", place).fetchone()[0]
        position = int(row[0]) if row else 0
        if first is not None and first > position and row:
            log.error("retention_overtook_group", group=self._group, topic=self._names[place[0]], lost=first - position)
        return position
