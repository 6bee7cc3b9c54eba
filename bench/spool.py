"""The spool beside plain file writes with the same grouping of waits for the disk."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.figures import Figure
from ingest.spool import Entry, Spool

GROUP = 100
VALUE = b"x" * 1200


def run(quick: bool) -> list[Figure]:
    """Append records of 1.2 kB in groups of a hundred, each group fsynced, for a second or three each."""
    seconds = 1.0 if quick else 3.0
    with tempfile.TemporaryDirectory() as folder:
        spooled = _spool(Path(folder) / "spool", seconds)
        plain = _plain(Path(folder) / "plain", seconds)
    ratio = spooled / plain
    return [Figure("spool append", spooled, "records/s", "write + fsync of the same bytes", ratio, "ratio ≥ 0.5")]


def _spool(folder: Path, seconds: float) -> float:
    spool = Spool(folder, 2**33)
    entries = [Entry("forwarded", "linux", "events.renai", VALUE, str(number)) for number in range(GROUP)]
    try:
        return _rate(lambda: spool.append(entries), seconds)
    finally:
        spool.close()


def _plain(path: Path, seconds: float) -> float:
    with path.open("wb", buffering=0) as file:

        def write() -> None:
            file.write(VALUE * GROUP)
            os.fsync(file.fileno())

        return _rate(write, seconds)


def _rate(write_group: Callable[[], None], seconds: float) -> float:
    started = time.perf_counter()
    count = 0
    while (passed := time.perf_counter() - started) < seconds:
        write_group()
        count += GROUP
    return count / passed
