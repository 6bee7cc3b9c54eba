from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from ingest import parsers
from ingest.collector import own_folder, run
from ingest.deadletter import deadletter
from ingest.forwarder import Forwarder
from ingest.parsers import Parsed, Parser, Record, Site
from ingest.quarantine import Quarantine
from tests.ingest.running import HL7, events, linux, on_bus, running, settings_of
from wardwatch import topics
from wardwatch.bus import open_bus
from wardwatch.errors import NotFound, SettingsError
from wardwatch.settings import Settings, SourceSettings
from wardwatch.stage import EVENTS, Runtime
from wardwatch.testing.ports import free_port, wait_until

LINUX = SourceSettings(parser="linux", transport="tcp", listen="127.0.0.1:0")


def acknowledged(port: int, message: bytes) -> bool:
    """Send one message on a connection of its own and tell whether it was answered with AA."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as peer:
            peer.sendall(b"\x0b" + message + b"\x1c\r")
            return b"MSA|AA" in peer.recv(4096)
    except OSError:
        return False


@contextmanager
def process(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "WARDWATCH_DATA_DIR": str(folder),
        "WARDWATCH_HEALTH_PORT": "0",
        "WARDWATCH_COLLECTOR__TENANT": "renai",
        "WARDWATCH_COLLECTOR__SOURCES": orjson.dumps(
            [{"parser": "hl7v2", "transport": "mllp", "listen": f"127.0.0.1:{port}"}]
        ).decode(),
    }
    child = subprocess.Popen([sys.executable, "-m", "wardwatch", "run", "collector", "--supervised"], env=environment)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_everything_acknowledged_is_on_the_bus_though_the_collector_is_killed_in_between(tmp_path: Path) -> None:
    port, stopping, dice = free_port(), threading.Event(), random.Random(7)
    total, sent = 400, 0

    def send() -> None:
        nonlocal sent
        for number in range(total):
            while not stopping.is_set() and not acknowledged(port, HL7 % number):
                stopping.wait(0.05)
            sent = number + 1

    client = threading.Thread(target=send)
    client.start()
    try:
        for _ in range(3):
            with process(tmp_path, port):
                goal = min(total, sent + dice.randrange(20, 90))
                wait_until(lambda goal=goal: sent >= goal, what="some acknowledged")  # type: ignore[misc]
        with process(tmp_path, port) as last:
            wait_until(lambda: sent == total, what="all acknowledged")
            last.send_signal(signal.SIGTERM)
            assert last.wait(10) == 0
    finally:
        stopping.set()
        client.join()
    found = {event["hl7.control_id"] for event in events(settings_of(tmp_path))}
    assert found == {str(number) for number in range(total)}
    assert len({event["event.id"] for event in events(settings_of(tmp_path))}) == total


@pytest.mark.parametrize("missing", ["tenant", "sources", "parser"])
def test_a_collector_without_tenant_or_known_sources_is_refused(tmp_path: Path, missing: str) -> None:
    sources = {"tenant": [LINUX], "sources": [], "parser": [LINUX.model_copy(update={"parser": "vax"})]}[missing]
    settings = settings_of(tmp_path, *sources)
    if missing == "tenant":
        settings = settings.model_copy(update={"collector": settings.collector.model_copy(update={"tenant": ""})})
    with pytest.raises(SettingsError) as refused:
        run(settings, Runtime("collector"))
    assert refused.value.remedy


def test_two_collectors_do_not_share_a_folder(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, LINUX)
    with own_folder(settings), pytest.raises(SettingsError, match="another collector"):
        run(settings, Runtime("collector"))


@contextmanager
def started(settings: Settings) -> Iterator[Runtime]:
    runtime = Runtime("collector")
    thread = threading.Thread(target=run, args=(settings, runtime))
    thread.start()
    try:
        yield runtime
    finally:
        runtime.stopping.set()
        thread.join(10)
    assert not thread.is_alive()


def test_heartbeats_and_health_tell_what_each_source_counted(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(linux(1) + b"\nnonsense\n")
    settings = settings_of(tmp_path, SourceSettings(parser="linux", transport="file", path=str(log)))
    wanted = {"accepted": 2, "forwarded": 1, "filtered": 0, "dead_lettered": 1}

    with started(settings) as runtime:
        spool = "spool"
        wait_until(lambda: runtime.health()["parts"].get(spool, {}).get("sources") == {"linux": wanted}, what="counted")
        assert runtime.health()["ok"]
    beats = [orjson.loads(record.value or b"") for record in on_bus(settings, topics.heartbeats("renai").name)]
    last = beats[-1]["sources"]["linux"]
    assert {name: last[name] for name in wanted} == wanted
    assert last["last_event"] == "2026-03-01T02:11:01.000Z"
    assert beats[-1]["spool"]["waiting"] == 0


def test_metrics_count_acceptance_at_the_intake_and_the_rest_when_the_bus_has_it(tmp_path: Path) -> None:
    names = ("accepted", "forwarded", "filtered", "dead_lettered")

    def counted() -> list[float]:
        values = [EVENTS.labels("collector", "renai", "linux", name)._value.get() for name in names]
        return [now - before for now, before in zip(values, start, strict=True)]

    start = [0.0] * 4
    start = counted()
    log = tmp_path / "auth.log"
    log.write_bytes(linux(1) + b"\nnonsense\n[\n" + linux(2) + b"\n")
    source = SourceSettings(parser="linux", transport="file", path=str(log))
    with running(tmp_path, source, forward=False) as site:
        wait_until(lambda: site.intake.spool.waiting == 4, what="all in the spool")
        assert counted() == [4, 0, 0, 0]
        forwarder = Forwarder("renai", site.intake.spool, open_bus(site.settings.bus_url), site.runtime)
        forwarder.start()
        wait_until(lambda: counted() == [4, 2, 1, 1], what="all on the bus")
        forwarder.finish()


def test_while_the_bus_is_absent_records_are_taken_and_health_says_so(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(linux(1) + b"\n")
    (tmp_path / "no-folder").write_bytes(b"")
    settings = settings_of(tmp_path, SourceSettings(parser="linux", transport="file", path=str(log)))
    broken = settings.model_copy(update={"bus": f"sqlite:///{tmp_path / 'no-folder' / 'bus.sqlite'}"})
    with started(broken) as runtime:
        wait_until(lambda: runtime.health()["parts"].get("spool", {}).get("waiting") == 1, what="one waits")
        wait_until(lambda: not runtime.health()["parts"].get("bus", {"ok": True})["ok"], what="bus reported")
    with started(settings) as runtime:
        wait_until(lambda: runtime.health()["parts"].get("spool", {}).get("waiting") == 0, what="forwarded")
    assert len(events(settings)) == 1


def test_a_parser_that_fails_unexpectedly_costs_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = parsers.parser("linux")

    def parse(record: Record, site: Site) -> list[Parsed]:
        if b"strange" in record.data:
            raise KeyError("a mistake of the parser")
        return real.parse(record, site)

    monkeypatch.setattr(parsers, "parser", lambda _: Parser("linux", real.split, parse, real.policy))
    log = tmp_path / "auth.log"
    log.write_bytes(b"strange\n" + linux(1) + b"\n")
    with running(tmp_path / "data", SourceSettings(parser="linux", transport="file", path=str(log))) as site:
        wait_until(lambda: site.counts("linux") == (2, 1, 0, 1), what="both settled")


def test_dead_letters_are_listed_shown_and_replayed_when_the_parser_can_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = parsers.parser("linux")
    log = tmp_path / "auth.log"
    log.write_bytes(linux(1) + b"\nnonsense\n")
    with monkeypatch.context() as patch:
        patch.setattr(parsers, "parser", lambda _: Parser("linux", real.split, lambda *_: [], real.policy))
        with running(tmp_path, SourceSettings(parser="linux", transport="file", path=str(log))) as site:
            wait_until(lambda: site.counts("linux") == (2, 0, 0, 2), what="both refused")
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WARDWATCH_COLLECTOR__TENANT", "renai")
    cli = CliRunner()
    listed = [orjson.loads(line) for line in cli.invoke(deadletter, ["list", "--json"]).stdout.splitlines()]
    assert [letter["source"] for letter in listed] == ["linux", "linux"]
    assert "quarantine:" in cli.invoke(deadletter, ["show", listed[0]["id"]]).stdout
    done = cli.invoke(deadletter, ["replay", "--all"])
    assert done.exit_code == 1  # the nonsense is refused again
    assert "parsed again: 1 event" in done.stdout
    assert "refused again" in done.stdout
    assert len(events(site.settings)) == 1
    assert cli.invoke(deadletter, ["replay", "no-such-id"]).exit_code == 1
    cli.invoke(deadletter, ["replay", "--all"])
    assert len({event["event.id"] for event in events(site.settings)}) == 1
    assert len(cli.invoke(deadletter, ["list", "--json"]).stdout.splitlines()) == 2
    with running(tmp_path, SourceSettings(parser="linux", transport="file", path=str(log))) as again:
        assert again.counts("linux") == (2, 0, 0, 2)


@pytest.mark.parametrize("command", [[], ["list"], ["show"], ["replay"]])
def test_help_of_dead_letters_teaches_by_example(command: list[str]) -> None:
    shown = CliRunner().invoke(deadletter, [*command, "--help"])
    assert "Example" in shown.stdout
    assert "wardwatch deadletter " in shown.stdout


def test_the_quarantine_drops_its_oldest_records_and_counts_them(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.sqlite", limit=1000)
    positions = [quarantine.put("linux", Record(b"%d" % number * 400)) for number in (1, 2, 3)]
    assert quarantine.dropped == 1
    assert quarantine.get(positions[2]).record.data == b"3" * 400
    with pytest.raises(NotFound):
        quarantine.get(positions[0])
    quarantine.close()
