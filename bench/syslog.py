"""Syslog over TCP into the spool, beside rsyslog writing the same lines to a file; memory of many connections.

The sender is a process of its own. A turn ends when ours has every line on disk and has closed the connections, and
when all lines are in rsyslog's file, which rsyslog does not force to disk.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import httpx
import orjson

from bench.figures import Figure
from ingest.collector import open_intake, open_listeners, own_folder
from ingest.intake import source_of
from ingest.parsers import parser
from wardwatch.settings import CollectorSettings, Settings, SourceSettings
from wardwatch.testing.ports import free_block, free_port, wait_until
from wardwatch.testing.syslog_peers import rsyslog

SENDERS = 4
OPEN = 500
OF_ADDRESS = 100  # a collector takes 128 connections of one address
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LINE = b"<86>1 2026-03-01T02:%02d:%02dZ his-db-1 sshd %d - - Failed password for root from 10.3.%d.%d port 4022 ssh2\n"

_FIRST = _LINE % (0, 0, 0, 9, 0)  # compiles what is compiled at the first record
_TO_FILE = """
module(load="imtcp")
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="raw" type="string" string="%rawmsg%\\n")
action(type="omfile" file="{out}" template="raw")
"""


def run(quick: bool) -> list[Figure]:
    """Send 20,000 lines when quick, else 200,000 in each of three turns, then hold OPEN connections that all send."""
    parts = [_lines(sender, (20_000 if quick else 200_000) // SENDERS) for sender in range(SENDERS)]
    count = sum(part.count(b"\n") for part in parts)
    bare, processor, whole, theirs = _take_turns(parts, 1 if quick else 3)
    resident_mb = _resident_mb(20 if quick else 200)
    beside, target = "rsyslog, TCP to a file", "≥ 20,000 lines/s"
    return [
        Figure("TCP syslog to the spool", count / bare, "lines/s", beside, theirs / bare, target),
        Figure("the same, by processor time", count / processor, "lines/s", beside, theirs / processor, "none"),
        Figure("TCP syslog, collector with its bus", count / whole, "lines/s", beside, theirs / whole, "none"),
        _reference("str.split of an ADT message", _first_record("hl7v2").decode().split, "|", count / bare),
        _reference("orjson.loads of a Windows event", orjson.loads, _first_record("windows"), count / bare),
        Figure(f"memory, {OPEN} connections sending", resident_mb, "MB", "150 MB", resident_mb / 150, "≤ 1"),
    ]


def _take_turns(parts: Sequence[bytes], turns: int) -> tuple[float, float, float, float]:
    """Return the median seconds for the lines: the spool alone, its processor time, a whole collector, rsyslog."""
    taken: list[tuple[float, float, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(turns):
            place = Path(folder) / str(turn)
            with _spool(place / "bare") as (port, processor_s):
                _deliver(port, _FIRST)
                before = processor_s()
                bare = _sent_s(port, parts)
                processor = processor_s() - before
            with _collector(place / "whole") as (port, _):
                _deliver(port, _FIRST)
                whole = _sent_s(port, parts)
            taken.append((bare, processor, whole, _written_s(place / "rsyslog", parts)))
    bares, processors, wholes, theirs = zip(*taken, strict=True)
    return median(bares), median(processors), median(wholes), median(theirs)


def _lines(sender: int, count: int) -> bytes:
    """Return lines that all differ."""
    return b"".join(_LINE % (n // 60 % 60, n % 60, n, sender, n % 250) for n in range(count))


def _settings(folder: Path, port: int) -> Settings:
    source = SourceSettings(parser="linux", transport="tcp", listen=f"127.0.0.1:{port}")
    collector = CollectorSettings(tenant="bench", sources=(source,), spool_bytes=2**31)
    return Settings(data_dir=folder, collector=collector)


@contextmanager
def _spool(folder: Path) -> Iterator[tuple[int, Callable[[], float]]]:
    """Run listener, parser, scrub and spool in a process, without a bus; yield its port and its processor seconds."""
    port = free_port()
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_serve, args=(folder, port, there))
    child.start()
    try:
        here.recv()

        def processor_s() -> float:
            here.send("used")
            return float(here.recv())

        yield port, processor_s
    finally:
        here.send("stop")
        child.join()


def _serve(folder: Path, port: int, parent: Connection) -> None:
    settings = _settings(folder, port)
    with own_folder(settings) as own, open_intake(settings, own) as intake:
        sources = [source_of(source, settings.collector) for source in settings.collector.sources]
        (listener,) = open_listeners(sources, intake, own)
        listener.start()
        parent.send("ready")
        while parent.recv() == "used":
            parent.send(process_time())
        listener.stop()


@contextmanager
def _collector(folder: Path) -> Iterator[tuple[int, int]]:
    """Run a whole collector with the embedded bus; yield its port and its process id."""
    health = free_block(2)
    settings = _settings(folder, health + 1)
    environment = os.environ | {
        "WARDWATCH_DATA_DIR": str(folder),
        "WARDWATCH_HEALTH_PORT": str(health),
        "WARDWATCH_LOG_LEVEL": "error",
        "WARDWATCH_COLLECTOR__TENANT": "bench",
        "WARDWATCH_COLLECTOR__SOURCES": orjson.dumps(
            [source.model_dump(mode="json", exclude_defaults=True) for source in settings.collector.sources]
        ).decode(),
    }
    child = subprocess.Popen([sys.executable, "-m", "wardwatch", "run", "collector"], env=environment)
    try:
        wait_until(lambda: _listens(health), what="a running collector")
        yield health + 1, child.pid
    finally:
        child.kill()
        child.wait()


def _listens(health_port: int) -> bool:
    try:
        parts = httpx.get(f"http://127.0.0.1:{health_port}/health", timeout=5, trust_env=False).json()["parts"]
    except httpx.HTTPError:
        return False
    return any(name.startswith("listener tcp") for name in parts)


def _sent_s(port: int, parts: Sequence[bytes]) -> float:
    """Send each part on a connection of its own; return the seconds until the other side has closed them all."""
    start = perf_counter()
    _in_processes(_deliver, port, parts)
    return perf_counter() - start


def _written_s(folder: Path, parts: Sequence[bytes]) -> float:
    port, out = free_port(), folder / "out.log"
    with rsyslog(folder, _TO_FILE.format(port=port, out=out)):
        wait_until(lambda: _accepts(port), what="rsyslog's port")
        start = perf_counter()
        _in_processes(_deliver, port, parts)
        wait_until(lambda: out.exists() and out.stat().st_size == sum(map(len, parts)), what="all lines in the file")
        return perf_counter() - start


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _in_processes(work: Callable[[int, bytes], None], port: int, parts: Sequence[bytes]) -> None:
    children = [multiprocessing.get_context("fork").Process(target=work, args=(port, part)) for part in parts]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0


def _deliver(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


def _resident_mb(rounds: int) -> float:
    """Return the resident memory of a whole collector while OPEN connections send lines by turns."""
    with tempfile.TemporaryDirectory() as folder, _collector(Path(folder)) as (port, process), ExitStack() as stack:
        peers = [stack.enter_context(_connected(port, number)) for number in range(OPEN)]
        most = 0.0
        for turn in range(rounds):
            for number, peer in enumerate(peers):
                peer.sendall(_lines(number, 10).replace(b"sshd ", b"sshd %d" % turn))
            most = max(most, _resident_bytes(process) / 2**20)
        for peer in peers:
            peer.shutdown(socket.SHUT_WR)
        for peer in peers:
            peer.recv(1)
        return max(most, _resident_bytes(process) / 2**20)


def _connected(port: int, number: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 60, source_address=(f"127.0.1.{number // OF_ADDRESS}", 0))


def _resident_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1]) * _PAGE


def _reference(name: str, work: Callable[..., object], argument: object, compared_per_s: float) -> Figure:
    rounds = 50_000
    start = perf_counter()
    for _ in range(rounds):
        work(argument)
    per_s = rounds / (perf_counter() - start)
    return Figure(name, per_s, "/s", "TCP syslog to the spool", per_s / compared_per_s, "a yardstick of this machine")


def _first_record(source: str) -> bytes:
    found = parser(source)
    return next(found.split(found.sample()))
