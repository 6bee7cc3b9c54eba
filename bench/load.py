"""Loading rules: cold, and from the cache of compiled rules."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.figures import Figure
from bench.rules import sigmahq
from detections.sigma import Ruleset
from detections.sigma.cache import RuleCache


def run(quick: bool) -> list[Figure]:
    """Measure the median of several loads of all rules, and the programs of every log source that a rule names."""
    rounds = 1 if quick else 5
    with tempfile.TemporaryDirectory() as folder:
        paths, cache = sigmahq(Path(folder, "rules")), Path(folder, "cache")
        cold = _median(lambda: Ruleset.load(paths), rounds)
        Ruleset.load(paths, cache=RuleCache(cache))
        warm = _median(lambda: Ruleset.load(paths, cache=RuleCache(cache)), rounds)
        rules = Ruleset.load(paths, cache=RuleCache(cache))
        programs = _median(lambda: _programs(rules), 1)
    count = f"{len(rules.rules):,} rules"
    return [
        Figure(f"load, cold, {count}", cold * 1000, "ms", "5 s", cold / 5, "≤ 1"),
        Figure(f"load, from the cache, {count}", warm * 1000, "ms", "1 s", warm, "≤ 1"),
        Figure("programs of all log sources", programs * 1000, "ms", "a cold load", programs / cold, "none"),
    ]


def _programs(rules: Ruleset) -> None:
    for source in {rule.logsource for rule in rules.rules}:
        rules.program(source)


def _median(work: Callable[[], object], rounds: int) -> float:
    found = []
    for _ in range(rounds):
        started = perf_counter()
        work()
        found.append(perf_counter() - started)
    return median(found)
