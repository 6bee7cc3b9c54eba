"""Matching, decoding included, beside decoding alone and beside RSigma where it is on PATH: processor time."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import process_time

import orjson

from bench.figures import Figure
from bench.rules import Line, hospital_lines, sigmahq, windows_lines
from detections.sigma import PACK, Ruleset
from detections.sigma.ruleset import ZONE, settle

_TURN = 500  # lines
_FIELDS = "winlog.event_data."
_NAMES = {"winlog.event_id": "EventID", "winlog.channel": "Channel", "winlog.provider_name": "Provider_Name"}


def run(quick: bool) -> list[Figure]:
    """Measure SigmaHQ's Windows rules on real Windows events, and the shipped pack on a day of two hospitals."""
    with tempfile.TemporaryDirectory() as folder:
        rules = [path for each in sigmahq(Path(folder)) for path in each.rglob("rules/windows")]
        windows = windows_lines(every=20 if quick else 1)
        figures = _figures("SigmaHQ on Windows events", Ruleset.load(rules), windows, "0.33") if windows else []
        if windows and rules and shutil.which("rsigma"):
            figures.append(_beside_rsigma(figures[0], rules[0], windows))
    hospital = list(hospital_lines(1_000 if quick else 10_000))
    return [*figures, *_figures("shipped pack on hospital events", Ruleset.load([PACK]), hospital, "0.20")]


def _figures(name: str, rules: Ruleset, lines: Sequence[Line], target: str) -> list[Figure]:
    for _, source in lines:
        rules.program(source)
    settle()
    figures = []
    for number in ("first pass", "second pass", "third pass"):
        decoding, matching = _seconds(rules, lines)
        rate = len(lines) / matching
        figures.append(
            Figure(f"{name}, {number}", rate, "events/s", "orjson.loads", decoding / matching, f"≥ {target}")
        )
    return figures


def _seconds(rules: Ruleset, lines: Sequence[Line]) -> tuple[float, float]:
    """Return the time of decoding alone and of matching, taken in turns: what else the machine does concerns both."""
    decoding = matching = 0.0
    for start in range(0, len(lines), _TURN):
        part = lines[start : start + _TURN]
        began = process_time()
        for raw, _ in part:
            orjson.loads(raw)
        decoded = process_time()
        match(rules, part)
        decoding, matching = decoding + decoded - began, matching + process_time() - decoded
    return decoding, matching


def match(rules: Ruleset, lines: Sequence[Line]) -> None:
    """Match as the matcher does."""
    for raw, source in lines:
        program = rules.program(source)
        candidates = program.candidates(raw)
        if candidates.places != ():
            program.match(program.decode(raw, candidates), ZONE, candidates)


def _beside_rsigma(ours: Figure, rules: Path, lines: Sequence[Line]) -> Figure:
    """Measure RSigma with the same rules on the same events, under SigmaHQ's names; its start is taken off."""
    once, all_lines = (_rsigma_seconds(rules, part) for part in (lines[:1], lines))
    rate = (len(lines) - 1) / (all_lines - once)
    version = subprocess.run(["rsigma", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    return Figure(
        f"{ours.name}, beside it", ours.value, "events/s", f"{version} ({rate:,.0f}/s)", ours.value / rate, "≥ 3"
    )


def _rsigma_seconds(rules: Path, lines: Sequence[Line]) -> float:
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        file.writelines(_of_sigmahq(*line) + b"\n" for line in lines)
        file.flush()
        command = ["rsigma", "engine", "eval", "--rules", str(rules), "--logsource-routing", "--quiet"]
        started = getrusage(RUSAGE_CHILDREN)
        subprocess.run([*command, "--event", f"@{file.name}"], stdout=subprocess.DEVNULL, check=True)
        ended = getrusage(RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime


def _of_sigmahq(raw: bytes, source: object) -> bytes:
    doc = orjson.loads(raw)
    fields = {_NAMES.get(name, name.removeprefix(_FIELDS)): value for name, value in doc.items()}
    named = {name: value for name in ("product", "category", "service") if (value := getattr(source, name))}
    return orjson.dumps(fields | named)
