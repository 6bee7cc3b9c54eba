"""What retention deleted before a group had read it: logged and counted, never silent."""

from __future__ import annotations

from collections import Counter

import prometheus_client
import structlog

log = structlog.get_logger()

LOST = prometheus_client.Counter(
    "wardwatch_bus_lost_records", "Records that retention deleted before the group read them", ["group", "topic"]
)


class Losses:
    """The gaps that a member has met since its last commit; they count once it commits past them."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._met: Counter[str] = Counter()

    def meet(self, topic: str, records: int) -> None:
        """Note that so many records were gone where the group wanted to go on."""
        self._met[topic] += records

    def commit(self) -> None:
        """Count what was met."""
        for topic, records in self._met.items():
            log.error("records_lost", group=self._group, topic=topic, records=records, reason="retention")
            LOST.labels(self._group, topic).inc(records)
        self._met.clear()

    def rewind(self) -> None:
        """Forget what was met: it will be met again."""
        self._met.clear()
