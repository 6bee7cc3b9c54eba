"""The correlator: the groups of every correlation in the partitions that this process holds.

A match waits for ``lateness_ms`` after the bus took it, so that matches of earlier events which come a little later are
counted in their place; then it is evaluated. What still waits is not committed, so it is delivered again after a crash;
what was evaluated before is read again from the topic when a partition is taken over.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import prometheus_client

from detections.correlation import records
from detections.correlation.group import Arrived, Firing, Group, Key
from detections.correlation.records import Fed
from detections.correlation.rule import Correlation
from wardwatch.bus import Partition, Record
from wardwatch.errors import RecordError

GROUPS = prometheus_client.Gauge("wardwatch_correlation_groups", "Open groups of correlations")
DROPPED = prometheus_client.Counter(
    "wardwatch_correlation_dropped", "What correlations could not take into account", ["what"]
)
"""``what``: group (the oldest, above the limit), match (the oldest of a full window), late (after its time)."""

History = Callable[[Partition, int, int], Iterable[Record]]
"""(partition, since in Unix ms, offset to stop before) → the records that the bus still has."""

_SPANS = 2  # what a firing is depends on the firings of one timespan before, each of those on a window of one more


class Waiting(NamedTuple):
    """A match that is not evaluated yet."""

    record: Record
    group: Group
    key: Key


@dataclass
class Held:
    """What is known of one partition: ``next`` is the offset of the first record not taken."""

    next: int
    waiting: deque[Waiting] = field(default_factory=deque)


@dataclass
class Correlator:
    """Takes records in their order; ``longest_ms`` is the longest timespan of a correlation in force."""

    history: History
    lateness_ms: int
    limit: int
    longest_ms: Callable[[], int]
    fired: list[tuple[Record, Firing]] = field(default_factory=list)
    _held: dict[Partition, Held] = field(default_factory=dict)
    _groups: dict[str, OrderedDict[tuple[Partition, str], Group]] = field(default_factory=dict)
    _open: int = 0

    def assign(self, partitions: set[Partition]) -> None:
        """Forget the partitions that others hold now; a new one is read from the topic when its first record comes."""
        for gone in self._held.keys() - partitions:
            del self._held[gone]
            for groups in self._groups.values():
                for key in [key for key in groups if key[0] == gone]:
                    self._forget(groups, key)

    def take(self, record: Record) -> None:
        """Take one record in; raises DecodeError."""
        partition = (record.topic, record.partition)
        held = self._held.get(partition) or self._rebuilt(partition, record)
        if record.offset < held.next:
            return
        held.next = record.offset + 1
        self.fired += self._due(held, record.timestamp_ms)
        self._let_in(held, record)

    def tick(self, now_ms: int) -> None:
        """Evaluate what has waited long enough, and close the groups that nothing can reach any more."""
        for held in self._held.values():
            self.fired += self._due(held, now_ms)
        for groups in self._groups.values():
            self._close(groups, now_ms)
        GROUPS.set(self._open)

    def holds(self) -> dict[Partition, int]:
        """Return for partitions with matches that wait the offset of the first of them: commit no further."""
        return {partition: held.waiting[0].record.offset for partition, held in self._held.items() if held.waiting}

    def _rebuilt(self, partition: Partition, first: Record) -> Held:
        held = Held(first.offset)
        since_ms = first.timestamp_ms - _SPANS * self.longest_ms() - self.lateness_ms
        for record in self.history(partition, since_ms, first.offset):
            if record.headers.get("kind") == records.KIND:
                self._read_again(held, record)
        for _ in self._due(held, first.timestamp_ms + self.lateness_ms):
            pass  # these are in their alerts: only what was evaluated is committed
        self._held[partition] = held
        return held

    def _read_again(self, held: Held, record: Record) -> None:
        try:
            for _ in self._due(held, record.timestamp_ms):
                pass
            self._let_in(held, record)
        except RecordError:
            return  # a dead letter when it was first read

    def _let_in(self, held: Held, record: Record) -> None:
        fed = records.decode(record.value or b"")
        correlation = records.correlation_of(bytes(fed.correlation))
        group = self._group(fed, correlation, record)
        group.heard_ms = record.timestamp_ms
        arrived = group.take(fed.entry, fed.source, bytes(fed.fields))
        if arrived is Arrived.LATE:
            DROPPED.labels("late").inc()
        elif arrived is Arrived.TAKEN:
            held.waiting.append(Waiting(record, group, fed.entry[:2]))

    def _group(self, fed: Fed, correlation: Correlation, record: Record) -> Group:
        groups = self._groups.setdefault(f"{correlation.card.id} {correlation.card.version}", OrderedDict())
        key = (record.topic, record.partition), record.key or fed.key(correlation)
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(correlation, fed.tenant, fed.group)
            self._open += 1
            if self._open > self.limit:
                self._drop_oldest()
        groups.move_to_end(key)
        return group

    def _due(self, held: Held, now_ms: int) -> Iterator[tuple[Record, Firing]]:
        waiting = held.waiting
        while waiting and waiting[0].record.timestamp_ms + self.lateness_ms <= now_ms:
            record, group, key = waiting.popleft()
            dropped = group.dropped
            for firing in group.evaluate(key):
                yield record, firing
            if group.dropped > dropped:
                DROPPED.labels("match").inc(group.dropped - dropped)

    def _close(self, groups: OrderedDict[tuple[Partition, str], Group], now_ms: int) -> None:
        while groups:
            key, oldest = next(iter(groups.items()))
            if oldest.heard_ms + _SPANS * oldest.correlation.timespan_ms + self.lateness_ms >= now_ms:
                return
            self._forget(groups, key)

    def _drop_oldest(self) -> None:
        filled = (groups for groups in self._groups.values() if groups)
        groups = min(filled, key=lambda each: next(iter(each.values())).heard_ms)
        self._forget(groups, next(iter(groups)))
        DROPPED.labels("group").inc()

    def _forget(self, groups: OrderedDict[tuple[Partition, str], Group], key: tuple[Partition, str]) -> None:
        del groups[key]
        self._open -= 1


def chained(firing: Firing) -> Iterator[tuple[Fed, Correlation]]:
    """Yield what a firing brings to the correlations above, once for each alert."""
    if not firing.first:
        return
    for feed in firing.correlation.feeds:
        yield records.of_firing(firing, feed), feed.correlation
