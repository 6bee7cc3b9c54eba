"""Matches through correlations with many open groups, decoding included, beside decoding alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import orjson
import yaml

from bench.figures import Figure
from detections.correlation import records
from detections.correlation.correlator import Correlator
from detections.sigma import Ruleset, RuleText
from detections.sigma.ruleset import ZONE
from detections.sigma.view import View
from wardwatch import topics
from wardwatch.bus import Record
from wardwatch.event import Event, LogSource, rfc3339

RULES = 200
_START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
_STEP_MS = 5  # 100,000 groups are heard once in 500 s: all are open within the timespan
_CONDITIONS: tuple[dict[str, Any], ...] = (
    {"type": "event_count", "condition": {"gte": 5}},
    {"type": "value_count", "condition": {"field": "destination.port", "gte": 5}},
    {"type": "value_sum", "condition": {"field": "network.bytes", "gte": 100_000}},
    {"type": "temporal", "condition": {"gte": 2}},
    {"type": "temporal_ordered"},
)


def run(quick: bool) -> list[Figure]:
    """Open the groups, then measure further matches of each of them."""
    groups, more = (10_000, 10_000) if quick else (100_000, 100_000)
    fed = list(_records(_ruleset(), groups + more))
    correlator = Correlator(history=lambda *_: (), lateness_ms=15_000, limit=2 * groups, longest_ms=lambda: 600_000)
    before = _resident_bytes()
    _seconds(correlator.take, fed[:groups])
    grown = (_resident_bytes() - before) / groups
    ours = more / _seconds(correlator.take, fed[groups:])
    decoding = more / _seconds(lambda record: orjson.loads(record.value or b""), fed[groups:])
    size = sum(len(record.value or b"") for record in fed) / len(fed)
    return [
        Figure(
            f"correlate, {RULES} rules, {groups:,} groups", ours, "matches/s", "orjson.loads", ours / decoding, "0.10"
        ),
        Figure("correlate, memory of a group", grown, "bytes", "its record", grown / size, "linear"),
    ]


def _seconds(take: Callable[[Record], object], fed: Iterable[Record]) -> float:
    started = time.perf_counter()
    for record in fed:
        take(record)
    return time.perf_counter() - started


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGESIZE")


def _records(ruleset: Ruleset, count: int) -> Iterator[Record]:
    correlated = ruleset.correlated
    for number in range(count):
        event = _event(number)
        intakes = correlated.of([_identity(number % RULES)], event.tenant)
        ((fed, above),) = records.of_event(intakes, event, View(event.doc, ZONE))
        taken_ms = fed.at_ms + 50
        yield Record(
            topics.MATCHES.name,
            0,
            number,
            fed.key(above),
            msgspec.json.encode(fed),
            fed.headers(),
            timestamp_ms=taken_ms,
        )


def _event(number: int) -> Event:
    host = number // RULES % 500
    doc = {
        "event.id": f"{number:032x}",
        "@timestamp": rfc3339(_START + timedelta(milliseconds=number * _STEP_MS)),
        "event.action": f"action-{number % 17}",
        "host.name": f"ward-{host}",
        "user.id": f"st_{number % 900:024x}",
        "source.ip": f"10.{host % 7}.{host % 251}.{host % 241}",
        "destination.ip": f"172.16.{number % 31}.{number % 199}",
        "destination.port": number % 1_000,
        "network.bytes": number % 4_000,
        "process.command_line": rf"C:\Windows\System32\tool{number % 300}.exe /c run --part {number % 1000}",
    }
    return Event(doc, "hospital_a", "bench", LogSource("bench"), received=_START + timedelta(days=1))


def _identity(number: int) -> str:
    return str(UUID(int=number + 1))


def _ruleset() -> Ruleset:
    ruleset = Ruleset.of([RuleText(Path("bench.yml"), yaml.safe_dump_all(_rules()))])
    if ruleset.rejected:
        raise ValueError(str(ruleset.rejected[0]))
    return ruleset


def _rules() -> Iterator[dict[str, Any]]:
    for number in range(2 * RULES):
        yield {
            "title": f"Plain {number}",
            "id": _identity(number),
            "logsource": {"product": "bench"},
            "detection": {"selection": {"event.action": f"action-{number}"}, "condition": "selection"},
        }
    for number in range(RULES):
        own = _CONDITIONS[number % len(_CONDITIONS)]
        rules = [_identity(number), _identity(RULES + number)]
        body = {"rules": rules, "group-by": ["host.name"], "timespan": "10m", **own}
        yield {"title": f"Correlation {number}", "id": _identity(2 * RULES + number), "correlation": body}
