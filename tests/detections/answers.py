"""What the engine answers, by each of its ways at once; and the events of the sample data to ask it with."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path

import orjson

from detections.sigma import Ruleset
from detections.sigma.ruleset import ZONE
from detections.sigma.view import View
from ingest.parsers import PARSERS, Record, Site, parser
from wardwatch.errors import ParseError
from wardwatch.event import Event

Property = Callable[[str, object], None]
"""What pytest gives a test to write into its report."""

WHOLE = bool(os.environ.get("WARDWATCH_WHOLE_MATRIX"))
"""Every event meets every rule (a quarter of an hour), not a sample of both."""


def answered(ruleset: Ruleset, event: Event, zone: tzinfo = ZONE) -> set[str]:
    """Return the ids of the rules that an event meets: compiled, as its record's candidates, interpreted."""
    compiled = {match.rule.id for match in ruleset.match(event, zone)}
    program, raw = ruleset.program(event.logsource), orjson.dumps(event.doc)
    candidates = program.candidates(raw)
    partial = program.decode(raw, candidates)
    assert partial.items() <= orjson.loads(raw).items()
    assert {rule.id for rule in program.match(partial, zone, candidates)} == compiled, event.doc
    view = View(event.doc, zone)
    assert {rule.id for rule in ruleset.candidates(event.logsource) if rule.applies(view)} == compiled, event.doc
    return compiled


def parsed(data: bytes, source: str = "windows") -> Iterator[Event]:
    """Yield the events that a source's parser finds in a file's bytes; what it can't read is left out."""
    reader = parser(source)
    for number, raw in enumerate(reader.split(data)):
        try:
            for found in reader.parse(Record(raw), Site()):
                yield Event({"event.id": str(number), **found.doc}, "hospital_a", source, found.logsource)
        except ParseError:
            continue


def windows_events(sample_data: Path, *, whole: bool = False) -> Iterator[Event]:
    """Yield the 58,551 Windows events, or the first of each channel, event id and set of fields, and some others."""
    seen: set[object] = set()
    with gzip.open(sample_data / "windows-events.ndjson.gz") as lines:
        for number, line in enumerate(lines):
            record = orjson.loads(line)
            shape = record.get("Channel"), record.get("EventID"), frozenset(record)
            if whole or shape not in seen or number % 400 == 0:
                seen.add(shape)
                yield from parsed(line)


def source_events() -> Iterator[Event]:
    """Yield the events of the sample that every source has in the package."""
    for name in PARSERS:
        yield from parsed(parser(name).sample(), name)


def regression_events(regression: Path, suffix: str) -> Iterator[Event]:
    """Yield the events of SigmaHQ's regression tests, of the files with a suffix."""
    for file in sorted(regression.rglob(f"*.{suffix}")):
        for found in parsed(file.read_bytes()):
            yield replace(found, doc={**found.doc, "event.id": f"{file.name}-{found.id}"})


def clinical_events(sample_data: Path) -> Iterator[Event]:
    """Yield the events of the HL7 messages and audit messages of other projects."""
    with tarfile.open(sample_data / "hl7-atna-samples.tar.gz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                data = file.read()
                yield from parsed(data, "dicom_audit" if b"AuditMessage" in data else "hl7v2")
