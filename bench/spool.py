"""The spool beside plain file writes with the same grouping of waits for the disk."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from bench.figures import Figure
from ingest.spool import Entry, Spool

GROUP = 100
VALUE = b"x" * 1200


def run(quick: bool) -> list[Figure]:
    """Append groups of a hundred records of 1.2 kB, each group fsynced; the two take turns, since disks vary."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "plain").open("wb", buffering=0) as plain:
        spool = Spool(Path(folder) / "spool", 2**33)
        entries = [Entry("forwarded", "linux", "events.renai", VALUE, str(number)) for number in range(GROUP)]

        def write() -> None:
            plain.write(VALUE * GROUP)
            os.fsync(plain.fileno())

        spool_s, plain_s = _median_s([lambda: spool.append(entries), write], 1.5 if quick else 6.0)
        spool.close()
    compared = "median write + fsync of the same values"
    return [Figure("spool append", GROUP / spool_s, "records/s", compared, plain_s / spool_s, "ratio ≥ 0.5")]


def _median_s(tasks: Sequence[Callable[[], None]], seconds: float) -> list[float]:
    """Return the median time of each task, run in turns for so many seconds."""
    times: list[list[float]] = [[] for _ in tasks]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for task, taken in zip(tasks, times, strict=True):
            before = time.perf_counter()
            task()
            taken.append(time.perf_counter() - before)
    return [median(taken) for taken in times]
