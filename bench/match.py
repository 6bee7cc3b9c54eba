"""Matching on one core, decoding included, beside decoding alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson
import yaml

from bench.figures import Figure
from detections.sigma import PACK, Ruleset
from wardwatch.event import Document, LogSource, from_record, rfc3339

SYNTHETIC_RULES = 300
_SOURCES = (
    LogSource("windows", "process_creation", "sysmon"),
    LogSource("dicom", "", "audit"),
    LogSource("mysql", "database", "audit"),
    LogSource("linux", "", "sshd"),
    LogSource("huawei", "firewall", "usg"),
)
_START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def run(quick: bool) -> list[Figure]:
    """Measure the shipped pack and a synthetic set of SYNTHETIC_RULES rules on the same events."""
    lines = [(orjson.dumps(doc), source) for doc, source in _events(2_000 if quick else 10_000)]
    seconds = 1.0 if quick else 5.0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rules.yml").write_text(yaml.safe_dump_all(_rules()), "utf-8")
        sets = {"match, shipped pack": Ruleset.load([PACK]), "match, 300 rules": Ruleset.load([Path(folder)])}
    decoding = _rate(lambda: [orjson.loads(line) for line, _ in lines], len(lines), seconds / 2)
    figures = []
    for name, rules in sets.items():
        rate = _rate(lambda rules=rules: _match(rules, lines), len(lines), seconds)  # type: ignore[misc]
        figures.append(Figure(name, rate, "events/s", "orjson.loads", rate / decoding, "0.30 with the fast engine"))
    return figures


def _match(rules: Ruleset, lines: list[tuple[bytes, LogSource]]) -> None:
    for line, source in lines:
        headers = {"product": source.product, "category": source.category, "service": source.service}
        rules.match(from_record(line, headers, "hospital_a"))


def _rate(work: Callable[[], object], count: int, seconds: float) -> float:
    started, rounds = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        work()
        rounds += 1
    return count * rounds / elapsed


def _events(count: int) -> Iterator[tuple[Document, LogSource]]:
    for number in range(count):
        source = _SOURCES[number % len(_SOURCES)]
        yield (
            {
                "event.id": f"{number:032x}",
                "@timestamp": rfc3339(_START + timedelta(seconds=number)),
                "event.action": f"action-{number % 17}",
                "event.outcome": "failure" if number % 11 == 0 else "success",
                "host.name": f"ward-{number % 400}",
                "user.id": f"st_{number % 900:024x}",
                "source.ip": f"10.{number % 7}.{number % 251}.{number % 241}",
                "destination.ip": f"172.16.{number % 31}.{number % 199}",
                "process.command_line": rf"C:\Windows\System32\tool{number % 300}.exe /c run --part {number % 1000}",
                "winlog.event_data.Image": rf"C:\Program Files\Vendor{number % 50}\tool{number % 300}.exe",
                "message": f"event {number} of a ward, nothing to see " * 4,
            },
            source,
        )


def _rules() -> Iterator[Document]:
    for number in range(SYNTHETIC_RULES):
        source = _SOURCES[number % len(_SOURCES)]
        named = {"product": source.product, "category": source.category, "service": source.service}
        yield {
            "title": f"Synthetic {number}",
            "id": str(UUID(int=number + 1)),
            "logsource": {name: value for name, value in named.items() if value},
            "detection": {
                "image": {
                    "process.command_line|contains": [f"tool{number}9.exe", f"-x{number}"],
                    "event.outcome": "failure",
                },
                "known": {"host.name|startswith": "icu-"},
                "network": {"source.ip|cidr": f"192.168.{number % 256}.0/24"},
                "condition": "(image or network) and not known",
            },
        }
