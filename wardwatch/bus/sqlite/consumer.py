"""Reading the SQLite bus in a group whose live members share the partitions."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from uuid import uuid4

import structlog

from wardwatch.bus import Partition, Record
from wardwatch.bus.losses import Losses
from wardwatch.bus.sqlite.file import BusFile, Lane, Subscription, first_offset, lanes, transaction
from wardwatch.bus.sqlite.reader import SqliteReader
from wardwatch.errors import BusUnavailable

log = structlog.get_logger()

LEASE_S = 2.5
_HEARTBEAT_S = 0.5
_LONGEST_WORK_S = 300.0  # between two polls: then the member counts as hung, like Kafka's max.poll.interval.ms


class SqliteConsumer(SqliteReader):
    """A member of a group.

    Each member holds a lease that a thread renews; partitions are dealt out in turn over the members whose lease
    holds. A member gives away what is no longer its share and takes only what nobody holds, so no partition ever has
    two owners, and a commit counts only for partitions still held.
    """

    def __init__(
        self, file: BusFile, group: str, subscription: Subscription, on_assign: Callable[[set[Partition]], None] | None
    ):
        super().__init__(file, subscription)
        self._group = group
        self._member = uuid4().hex
        self._on_assign = on_assign
        self._announced: set[Partition] = set()
        self._committed: dict[Lane, int] = {}
        self._losses = Losses(group)
        self._polled = time.monotonic()
        self._closing = threading.Event()
        self._heart: threading.Thread | None = None

    def poll(self, *, max_records: int = 500, timeout_s: float = 1.0) -> list[Record]:
        """Return the next records of the partitions held."""
        self._polled = time.monotonic()
        if self._heart is None:
            self._heart = threading.Thread(target=self._beat, name=f"lease {self._group}", daemon=True)
            self._heart.start()
        return super().poll(max_records=max_records, timeout_s=timeout_s)

    def commit(self, before: Mapping[Partition, int] = {}) -> None:
        """Store the positions of the partitions still held."""
        reached = {lane: min(at, before.get((lane.topic, lane.partition), at)) for lane, at in self._positions.items()}
        moved = {lane: at for lane, at in reached.items() if at != self._committed.get(lane)}
        if not moved:
            return
        lost = []
        with self._file.guarded():
            connection = self._connected()
            with transaction(connection):
                for lane, position in moved.items():
                    if not self._store(connection, lane, position):
                        lost.append(lane)
        self._committed.update((lane, at) for lane, at in moved.items() if lane not in lost)
        self._losses.commit()
        if lost:
            log.warning("partitions_lost", group=self._group, partitions=[f"{x.topic}/{x.partition}" for x in lost])
            self._synced = float("-inf")

    def rewind(self) -> None:
        """Go back to the last commit."""
        self._positions = dict(self._committed)
        self._losses.rewind()

    def close(self) -> None:
        """Leave the group, so that the others take over at once."""
        self._closing.set()
        if self._heart is not None:
            self._heart.join()
            self._heart = None
            self._leave()
        self._positions.clear()
        super().close()

    def _fetch(self, connection: sqlite3.Connection, max_records: int) -> list[Record]:
        wanted = dict(self._positions)
        records = super()._fetch(connection, max_records)
        read = Counter((record.topic, record.partition) for record in records)
        for lane, position in self._positions.items():
            missing = position - wanted[lane] - read[lane.topic, lane.partition]
            if missing > 0 and not _compacted(connection, lane.topic):
                self._losses.meet(lane.topic, missing)
        return records

    def _store(self, connection: sqlite3.Connection, lane: Lane, position: int) -> bool:
        done = connection.execute(
            "INSERT INTO offsets SELECT team, lane, ? FROM claims WHERE team=? AND lane=? AND member=?"
            " ON CONFLICT (team, lane) DO UPDATE SET next=excluded.next",
            (position, self._group, lane.id, self._member),
        )
        return done.rowcount > 0

    def _sync(self, connection: sqlite3.Connection) -> None:
        with transaction(connection):
            self._join(connection)
            share = self._share(connection)
            kept, taken = self._claim(connection, share)
            stored = dict(connection.execute("SELECT lane, next FROM offsets WHERE team=?", (self._group,)))
            starts = {lane.id: stored.get(lane.id) or first_offset(connection, lane) for lane in share}
        positions = {lane.id: at for lane, at in self._positions.items() if lane.id in kept}
        committed = {lane.id: at for lane, at in self._committed.items() if lane.id in kept}
        held = [lane for lane in share if lane.id in kept | taken]
        self._positions = {lane: positions.get(lane.id, starts[lane.id]) for lane in held}
        self._committed = {lane: committed.get(lane.id, starts[lane.id]) for lane in held}
        self._announce()

    def _join(self, connection: sqlite3.Connection) -> None:
        # no lease ends later than this: one that seems to was written before the machine started again
        now = time.monotonic()
        connection.execute(
            "INSERT INTO members VALUES (?,?,?,?) ON CONFLICT (team, member) DO UPDATE SET expires=excluded.expires",
            (self._group, self._member, _dumps(self._subscription), now + LEASE_S),
        )
        connection.execute(
            "DELETE FROM members WHERE team=? AND expires NOT BETWEEN ? AND ?", (self._group, now, now + LEASE_S)
        )
        connection.execute(
            "DELETE FROM claims WHERE team=? AND member NOT IN (SELECT member FROM members WHERE team=?)",
            (self._group, self._group),
        )

    def _share(self, connection: sqlite3.Connection) -> list[Lane]:
        rows = connection.execute(
            "SELECT member, subscription FROM members WHERE team=? ORDER BY member", (self._group,)
        )
        members = [(member, _loads(subscription)) for member, subscription in rows]
        share = []
        for turn, lane in enumerate(lanes(connection, self._subscription)):
            able = [member for member, subscription in members if subscription.holds(lane.topic)]
            if able[turn % len(able)] == self._member:
                share.append(lane)
        return share

    def _claim(self, connection: sqlite3.Connection, share: list[Lane]) -> tuple[set[int], set[int]]:
        claims = dict(connection.execute("SELECT lane, member FROM claims WHERE team=?", (self._group,)))
        mine = {lane for lane, member in claims.items() if member == self._member}
        wanted = {lane.id for lane in share}
        free = wanted - claims.keys()
        connection.executemany(
            "DELETE FROM claims WHERE team=? AND lane=?", [(self._group, lane) for lane in mine - wanted]
        )
        connection.executemany(
            "INSERT INTO claims VALUES (?,?,?)", [(self._group, lane, self._member) for lane in free]
        )
        # a partition lost and free again since the last look is taken anew, from what is committed
        return mine & wanted, free

    def _announce(self) -> None:
        now = self.assignment()
        if now != self._announced:
            log.info("partitions_assigned", group=self._group, partitions=len(now))
            if self._on_assign is not None:
                self._on_assign(now)
            self._announced = now

    def _beat(self) -> None:
        while not self._closing.wait(_HEARTBEAT_S):
            if time.monotonic() - self._polled > _LONGEST_WORK_S:
                continue
            try:
                with self._file.opened() as connection:
                    connection.execute(
                        "UPDATE members SET expires=? WHERE team=? AND member=?",
                        (time.monotonic() + LEASE_S, self._group, self._member),
                    )
            except BusUnavailable as error:
                log.warning("lease_not_renewed", group=self._group, reason=str(error))

    def _leave(self) -> None:
        try:
            with self._file.opened() as connection, transaction(connection):
                for table in ("claims", "members"):
                    connection.execute(
                        f"DELETE FROM {table} WHERE team=? AND member=?",  # noqa: S608 names are constants
                        (self._group, self._member),
                    )
        except BusUnavailable as error:
            log.warning("group_not_left", group=self._group, reason=str(error))


def _compacted(connection: sqlite3.Connection, topic: str) -> bool:
    return bool(connection.execute("SELECT compacted FROM topics WHERE name=?", (topic,)).fetchone()[0])


def _dumps(subscription: Subscription) -> str:
    return json.dumps([list(subscription.topics), subscription.prefix])


def _loads(text: str) -> Subscription:
    topics, prefix = json.loads(text)
    return Subscription(tuple(topics), prefix)
