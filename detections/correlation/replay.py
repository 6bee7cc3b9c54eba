"""Correlations over events that are all there, in memory: what the alerter makes of them when none comes late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from detections.correlation.correlator import chained
from detections.correlation.group import Firing, Group
from detections.correlation.records import Fed
from detections.correlation.rule import Correlation

_END = (2**63, "")


@dataclass
class Replay:
    """Takes matches in any order; holds those that correlations take in, and nothing else."""

    _groups: dict[int, dict[str, Group]] = field(default_factory=dict)

    def take(self, fed: Fed, correlation: Correlation) -> None:
        """Let a match in."""
        groups = self._groups.setdefault(correlation.level, {})
        key = fed.key(correlation)
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(correlation, fed.tenant, fed.group)
        group.take(fed.entry, fed.source, bytes(fed.fields))

    def firings(self) -> Iterator[Firing]:
        """Yield what fires, once all is in: the lower correlations first, each group in order of event time."""
        level = 0
        while higher := [each for each in self._groups if each > level]:
            level = min(higher)
            for group in self._groups[level].values():
                for firing in group.evaluate(_END):
                    for fed, above in chained(firing):
                        self.take(fed, above)
                    yield firing

    def group(self, fed: Fed, correlation: Correlation) -> Group:
        """Return the group that a match was taken into."""
        return self._groups[correlation.level][fed.key(correlation)]
