"""The collector's hot path per source, parse, scrub and encode, beside ``str.split`` and ``orjson.loads`` in one run.

Every round has records that no round before had. Times are processor time, the best of the rounds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import orjson

from bench import records
from bench.figures import Figure
from ingest.intake import Intake, Source
from ingest.parsers import Record, Site, parser
from ingest.quarantine import Quarantine
from ingest.scrub import Tokens, scrub
from ingest.spool import Spool
from ingest.vault import Epochs, HmacTokens
from wardwatch.event import encode
from wardwatch.settings import SourceSettings

TENANT, PEER = "renai", "10.3.1.5"
GROUP = 100  # records between two waits for the disk
SPLIT, LOADS = "str.split of the ADT messages", "orjson.loads of 2.4 KB"
SPLIT_ON_REFERENCE, LOADS_ON_REFERENCE = 159_000, 475_000
"""How many a second on the machine for which the targets were set."""


class Case(NamedTuple):
    """Records of one source; ``target``: how many a second the reference machine must parse and scrub."""

    name: str
    source: str
    make: records.Make
    target: int


CASES = (
    Case("hl7v2 ADT", "hl7v2", records.hl7_adt, 60_000),
    Case("hl7v2 ORU", "hl7v2", records.hl7_results, 60_000),
    Case("windows", "windows", records.windows, 25_000),
    Case("huawei_usg", "huawei_usg", records.huawei_usg, 40_000),
    Case("h3c", "h3c", records.h3c, 40_000),
    Case("cef", "cef", records.cef, 40_000),
    Case("dicom_audit", "dicom_audit", records.dicom_audit, 6_000),
)


class Times(NamedTuple):
    """Seconds of processor time that one record took; ``spooled`` is the whole way from bytes into the spool."""

    split: float
    loads: float
    parse: float
    scrub: float
    encode: float
    spooled: float


def run(quick: bool) -> list[Figure]:
    """Measure every case; together 12 s when quick."""
    rounds, count = (2, 500) if quick else (9, 3000)
    with tempfile.TemporaryDirectory() as folder:
        return [figure for case in CASES for figure in _figures(case, _measure(case, rounds, count, Path(folder)))]


def _measure(case: Case, rounds: int, count: int, folder: Path) -> Times:
    tokens = HmacTokens(bytes(32), Epochs("month"))
    spool = Spool(folder / case.name / "spool", 2**33)
    intake = Intake(TENANT, spool, Quarantine(folder / "quarantine"), tokens)
    turns = [_turn(case, turn, count, intake) for turn in range(rounds + 1)][1:]  # the first one compiles patterns
    spool.close()
    return Times(*map(min, zip(*turns, strict=True)))


def _turn(case: Case, turn: int, count: int, intake: Intake) -> Times:
    source = parser(case.source)
    configured = Source(SourceSettings(parser=case.source, transport="tcp", listen="127.0.0.1:1"), source, Site())
    first, second = ([Record(data, PEER) for data in case.make(count, 2 * turn + half)] for half in range(2))
    times = [*_steps(first, configured, intake.tokens), _spooled(second, configured, intake)]
    return Times(*_references(turn), *(seconds / count for seconds in times))


def _steps(found: list[Record], source: Source, tokens: Tokens) -> list[float]:
    """Return the seconds of parsing, scrubbing and encoding, a group of records after the other."""
    sums = [0.0, 0.0, 0.0]
    for start in range(0, len(found), GROUP):
        group = found[start : start + GROUP]
        times = [process_time()]
        docs = [one.doc for record in group for one in source.parser.parse(record, source.site)]
        times.append(process_time())
        clean = [scrub(doc, source.parser.policy, tokens, source.levels) for doc in docs]
        times.append(process_time())
        for doc in clean:
            encode(doc)
        times.append(process_time())
        sums = [total + after - before for total, (before, after) in zip(sums, pairwise(times), strict=True)]
    return sums


def _spooled(found: list[Record], source: Source, intake: Intake) -> float:
    """Return the seconds of the whole way from bytes into the spool."""
    return _seconds(lambda: [intake.accept(source, found[at : at + GROUP]) for at in range(0, len(found), GROUP)])


def _references(turn: int) -> tuple[float, float]:
    """Return the seconds of the two references, each of one record."""
    messages = [data.decode() for data in records.hl7_adt(200, turn)]
    objects = records.json_objects(200)
    repeated = range(3)
    return (
        min(_seconds(lambda: _each(_split, messages)) for _ in repeated) / 200,
        min(_seconds(lambda: _each(orjson.loads, objects)) for _ in repeated) / 200,
    )


def _split(text: str) -> object:
    return [line.split("|") for line in text.split("\r")]


def _each(work: Callable[[Any], object], values: list[Any]) -> None:
    for value in values:
        work(value)


def _seconds(work: Callable[[], object]) -> float:
    before = process_time()
    work()
    return process_time() - before


def _figures(case: Case, times: Times) -> list[Figure]:
    loads = f"{LOADS} ({1 / times.loads:,.0f}/s)"
    whole, target = times.parse + times.scrub, case.target / LOADS_ON_REFERENCE
    figures = [
        Figure(f"{case.name}: parse", 1 / times.parse, "records/s", loads, times.loads / times.parse, "shown"),
        Figure(f"{case.name}: parse and scrub", 1 / whole, "records/s", loads, times.loads / whole, f"≥ {target:.3f}"),
        Figure(f"{case.name}: scrub", times.scrub * 1e6, "µs", "parsing", times.scrub / times.parse, "≤ 0.40"),
        Figure(f"{case.name}: encode", times.encode * 1e6, "µs", "parsing", times.encode / times.parse, "shown"),
        Figure(f"{case.name}: spooled", 1 / times.spooled, "records/s", loads, times.loads / times.spooled, "shown"),
    ]
    if case.make is records.hl7_adt:
        split, target = f"{SPLIT} ({1 / times.split:,.0f}/s)", case.target / SPLIT_ON_REFERENCE
        beside = Figure(figures[1].name, 1 / whole, "records/s", split, times.split / whole, f"≥ {target:.3f}")
        figures.insert(2, beside)
    return figures
