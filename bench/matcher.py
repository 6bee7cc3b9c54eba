"""The matcher process: on real Kafka beside a bare consumer of its topic, and two of them beside one without servers.

Ours and what it is compared with take turns, so that both meet the same machine; who waits is stopped.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import orjson
from kafka import KafkaConsumer, TopicPartition

from bench.figures import Figure
from bench.rules import Line, hospital_lines, sigmahq, windows_lines
from detections.control.state import State
from detections.matcher import Matcher
from detections.sigma import Ruleset
from detections.sigma.ruleset import settle
from detections.tenants import Tenants
from enrich.context import Context
from wardwatch import topics
from wardwatch.bus import Record, open_bus
from wardwatch.errors import BusUnavailable, SettingsError
from wardwatch.event import Document, Event, LogSource
from wardwatch.testing.kafka import KafkaServer
from wardwatch.testing.ports import wait_until
from wardwatch.worker import Rejects

_TENANT = "bench"
_TOPIC = topics.events(_TENANT)
_BATCH = 500
_WARM = 5  # the first of so many parts of the events only compiles programs and fills memories
_ROUNDS = 8
_MOST_TURNS = 100
_TURN_S = 0.3  # far less than a member of a group may be silent


class Took(NamedTuple):
    """Records, the seconds they took, and the seconds of processor time."""

    records: float = 0.0
    wall_s: float = 0.0
    processor_s: float = 0.0

    def plus(self, other: Took) -> Took:
        """Return the sum of two turns."""
        return Took(*map(sum, zip(self, other, strict=True)))


def run(quick: bool) -> list[Figure]:
    """Measure the whole process on Kafka, unless no broker can be started, and the matching stage in two processes."""
    with tempfile.TemporaryDirectory() as folder:
        rules = sigmahq(Path(folder, "rules"))
        lines = windows_lines(every=4 if quick else 1) or list(hospital_lines(5_000 if quick else 30_000))
        return [*_two(rules, lines), *_on_kafka(Path(folder), rules, lines)]


def _on_kafka(folder: Path, rules: Sequence[Path], lines: Sequence[Line]) -> Iterator[Figure]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(KafkaServer()).url
        except SettingsError as error:
            print(f"matcher on kafka left out: {error}", file=sys.stderr)
            return
        _send(url, lines)
        bare = stack.enter_context(closing(_Bare(url, len(lines))))
        process = stack.enter_context(_process(folder, url, rules))
        took, compared = _turns(_Ours(url, process, len(lines)), bare)
    kb = sum(len(raw) for raw, _ in lines) / len(lines) / 1000
    name = f"matcher on kafka, {kb:.1f} KB events"
    yield _figure(f"{name}, wall time", took, compared, lambda each: each.wall_s)
    yield _figure(f"{name}, processor time", took, compared, lambda each: each.processor_s)


def _figure(name: str, took: Took, compared: Took, seconds: Callable[[Took], float]) -> Figure:
    rate, other = (each.records / seconds(each) for each in (took, compared))
    return Figure(name, rate, "records/s", f"bare kafka-python ({other:,.0f}/s)", rate / other, "≥ 0.30")


def _send(url: str, lines: Sequence[Line]) -> None:
    bus = open_bus(url)
    bus.ensure_topics([*topics.shared(), *topics.of_tenant(_TENANT)])
    with closing(bus.producer()) as producer:
        for number, (raw, source) in enumerate(lines):
            event = _event(number, source)
            producer.send(_TOPIC.name, raw, key=event.id, headers=event.headers())
            if number % 1000 == 0:
                producer.flush()
        producer.flush()


def _turns(ours: _Ours, bare: _Bare) -> tuple[Took, Took]:
    took = compared = Took()
    for _ in range(_MOST_TURNS):
        turn = ours.turn()
        took, compared = took.plus(turn), compared.plus(bare.turn())
        if ours.left < turn.records:  # another turn would wait for records
            break
    return took, compared


class _Ours:
    """The matcher of a process, stopped between its turns; its progress is what it has committed."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], records: int) -> None:
        self._bus = open_bus(url)
        self._process = process
        wait_until(lambda: self._is_warm(records), timeout_s=120, what="the first events")
        self._process.send_signal(signal.SIGSTOP)
        self.left = self._uncommitted()

    def turn(self) -> Took:
        began, busy = time.perf_counter(), self._processor_s()
        self._process.send_signal(signal.SIGCONT)
        time.sleep(_TURN_S)
        self._process.send_signal(signal.SIGSTOP)
        wall_s, processor_s = time.perf_counter() - began, self._processor_s() - busy
        before, self.left = self.left, self._uncommitted()
        return Took(before - self.left, wall_s, processor_s)

    def _is_warm(self, records: int) -> bool:
        try:
            return self._uncommitted() < records * (1 - 1 / _WARM)
        except BusUnavailable:  # groups have no coordinator before the first of them has joined
            return False

    def _uncommitted(self) -> int:
        return sum(self._bus.lag("matcher", topics=[_TOPIC.name]).values())

    def _processor_s(self) -> float:
        return time.clock_gettime((~self._process.pid << 3) | 2)  # the clock of a process, clock_getcpuclockid(3)


class _Bare:
    """kafka-python reading the topic from its beginning."""

    def __init__(self, url: str, records: int) -> None:
        servers = url.removeprefix("kafka://").split(",")
        self._consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
        self._consumer.assign([TopicPartition(_TOPIC.name, number) for number in range(_TOPIC.partitions)])
        self._records = records

    def turn(self) -> Took:
        self._consumer.seek_to_beginning()
        left = self._records
        began, busy = time.perf_counter(), time.process_time()
        while left > 0:
            left -= sum(map(len, self._consumer.poll(timeout_ms=1000, max_records=_BATCH).values()))
        return Took(self._records, time.perf_counter() - began, time.process_time() - busy)

    def close(self) -> None:
        self._consumer.close()


@contextmanager
def _process(folder: Path, url: str, rules: Sequence[Path]) -> Iterator[subprocess.Popen[bytes]]:
    env = {
        **os.environ,
        "WARDWATCH_DATA_DIR": str(folder),
        "WARDWATCH_BUS": url,
        "WARDWATCH_MATCHER__RULES": orjson.dumps(list(map(str, rules))).decode(),
        "WARDWATCH_MATCHER__SHIPPED_RULES": "false",
        "WARDWATCH_HEALTH_PORT": "0",
        "WARDWATCH_LOG_LEVEL": "error",
    }
    process = subprocess.Popen([sys.executable, "-m", "wardwatch", "run", "matcher"], env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _two(rules: Sequence[Path], lines: Sequence[Line]) -> Iterator[Figure]:
    """Measure two processes, each on its half of the events in memory, in turns with each of them alone."""
    with ExitStack() as stack:
        state = State(ruleset=Ruleset.load(rules))
        pair = [stack.enter_context(_worker(state, lines[start::2])) for start in (0, 1)]
        _turn(pair)
        alone = together = Took()
        for _ in range(_ROUNDS):
            together = together.plus(_turn(pair))
            for worker in pair:
                alone = alone.plus(_turn([worker]))
    yield _twice("two matchers in memory, wall time", together, alone, lambda each: each.wall_s)
    yield _twice("two matchers in memory, processor time", together, alone, lambda each: each.processor_s)


def _twice(name: str, together: Took, alone: Took, seconds: Callable[[Took], float]) -> Figure:
    rate, one = (each.records / seconds(each) for each in (together, alone))
    return Figure(name, rate, "records/s", f"one matcher ({one:,.0f}/s)", rate / one, "≥ 1.80")


def _turn(workers: Sequence[Connection]) -> Took:
    """Have the workers match their events at the same time; both times are those of the longest."""
    began = time.perf_counter()
    for worker in workers:
        worker.send(True)
    done: list[tuple[int, float]] = [worker.recv() for worker in workers]
    wall_s = time.perf_counter() - began
    return Took(sum(records for records, _ in done), wall_s, max(processor_s for _, processor_s in done))


@contextmanager
def _worker(state: State, lines: Sequence[Line]) -> Iterator[Connection]:
    fork = multiprocessing.get_context("fork")
    ours, its = fork.Pipe()
    process = fork.Process(target=_work, args=(its, state, lines), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def _work(orders: Connection, state: State, lines: Sequence[Line]) -> None:
    nothing = _Nothing()
    matcher = Matcher(SimpleNamespace(state=state), nothing, Context(nothing).enrich, Tenants(dict))
    records = [_record(number, *line) for number, line in enumerate(lines)]
    settle()
    while orders.recv():
        busy = time.process_time()
        for start in range(0, len(records), _BATCH):
            matcher(records[start : start + _BATCH], Rejects("matcher", []))
        orders.send((len(records), time.process_time() - busy))


def _record(number: int, raw: bytes, source: LogSource) -> Record:
    event = _event(number, source)
    return Record(_TOPIC.name, 0, number, event.id, raw, event.headers())


def _event(number: int, source: LogSource) -> Event:
    return Event({"event.id": f"{number:032x}"}, _TENANT, "windows", source, position=f"Security.evtx@{number}")


class _Nothing:
    """Tables without rows and a bus that takes matches at no cost."""

    def rows(self, table: str, tenant: str) -> Mapping[str, Document]:
        return {}

    def version(self, table: str) -> int:
        return 0

    def send(self, *_: object, **__: object) -> None:
        pass

    def flush(self, timeout_s: float = 0.0) -> None:
        pass

    def close(self) -> None:
        pass
