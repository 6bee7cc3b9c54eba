"""Applying a configuration that the provider signed, on trial first: the one before comes back when it gets worse."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec.structs import replace

from ingest.intake import Intake, Source, source_of
from ingest.parsers import Record
from ingest.remote import state as memory
from ingest.remote.allowed import configured
from ingest.remote.follow import Follower
from ingest.remote.signed import Row, public_key, verified
from ingest.remote.state import Refused, Trial
from ingest.spool import Entry
from wardwatch.errors import DecodeError, SettingsError
from wardwatch.event import Document, rfc3339
from wardwatch.settings import CollectorSettings
from wardwatch.stage import Runtime

log = structlog.get_logger()

PART = "configuration"
WELL = 0.9
"""Share of parsed records from which a source parses well."""
BADLY = 0.5
LEAST = 20
"""Records that must have come before the share counts while the trial lasts; at its end one is enough."""
STARTS = 2
"""How often a configuration may be started during its trial: one that ends the process must not do so for ever."""
_OTHERS = frozenset((PART, "bus", "certificate"))
"""Parts of the health that sources can't break."""


class Tally:
    """Counts what becomes of records during a trial, by source and by place: a source may have got another parser."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._parsed: Counter[str] = Counter()

    def offer(self, source: Source, _: Record, entries: Sequence[Entry]) -> None:
        """Count one record; a filtered one says nothing."""
        kinds = {entry.kind for entry in entries} - {"filtered"}
        for each in (source.label, _place(source)) if kinds else ():
            self._taken[each] += 1
            self._parsed[each] += "dead_lettered" not in kinds

    def worse(self, well: frozenset[str], least: int) -> str:
        """Tell one that parsed well, and now less than half of at least so many records; "" where there is none."""
        for each in sorted(well):
            taken, parsed = self._taken[each], self._parsed[each]
            if taken >= least and parsed < BADLY * taken:
                return f"of {taken} records of {each} {parsed} were parsed, before nearly all"
        return ""


def _place(source: Source) -> str:
    own = source.settings
    return f"{own.transport} {own.listen or own.url}{own.path}"


class Rollout:
    """Decides which sources a collector has: those of its own settings until a signed configuration is applied.

    ``reopen`` closes all listeners and opens others; it raises SettingsError, and then none is open. All calls are
    made by one thread, except ``told``.
    """

    def __init__(
        self,
        local: CollectorSettings,
        key: Path,
        folder: Path,
        intake: Intake,
        runtime: Runtime,
        reopen: Callable[[CollectorSettings], None],
    ) -> None:
        self._local = local
        self._key: Ed25519PublicKey = public_key(key)
        self._folder = folder
        self._intake = intake
        self._runtime = runtime
        self._reopen = reopen
        self._current = local
        self._state = memory.load(folder)
        self._judged: Document | None = None
        self._tally = Tally()
        self._ends = 0.0
        self._until = ""

    def start(self) -> None:
        """Open what is in force, as remembered; raises SettingsError as the local sources would."""
        trial = self._state.trial
        if trial is None:
            self._open(self._state.applied)
        elif trial.starts >= STARTS:
            self._roll_back(f"the collector was started {trial.starts + 1} times during the trial")
        else:
            self._try(trial)

    def turn(self, follower: Follower) -> None:
        """Judge a row that is new, and the trial that is under way."""
        row = follower.row
        if row is not None and row != self._judged:
            self._judged = row
            self._judge(row)
        if self._state.trial is not None:
            self._watch(self._state.trial)
        self._report(follower.problem)

    def told(self) -> dict[str, Any]:
        """Return what heartbeat and health say: the version in force (None: the local sources), trial and refusal."""
        state = self._state
        return {
            "version": state.applied.version if state.applied else None,
            "trial_until": self._until if state.trial else None,
            "refused": {"version": state.refused.version, "reason": state.refused.reason} if state.refused else None,
        }

    def _judge(self, document: Document) -> None:
        try:
            row = verified(document, self._key, self._intake.tenant)
        except DecodeError as error:
            self._refuse(None, error.reason)
            return
        state = self._state
        if state.applied == row:
            self._set(replace(state, refused=None))
        elif row.version <= state.tried:
            tried_before = state.refused is not None and state.refused.version == row.version
            if not tried_before:
                self._refuse(row.version, f"version {row.version} is not newer than {state.tried}")
        else:
            self._apply(row)

    def _apply(self, row: Row) -> None:
        try:
            configured(row.text, self._local)
        except SettingsError as error:
            self._refuse(row.version, str(error))
            return
        state = self._state
        trial = replace(state.trial, starts=0) if state.trial else Trial(self._well(), self._failing())
        previous = state.previous if state.trial else state.applied
        self._set(memory.State(row.version, row, previous, trial))
        log.info("configuration_on_trial", version=row.version)
        self._try(trial)

    def _try(self, trial: Trial) -> None:
        self._set(replace(self._state, trial=replace(trial, starts=trial.starts + 1)))
        self._intake.unwatch(self._tally)
        self._tally = Tally()
        self._ends = time.monotonic() + self._local.trial_s
        self._until = rfc3339(datetime.now(UTC) + timedelta(seconds=self._local.trial_s))
        self._intake.watch(self._tally)
        try:
            self._open(self._state.applied)
        except SettingsError as error:
            self._roll_back(str(error))

    def _watch(self, trial: Trial) -> None:
        over = time.monotonic() >= self._ends
        failing = sorted(self._failing() - trial.failing)
        if failing:
            self._roll_back(f"{failing[0]} fails: {self._parts()[failing[0]]['message']}")
        elif worse := self._tally.worse(trial.well, 1 if over else LEAST):
            self._roll_back(worse)
        elif over:
            self._end_trial()
            log.info("configuration_applied", version=self._state.tried)

    def _roll_back(self, reason: str) -> None:
        state = self._state
        log.error("configuration_rolled_back", version=state.tried, reason=reason)
        self._end_trial(applied=state.previous, refused=Refused(state.tried, reason))
        self._open(state.previous)

    def _end_trial(self, **changes: Any) -> None:
        self._intake.unwatch(self._tally)
        self._set(replace(self._state, trial=None, **changes))

    def _open(self, row: Row | None) -> None:
        self._current = self._settings(row)
        self._reopen(self._current)

    def _settings(self, row: Row | None) -> CollectorSettings:
        """Return the settings of a row; the local ones where the hospital's no longer allow it."""
        if row is None:
            return self._local
        try:
            return configured(row.text, self._local)
        except SettingsError as error:
            tried = min(self._state.tried, row.version - 1)  # once the hospital allows it again, it may be applied
            self._set(memory.State(tried, refused=Refused(row.version, str(error))))
            return self._local

    def _refuse(self, version: int | None, reason: str) -> None:
        log.error("configuration_refused", version=version, reason=reason)
        self._set(replace(self._state, refused=Refused(version, reason)))

    def _set(self, state: memory.State) -> None:
        if state != self._state:
            memory.save(self._folder, state)
            self._state = state

    def _report(self, problem: str) -> None:
        told = self.told()
        refused = self._state.refused
        message = refused.reason if refused else f"not asked: {problem}" if problem else ""
        self._runtime.report(PART, ok=refused is None, message=message, **told)

    def _parts(self) -> Mapping[str, Mapping[str, Any]]:
        parts: Mapping[str, Mapping[str, Any]] = self._runtime.health()["parts"]
        return parts

    def _failing(self) -> frozenset[str]:
        return frozenset(name for name, part in self._parts().items() if not part["ok"]) - _OTHERS

    def _well(self) -> frozenset[str]:
        counters = self._intake.spool.counters()
        labels = {label for label, counts in counters.items() if _share(counts) >= WELL}
        sources = [source_of(each, self._current) for each in self._current.sources]
        return frozenset(labels | {_place(source) for source in sources if source.label in labels})


def _share(counts: Mapping[str, int]) -> float:
    settled = counts["forwarded"] + counts["dead_lettered"]
    return counts["forwarded"] / settled if settled else 0.0


def in_force(local: CollectorSettings, folder: Path) -> CollectorSettings:
    """Return the settings by which the collector of a folder works; raises SettingsError."""
    row = memory.load(folder).applied if local.configured_by else None
    try:
        return configured(row.text, local) if row else local
    except SettingsError:
        return local
