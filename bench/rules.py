"""The rules, events and sample data that the benchmarks of the engine share."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from detections.sigma import PACK
from ingest.parsers import Record, Site, parser
from wardwatch.demo.day import day, moment
from wardwatch.demo.hospital import HOSPITALS
from wardwatch.event import LogSource, encode

DATA = Path(__file__).parents[2] / "shared" / "data"
Line = tuple[bytes, LogSource]

_MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def sigmahq(folder: Path) -> list[Path]:
    """Return the rules of SigmaHQ, unpacked into ``folder``; where the archive is absent, the shipped pack."""
    archive = DATA / "sigmahq-rules.tar.gz"
    if not archive.exists():
        print(f"no {archive.name} in shared/data beside the checkout: the shipped pack in its place")
        return [PACK]
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return [folder]


def windows_lines(every: int) -> list[Line]:
    """Return the sample's Windows events, each ``every``-th, as the collector puts them on the bus; none if absent."""
    file = DATA / "windows-events.ndjson.gz"
    if not file.exists():
        print(f"no {file.name} in shared/data beside the checkout: not measured on real events")
        return []
    with gzip.open(file) as lines:
        return list(_parsed(b"".join(line for number, line in enumerate(lines) if number % every == 0)))


def hospital_lines(events: int) -> Iterator[Line]:
    """Yield a day of two simulated hospitals, about so many events of each, as the collector puts them on the bus."""
    for hospital in HOSPITALS:
        for number, step in enumerate(day(hospital, events=events)):
            source = parser(step.source.removesuffix("_udp"))
            record = Record(step.make(moment(hospital, _MIDNIGHT, step.at_s)), peer="10.3.1.5")
            for found in [] if step.refused else source.parse(record, Site()):
                yield encode({"event.id": f"{number:032x}", **found.doc}), found.logsource


def _parsed(data: bytes) -> Iterator[Line]:
    windows = parser("windows")
    for number, raw in enumerate(windows.split(data)):
        for found in windows.parse(Record(raw), Site()):
            yield encode({"event.id": f"{number:032x}", **found.doc}), found.logsource
