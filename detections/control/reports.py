"""What each worker says of the rules it has in force, on the topic ``workers``, so that a change can be confirmed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import msgspec

from wardwatch.bus import Bus, Consumer, Record
from wardwatch.topics import WORKERS

BEAT_S = 5.0
ALIVE_S = 16.0
"""A worker that has said nothing for so long is gone."""


class Report(msgspec.Struct, frozen=True):
    """One worker's state: rows before ``position`` on ``tables`` are in force, but those refused (row → reason).

    ``rejected`` are rules of files that are not in force (file:line → reason).
    """

    worker: str
    position: int
    rules: int
    refused: dict[str, str] = {}
    leaving: bool = False
    rejected: dict[str, str] = {}


_DECODER = msgspec.json.Decoder(Report)


@dataclass
class Workers:
    """The workers that live now, by what they said last."""

    bus: Bus
    _reader: Consumer | None = None
    _said: dict[str, tuple[int, Report]] = field(default_factory=dict)

    def alive(self) -> list[Report]:
        """Return the last report of each worker that lives; raises BusUnavailable."""
        if self._reader is None:
            self._reader = self.bus.reader([WORKERS.name])
        while records := self._reader.poll(timeout_s=0.2):
            for record in records:
                self._hear(record)
        oldest_ms = (time.time() - ALIVE_S) * 1000
        return [
            report
            for _, (taken_ms, report) in sorted(self._said.items())
            if taken_ms > oldest_ms and not report.leaving
        ]

    def close(self) -> None:
        """Release the connection."""
        if self._reader is not None:
            self._reader.close()

    def _hear(self, record: Record) -> None:
        try:
            report = _DECODER.decode(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # whoever wrote this is no worker of ours
        self._said[report.worker] = record.timestamp_ms, report
