"""The state in force in one worker: follows the tables in a thread, off the hot path, and swaps one reference."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self

import msgspec
import prometheus_client
import structlog

from detections.control import state
from detections.control.reports import BEAT_S, Report
from detections.control.rows import place
from detections.control.state import State
from detections.sigma import PACK, Rejected, RuleText, Vocabulary, loading, pipelines, placeholders
from detections.sigma.ruleset import settle
from wardwatch.bus import Bus
from wardwatch.errors import RuleError, SettingsError, Unavailable
from wardwatch.settings import MatcherSettings
from wardwatch.stage import Runtime
from wardwatch.tables import Tables
from wardwatch.topics import WORKERS

log = structlog.get_logger()

RULES = prometheus_client.Gauge("wardwatch_rules", "Rules by what became of them", ["outcome"])
"""``outcome``: loaded; no_data (loaded, but no parser's events can meet it);
rejected (of files); refused (rows, of which the last good state is in force)."""

REJECTED = prometheus_client.Gauge(
    "wardwatch_rule_rejected", "1 for each rule or row that is not in force as it is written", ["place", "reason"]
)
MOST_REJECTED = 50
"""So many reasons are told by metric, health page and report; ``wardwatch rules list --rejected`` tells all."""
_REASON_CHARACTERS = 300

_LOOK_S = 0.5
_SETTLE_S = 0.2  # rows written together are taken together


def rule_paths(settings: MatcherSettings) -> list[Path]:
    """Return the shipped rules and the operator's own; raises SettingsError for a folder that is not there."""
    for path in settings.rules:
        if not path.exists():
            raise SettingsError(f"matcher.rules: {path} does not exist", step="matcher")
    return [*([PACK] if settings.shipped_rules else []), *settings.rules]


def vocabulary(settings: MatcherSettings) -> Vocabulary:
    """Return what the names in rules stand for by the settings; raises SettingsError naming the file that is wrong."""
    lists = placeholders.read(settings.placeholders) if settings.placeholders else {}
    try:
        return Vocabulary(lists, pipelines.combined((*pipelines.read([*settings.pipelines, pipelines.FOLDER]),)))
    except RuleError as error:
        raise SettingsError(f"matcher.pipelines: {error.record}: {error.reason}", step="matcher") from None


def rule_files(settings: MatcherSettings) -> Iterator[RuleText | Rejected]:
    """Yield the texts of the shipped rules and the operator's own, or why one can't be read."""
    return (loading.read(file) for path in rule_paths(settings) for file in loading.files(path))


def unlogged(settings: MatcherSettings) -> State:
    """Return the state of rule files alone."""
    return State.of(rule_files(settings), vocabulary(settings))


def of_files(settings: MatcherSettings) -> State:
    """Return the state of rule files alone; each rejected one is logged."""
    found = unlogged(settings)
    for rejected in found.rejected:
        log.error("rule_rejected", file=str(rejected.file), line=rejected.line, reason=rejected.reason)
    return found


class InForce(Protocol):
    """Where a worker reads what is in force, once a batch."""

    state: State


class Live:
    """Use it as a context; ``state`` is what is in force now, to be read once a batch."""

    def __init__(self, files: State, tables: Tables, bus: Bus, runtime: Runtime) -> None:
        self.state = files
        self._tables = tables
        self._runtime = runtime
        self._producer = bus.producer()
        self._position = -1
        self._reported_s = float("-inf")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="rules", daemon=True)

    def __enter__(self) -> Self:
        self._take()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()
        self._report(leaving=True)
        self._producer.close()

    def _follow(self) -> None:
        while not self._closing.is_set():
            if self._tables.wait(self._position, _LOOK_S):
                self._closing.wait(_SETTLE_S)
                self._take()
            if time.monotonic() - self._reported_s > BEAT_S:
                self._report()

    def _take(self) -> None:
        position, rows = self._tables.snapshot(state.tables())
        try:
            after = self.state.change(rows)
        except Exception as error:  # whatever a change does to the engine, what was in force goes on
            log.exception("rules_not_changed")
            self._runtime.report("rules", ok=False, message=f"{type(error).__name__}: {error}"[:300])
        else:
            for row, reason in after.refused.items() - self.state.refused.items():
                log.error("row_refused", row=str(place(row)), reason=reason)
            self.state = after
            settle()
            self._show()
        self._position = position
        self._report()

    def _show(self) -> None:
        now = self.state
        rejected = len(now.unread) + len(now.ruleset.rejected)
        for outcome, count in (
            ("loaded", now.ruleset.loaded),
            ("no_data", now.ruleset.no_data),
            ("refused", now.refused),
        ):
            RULES.labels(outcome).set(len(count))
        RULES.labels("rejected").set(rejected)
        REJECTED.clear()
        for place_of, reason in (_rejected(now) | _refused(now)).items():
            REJECTED.labels(place_of, reason).set(1)
        message = f"{len(now.ruleset.loaded)} loaded, {rejected} rejected"
        message += f", {len(now.refused)} rows refused" if now.refused else ""
        self._runtime.report("rules", ok=True, message=message, refused=_refused(now), rejected=_rejected(now))

    def _report(self, *, leaving: bool = False) -> None:
        runtime, now = self._runtime, self.state
        worker = f"{runtime.stage}-{runtime.instance}@{socket.gethostname()}"
        loaded = len(now.ruleset.loaded)
        report = Report(worker, self._position, loaded, _refused(now), leaving, _rejected(now))
        try:
            self._producer.send(WORKERS.name, msgspec.json.encode(report), key=worker)
            self._producer.flush()
        except Unavailable as error:
            log.warning("not_reported", reason=str(error))
        self._reported_s = time.monotonic()


def _refused(now: State) -> dict[str, str]:
    first = list(now.refused.items())[:MOST_REJECTED]
    return {str(place(row)): reason[:_REASON_CHARACTERS] for row, reason in first}


def _rejected(now: State) -> dict[str, str]:
    first = [*now.unread, *now.ruleset.rejected][:MOST_REJECTED]
    return {f"{each.file}:{each.line}": each.reason[:_REASON_CHARACTERS] for each in first}
