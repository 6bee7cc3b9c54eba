"""How long a change of rules takes to be in force while matcher and alerter work on events without a pause."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import yaml

from bench.figures import Figure
from bench.rules import Line, sigmahq, windows_lines
from detections import matches
from wardwatch import topics
from wardwatch.alert import Status
from wardwatch.bus import Bus, open_bus
from wardwatch.event import Event, LogSource, encode, rfc3339
from wardwatch.store import AlertQuery, Scope, open_store
from wardwatch.tables import Tables

TENANT = "bench"
AHEAD = 2_000
"""So many events wait for the matcher at any time."""
_EVERY, _NEW, _MAPPED, _WIDE = (str(UUID(int=number)) for number in (1, 2, 3, 4))
_WINDOWS = {"product": "windows"}
_LIMIT_S = 90.0


def run(quick: bool) -> list[Figure]:
    """Change one row after the other under full load.

    Rule and filters concern every Windows event; the wide pipeline renames what a thousand rules read.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "own.yml")
        watched = ((_EVERY, "bench.flow"), (_MAPPED, "bench_name"), (_WIDE, "bench_wide"))
        own.write_text(yaml.safe_dump_all(_rule(*each) for each in watched), "utf-8")
        rules = [*sigmahq(Path(folder, "rules")), own]
        with _System(Path(folder), rules, windows_lines(every=40) or [(b"{}", LogSource("windows"))]) as system:
            return list(_figures(system))


def _figures(system: _System) -> Iterator[Figure]:
    system.until(lambda: len(system.met(_EVERY)) > AHEAD, "the first events are matched")
    filters = [_filter("any", "bench.other"), _filter([_NEW], "bench.flow")]
    wide = {"bench_wide": "bench.flow", "CommandLine": ["process.command_line", "process.args"]}
    by = {"by": "bench", "reason": "bench", "expires": rfc3339(datetime.now(UTC) + timedelta(days=1))}
    yield _figure("change, rules", system.begins(_NEW, "rules", "new.yml", _text(_rule(_NEW, "bench.flow"))))
    narrow = _text(_pipeline({"bench_name": "bench.flow"}))
    yield _figure("change, pipelines", system.begins(_MAPPED, "pipelines", "narrow.yml", narrow))
    yield _figure("change, pipelines, wide", system.begins(_WIDE, "pipelines", "wide.yml", _text(_pipeline(wide))))
    yield _figure("change, filters", system.ends(_NEW, "filters", "known.yml", _text(*filters)))
    yield _figure("change, mutes", system.ends(_MAPPED, "mutes", _MAPPED, by))
    yield _figure("change, suppressions", system.suppresses("bench", {**by, "rule": _EVERY}))
    sent, found = system.all()
    wrong = abs(sent - len(set(found))) + len(found) - len(set(found))
    yield Figure("change, events lost or doubled", wrong, "events", f"{sent:,} sent", wrong / sent, "0")


def _figure(name: str, seconds: float) -> Figure:
    return Figure(name, seconds * 1000, "ms", "5 s", seconds / 5, "≤ 1")


def _rule(identity: str, field: str) -> dict[str, Any]:
    detection = {"selection": {field: "x"}, "condition": "selection"}
    own = {"group_by": ["bench.group"]}
    return {"title": identity, "id": identity, "logsource": _WINDOWS, "detection": detection, "wardwatch": own}


def _pipeline(mapping: dict[str, Any]) -> dict[str, Any]:
    step = {"type": "field_name_mapping", "mapping": mapping, "rule_conditions": [{"type": "logsource", **_WINDOWS}]}
    return {"name": "bench", "transformations": [step]}


def _filter(rules: object, field: str) -> dict[str, Any]:
    body = {"rules": rules, "selection": {field: "x"}, "condition": "not selection"}
    return {"title": field, "logsource": _WINDOWS, "filter": body}


def _text(*documents: dict[str, Any]) -> dict[str, str]:
    return {"text": yaml.safe_dump_all(documents)}


class _System:
    """Matcher and alerter as processes of their own on an embedded bus that always has events for them."""

    def __init__(self, folder: Path, rules: Sequence[Path], lines: Sequence[Line]) -> None:
        self._lines = [(orjson.loads(raw), source) for raw, source in lines]
        self._env = {
            **os.environ,
            "WARDWATCH_DATA_DIR": str(folder),
            "WARDWATCH_BUS": f"sqlite:///{folder / 'bus.sqlite'}",
            "WARDWATCH_STORE": f"sqlite:///{folder / 'store.sqlite'}",
            "WARDWATCH_MATCHER__RULES": orjson.dumps(list(map(str, rules))).decode(),
            "WARDWATCH_MATCHER__SHIPPED_RULES": "false",
            "WARDWATCH_HEALTH_PORT": "0",
            "WARDWATCH_LOG_LEVEL": "error",
        }
        self._bus: Bus = open_bus(self._env["WARDWATCH_BUS"])
        self._bus.ensure_topics([*topics.shared(), *topics.of_tenant(TENANT)])
        self._store = open_store(self._env["WARDWATCH_STORE"])
        self._store.setup()
        self._tables = Tables(self._bus)
        self._reader = self._bus.reader([topics.MATCHES.name])
        self._met: dict[str, dict[int, int]] = {}
        self._every: list[int] = []
        self._sent = 0
        self._stopping = threading.Event()
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._stages: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> _System:
        for stage in ("matcher", "alerter"):
            command = [sys.executable, "-m", "wardwatch", "run", stage]
            self._stages.append(subprocess.Popen(command, env=self._env))
        self._sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._sender.join()
        for stage in self._stages:
            stage.kill()
            stage.wait()
        self._tables.close()
        self._reader.close()
        self._store.close()
        self._bus.close()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Read matches until the condition holds; raises TimeoutError."""
        deadline = time.monotonic() + _LIMIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            self._read()

    def met(self, rule: str) -> dict[int, int]:
        """Return by the events that the rule has met when the bus took the match (Unix ms)."""
        return self._met.setdefault(rule, {})

    def begins(self, rule: str, table: str, key: str, row: dict[str, Any]) -> float:
        """Write a row and return the seconds until the first event that the rule meets for it."""
        with self._written(table, key, row) as written_ms:
            self.until(lambda: bool(self.met(rule)), f"{table} in force")
        return (min(self.met(rule).values()) - written_ms) / 1000

    def ends(self, rule: str, table: str, key: str, row: dict[str, Any]) -> float:
        """Write a row and return the seconds until the first event that the rule does not meet for it."""
        with self._written(table, key, row) as written_ms:
            self.until(lambda: max(self.met(_EVERY)) > max(self.met(rule)) + AHEAD, f"{table} in force")
        first = min(number for number in self.met(_EVERY) if number > max(self.met(rule)))
        return (self.met(_EVERY)[first] - written_ms) / 1000

    def suppresses(self, key: str, row: dict[str, Any]) -> float:
        """Write a suppression and return the seconds until the first alert is made as suppressed."""
        query = AlertQuery(statuses=frozenset((Status.SUPPRESSED,)))
        with self._written("suppressions", key, row) as written_ms:
            self.until(lambda: bool(self._store.alerts.search(Scope("bench"), query, limit=1).items), "suppressed")
        return time.time() - written_ms / 1000

    def all(self) -> tuple[int, list[int]]:
        """Stop sending; return the number of events sent, and the event of each match once all are worked on."""
        self._stopping.set()
        self._sender.join()
        self.until(lambda: len(self._every) >= self._sent, "all events are matched")
        self._read()
        return self._sent, self._every

    @contextmanager
    def _written(self, table: str, key: str, row: dict[str, Any]) -> Iterator[int]:
        self._read()
        written_ms = time.time_ns() // 1_000_000
        self._tables.put(table, "", key, row)
        yield written_ms

    def _read(self) -> None:
        for record in self._reader.poll(max_records=5_000, timeout_s=0.1):
            found = matches.decode(record.value or b"")
            number = int(found.event_id)
            self.met(found.rule.id)[number] = record.timestamp_ms
            if found.rule.id == _EVERY:
                self._every.append(number)

    def _send(self) -> None:
        producer = self._bus.producer()
        while not self._stopping.is_set():
            if self._sent - len(self._every) > AHEAD:
                self._stopping.wait(0.02)
                continue
            for _ in range(500):
                doc, source = self._lines[self._sent % len(self._lines)]
                group = {"bench.flow": "x", "bench.group": f"g{self._sent // 100}"}
                whole = {"@timestamp": rfc3339(datetime.now(UTC)), **doc, **group, "event.id": str(self._sent)}
                event = Event(whole, TENANT, "bench", source)
                # one key, one partition: the order of matches is that of the events
                producer.send(topics.events(TENANT).name, encode(whole), key="bench", headers=event.headers())
                self._sent += 1
            producer.flush()
        producer.close()
